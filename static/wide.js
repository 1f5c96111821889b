// A formula wider than its column scrolls sideways. Most do not, so only those that do stop the Tab key; a browser
// that does so by itself is no reason to leave out the name that a screen reader says there.
import { onNotes } from "./notes.js";

const widths = new ResizeObserver((entries) => entries.forEach(({ target }) => mark(target)));

function mark(box) {
  const wide = box.scrollWidth > box.clientWidth;
  for (const [name, value] of [["tabindex", "0"], ["role", "group"], ["aria-label", "Formula"]]) {
    if (wide) box.setAttribute(name, value);
    else box.removeAttribute(name);
  }
}

/** Watches the formulas in `root`: a note, or a preview of one. */
export function watch(root) {
  for (const box of root.querySelectorAll(".math")) widths.observe(box);
}

onNotes(watch);
