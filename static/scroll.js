// A formula that is wider than its place scrolls there. While it does, the keyboard reaches it, as it reaches code and
// tables; a formula that fits is no stop on the way.
import { onNotes } from "./notes.js";

const widths = new ResizeObserver((changes) => changes.forEach(({ target }) => (scrolls(target) ? open(target) : shut(target))));

const scrolls = (formula) => formula.scrollWidth > formula.clientWidth;

function open(formula) {
  formula.tabIndex = 0;
  formula.setAttribute("role", "group");
  formula.setAttribute("aria-label", "Formula");
}

function shut(formula) {
  for (const name of ["tabindex", "role", "aria-label"]) formula.removeAttribute(name);
}

onNotes((root) => {
  for (const formula of root.querySelectorAll(".note .math")) widths.observe(formula);
});
