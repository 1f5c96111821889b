// Marks the words of a query where they stand in a text.
import { fold, WORD } from "./words.js";

const MANY = 400;
const SKIPPED = "script, style, math, svg, button, textarea, .cell-evidence, nav.toc, .backlinks";

/** Where in `text` the words stand that `marks` (of `query.js`) ask for: pairs of start and stop. */
export function places(text, marks) {
  const found = [];
  for (const { 0: word, index } of text.matchAll(WORD)) {
    const folded = fold(word);
    for (const { text: sought, prefix, inside } of marks) {
      if (!inside && (prefix ? folded.startsWith(sought) : folded === sought)) {
        found.push([index, index + word.length]);
        break;
      }
      if (inside && folded.includes(sought)) found.push(...within(word, folded, sought, index));
    }
  }
  return found.sort(([a], [b]) => a - b).filter(([start], i, all) => i === 0 || start >= all[i - 1][1]);
}

// Where folding changed the length, positions in the one are none in the other: then the whole run is marked.
function within(word, folded, sought, index) {
  if (word.length !== folded.length) return [[index, index + word.length]];
  const found = [];
  for (let at = folded.indexOf(sought); at >= 0; at = folded.indexOf(sought, at + sought.length)) {
    found.push([index + at, index + at + sought.length]);
  }
  return found;
}

/** Wraps every place in `root` in a `mark`; the marks. */
export function mark(root, marks) {
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  const texts = [];
  while (walker.nextNode()) if (!walker.currentNode.parentElement.closest(SKIPPED)) texts.push(walker.currentNode);
  const made = [];
  for (const text of texts) {
    if (made.length >= MANY) break;
    const here = places(text.data, marks).reverse().map(([start, stop]) => wrap(text, start, stop));
    made.push(...here.reverse());
  }
  return made;
}

function wrap(text, start, stop) {
  const word = text.splitText(start);
  word.splitText(stop - start);
  const element = document.createElement("mark");
  element.className = "found";
  word.replaceWith(element);
  element.append(word);
  return element;
}

/** Takes the marks away again. */
export function unmark(root) {
  for (const element of root.querySelectorAll("mark.found")) {
    const parent = element.parentNode;
    element.replaceWith(...element.childNodes);
    parent.normalize();
  }
}

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !document.querySelector("dialog[open]")) unmark(document);
});

/** Shows what was sought on the page that it led to; Escape takes the marks away. */
export function land(marks) {
  const note = document.querySelector("article.note");
  if (!note) return;
  unmark(note);
  const made = mark(note, marks);
  if (location.hash.length > 1 || inTitle(note, marks)) return; // already where it should be
  const first = made.find((element) => !element.closest("h1")) ?? made[0];
  for (let at = first?.closest("details"); at; at = at.parentElement.closest("details")) at.open = true;
  first?.scrollIntoView({ block: "center" });
}

const inTitle = (note, marks) => {
  const title = note.querySelector("h1")?.textContent ?? "";
  return marks.every((one) => places(title, [one]).length);
};
