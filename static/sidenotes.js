// A footnote, where its reader is. One that stands beside the text lights up when its number is pointed at, and a click
// does not move the page to it. Elsewhere a finger gets what the pointer and the keyboard have by hovering and
// focus, see previews.js: a card instead of a leap to the end of the note.
import { anchored, beside } from "./notes.js";
import { peek } from "./previews.js";

const CITATION = ".note .footnote-ref > a[href*='#']";

let lit = null;

function light(footnote) {
  if (footnote === lit) return;
  lit?.removeAttribute("data-pointed");
  footnote?.setAttribute("data-pointed", "");
  lit = footnote;
}

function cited(target) {
  const link = target.closest?.(CITATION);
  return link ? { link, footnote: anchored(link, link.hash) } : {};
}

const seen = (element) => {
  const { top, bottom } = element.getBoundingClientRect();
  return top >= 0 && bottom <= innerHeight;
};

for (const event of ["pointerover", "focusin"]) {
  document.addEventListener(event, ({ target }) => {
    const { footnote } = cited(target);
    light(footnote && beside(footnote) ? footnote : null);
  });
}

// Before panes.js, which would follow the link. A key press follows it, too: its reader goes where the focus goes.
document.addEventListener("click", (event) => {
  if (!["mouse", "pen", "touch"].includes(event.pointerType) || event.button) return;
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const { link, footnote } = cited(event.target);
  if (!footnote) return;
  if (beside(footnote)) {
    if (!seen(footnote)) return;
    light(footnote);
  } else if (event.pointerType === "touch") {
    peek(link);
  } else {
    return;
  }
  event.preventDefault();
  event.stopPropagation();
}, { capture: true });
