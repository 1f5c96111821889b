// Maps: of the whole garden on its page, and of what lies around a note at the end of it. This module only
// waits until one is about to be seen; all that draws is loaded then.
const seen = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting) continue;
    seen.unobserve(target);
    begin(target);
  }
}, { rootMargin: "200px" });

async function begin(section) {
  try {
    const { show } = await import("./graph/show.js");
    await show(section);
  } catch {
    section.hidden = section.dataset.graph === "local"; // offline, or an old browser: the links are on the page
  }
}

function watch(root) {
  for (const section of root.querySelectorAll("section.graph[data-graph]")) {
    section.hidden = false; // without a box nothing can come into view
    seen.observe(section);
  }
}

watch(document);
document.addEventListener("note-added", (event) => watch(event.target));
