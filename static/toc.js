// Marks the entry of the table of contents whose section is being read.
const entries = new Map();
for (const link of document.querySelectorAll("nav.toc a[href^='#']")) {
  const heading = document.getElementById(decodeURIComponent(link.hash.slice(1)));
  if (heading) entries.set(heading, link);
}

function mark(link) {
  for (const other of entries.values()) {
    if (other === link) other.setAttribute("aria-current", "true");
    else other.removeAttribute("aria-current");
  }
}

// The section being read is the last whose heading has passed the upper third of the window.
function read() {
  let last = null;
  for (const [heading, link] of entries) {
    if (heading.getBoundingClientRect().top > innerHeight / 3) break;
    last = link;
  }
  mark(last);
}

if (entries.size) {
  const observer = new IntersectionObserver(read, { rootMargin: "0px 0px -66% 0px" });
  for (const heading of entries.keys()) observer.observe(heading);
  addEventListener("hashchange", read);
}
