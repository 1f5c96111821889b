// The dialog: a field, the notes found, and a preview of the one that Enter would open.
//
// A combobox whose list is a listbox: focus stays in the field, `aria-activedescendant` says which hit is meant.
import { rebase } from "../notes.js";
import { parse } from "../trust.js";
import { watch } from "../wide.js";
import { mark, places } from "./marks.js";
import { row, search } from "./query.js";

const ROOT = new URL("../../", import.meta.url);
const SHOWN = 12;
const PAUSE = 70; // after a keystroke: a fast typist asks once

const previews = new Map();
let asked = 0; // the latest query: answers to earlier ones are dropped
let answered = ""; // the query whose hits are shown
let marks = [];
let chosen = false; // by the reader, since the last letter
let timer = 0;
let peeking = 0;

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

const field = element("input", {
  type: "text", role: "combobox", autocomplete: "off", autocapitalize: "off", spellcheck: "false", inputmode: "search",
  enterkeyhint: "go", placeholder: "Search", "aria-label": "Search the garden", "aria-autocomplete": "list",
  "aria-controls": "search-hits", "aria-expanded": "false",
});
const status = element("p", { class: "search-status", role: "status" });
const list = element("div", { id: "search-hits", class: "hits", role: "listbox", "aria-label": "Notes found" });
const preview = element("section", { class: "search-preview", "aria-label": "Preview", tabindex: "0" });
const dialog = element(
  "dialog", { class: "search", "aria-label": "Search" },
  field, status, element("div", { class: "search-body" }, list, preview),
);
list.hidden = preview.hidden = true;

/** Opens the dialog, with what was typed meanwhile and the Enter after it, or what was asked last, ready to be typed over. */
export function open(typed = "", entered = null) {
  if (dialog.open) return;
  if (!dialog.isConnected) document.body.append(dialog);
  dialog.showModal();
  field.focus();
  field.select();
  if (typed) {
    field.value = typed;
    field.dispatchEvent(new Event("input")); // asked as if it had been typed here
  }
  if (entered) enter(entered);
  if (!field.value) say("Type to search titles, headings, tags, text and what cells print.");
}

function say(text) {
  status.textContent = text;
}

// ---------------------------------------------------------------- asking

async function ask() {
  const query = field.value;
  asked += 1;
  const mine = asked;
  const answer = query.trim() ? await answerTo(query) : { rows: [], marks: [], text: "" };
  if (mine !== asked) return;
  answered = query;
  marks = answer.marks;
  show(answer.rows, answer.text);
}

async function answerTo(query) {
  try {
    const { numbers, marks: sought } = await search(query);
    const rows = await Promise.all(numbers.slice(0, SHOWN).map(row));
    return { rows: rows.filter(Boolean), marks: sought, text: summary(numbers.length, query) };
  } catch {
    return { rows: [], marks: [], text: "The search index cannot be reached now. “All notes” lists every note." };
  }
}

function summary(count, query) {
  if (!count) return `Nothing found for “${query.trim()}”.`;
  const notes = count === 1 ? "1 note" : `${count} notes`;
  return count > SHOWN ? `${notes}, the best ${SHOWN} shown.` : `${notes}.`;
}

function show(rows, text) {
  const kept = chosen && selected()?.href; // an answer that comes late takes no choice away
  list.replaceChildren(...rows.map(hit));
  list.hidden = preview.hidden = !rows.length;
  list.scrollTop = 0;
  field.setAttribute("aria-expanded", String(rows.length > 0));
  say(text);
  select([...list.children].find((link) => link.href === kept) ?? list.firstElementChild);
}

// ---------------------------------------------------------------- a hit

function hit(found, i) {
  const heading = found.headings.find(([text]) => marks.every((one) => places(text, [one]).length));
  const inTitle = marks.every((one) => places(found.title, [one]).length);
  const link = element("a", {
    id: `search-hit-${i}`, class: "hit", role: "option", tabindex: "-1", "aria-selected": "false",
    href: new URL(found.href + (heading && !inTitle ? `#${encodeURIComponent(heading[1])}` : ""), ROOT).href,
    "data-preview-of": new URL(`previews/${found.href}`, ROOT).href,
  });
  const title = element("span", { class: "hit-title" }, ...marked(found.title));
  link.append(title);
  if (found.grade) {
    link.append(" ", element("span", { class: "grade", "data-grade": found.grade }, found.grade.replace("-", " ")));
  }
  link.append(" ", element("span", { class: "hit-where" }, ...marked(where(found, heading, inTitle))));
  return link;
}

/** Why the note was found, in a few words of its own. */
function where(found, heading, inTitle) {
  const says = (text) => marks.some((one) => places(text, [one]).length);
  const alias = !inTitle && found.aliases.find(says);
  if (alias) return `also called ${alias}`;
  if (heading && !inTitle) return `› ${heading[0]}`;
  const tag = !inTitle && found.tags.find(says);
  return tag ? `#${tag}` : found.summary;
}

/** The text as nodes, with the words sought in `mark`s. */
function marked(text) {
  const nodes = [];
  let at = 0;
  for (const [start, stop] of places(text, marks)) {
    nodes.push(text.slice(at, start), element("mark", { class: "found" }, text.slice(start, stop)));
    at = stop;
  }
  return [...nodes, text.slice(at)];
}

function select(link) {
  list.querySelector("[aria-selected=true]")?.setAttribute("aria-selected", "false");
  if (!link) {
    field.removeAttribute("aria-activedescendant");
    preview.replaceChildren();
    return;
  }
  link.setAttribute("aria-selected", "true");
  link.scrollIntoView({ block: "nearest", behavior: "instant" });
  field.setAttribute("aria-activedescendant", link.id);
  clearTimeout(peeking);
  peeking = setTimeout(() => peek(link), preview.firstChild ? 90 : 0);
}

const selected = () => list.querySelector("[aria-selected=true]");

function move(by) {
  const hits = [...list.children];
  chosen = true;
  if (hits.length) select(hits[(hits.indexOf(selected()) + by + hits.length) % hits.length]);
}

// ---------------------------------------------------------------- the preview

async function peek(link) {
  const url = link.dataset.previewOf;
  if (!previews.has(url)) previews.set(url, fragment(url));
  const found = await previews.get(url);
  if (link !== selected()) return;
  if (!found) {
    preview.replaceChildren();
    return;
  }
  const copy = document.importNode(found, true);
  preview.replaceChildren(copy);
  watch(copy);
  preview.scrollTop = 0;
  const first = mark(copy.querySelector(".preview-body") ?? copy, marks)[0];
  for (let at = first?.closest("details"); at; at = at.parentElement.closest("details")) at.open = true;
  if (first) preview.scrollTop = first.getBoundingClientRect().top - preview.getBoundingClientRect().top - preview.clientHeight / 3;
}

async function fragment(url) {
  try {
    const answer = await fetch(url);
    if (!answer.ok) return null;
    const page = parse(await answer.text());
    rebase(page, url);
    // It is for looking: Enter opens the note, and no card may open under a modal dialog.
    for (const link of page.querySelectorAll("a")) for (const name of ["href", "data-preview"]) link.removeAttribute(name);
    return page.querySelector(".preview");
  } catch {
    previews.delete(url);
    return null;
  }
}

// ---------------------------------------------------------------- what the reader does

document.addEventListener("site-changed", () => previews.clear());

field.addEventListener("input", () => {
  chosen = false;
  clearTimeout(timer);
  timer = setTimeout(ask, PAUSE);
});

dialog.addEventListener("keydown", (event) => {
  if (event.isComposing) return; // an input method uses the same keys
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    if (event.target !== field) return;
    event.preventDefault();
    move(event.key === "ArrowDown" ? 1 : -1);
  } else if (event.key === "Enter" && event.target === field) {
    event.preventDefault();
    enter(event);
  } else if ((event.key === "PageDown" || event.key === "PageUp") && event.target === field) {
    event.preventDefault();
    preview.scrollBy({ top: (event.key === "PageDown" ? 0.8 : -0.8) * preview.clientHeight });
  }
});

async function enter(event) {
  clearTimeout(timer);
  const apart = event.ctrlKey || event.metaKey || event.shiftKey;
  if (field.value !== answered) await ask();
  const link = selected();
  if (link && apart) window.open(link.href, "_blank", "noopener");
  else link?.click();
}

list.addEventListener("pointermove", (event) => {
  const link = event.target.closest(".hit");
  if (link && link !== selected()) select(link);
});

dialog.addEventListener("click", (event) => {
  if (event.target === dialog) dialog.close(); // beside it
  const link = event.target.closest?.(".hit");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  dialog.close();
  const going = new CustomEvent("search-go", { bubbles: true, cancelable: true, detail: { href: link.href, marks } });
  if (!dialog.dispatchEvent(going)) event.preventDefault();
});
