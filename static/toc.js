// Marks the entry of each table of contents whose section is being read.
import { anchored, onNotes } from "./notes.js";

onNotes((root) => {
  for (const nav of root.querySelectorAll("nav.toc")) follow(nav);
});

function follow(nav) {
  const entries = new Map();
  for (const link of nav.querySelectorAll("a[href*='#']")) {
    const heading = anchored(nav, link.hash);
    if (heading) entries.set(heading, link);
  }
  if (!entries.size) return;
  const read = () => mark(entries);
  const observer = new IntersectionObserver(() => {
    if (nav.isConnected) read();
    else observer.disconnect(); // its pane was closed
  }, { rootMargin: "0px 0px -66% 0px" });
  for (const heading of entries.keys()) observer.observe(heading);
  addEventListener("hashchange", read);
}

// The section being read is the last whose heading has passed the upper third of the window.
function mark(entries) {
  let last = null;
  for (const [heading, link] of entries) {
    if (heading.getBoundingClientRect().top > innerHeight / 3) break;
    last = link;
  }
  for (const link of entries.values()) {
    if (link === last) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
}
