// Notes in a document: where they come from, and what makes one fit to live beside others.
import { parse } from "./trust.js";

/** The root of the site, whichever page this is. */
const ROOT = new URL("../", import.meta.url).href;

const pages = new Map(); // address → promise of the document there, or of null

// Only the preview of a garden that is being written says so: what was fetched is not what is there now.
document.addEventListener("site-changed", () => pages.clear());

/** The address of a note's page. Empty where `slug` is not one: it came from the address bar, perhaps. */
export function pageOf(slug) {
  const parts = slug.split("/");
  if (parts.some((part) => part === "" || part === "." || part === "..")) return "";
  return `${ROOT}${parts.map(encodeURIComponent).join("/")}.html`;
}

/** The slug of the note whose page is at `path` (of this site, decoded or not). */
export function slugAt(path) {
  const inside = decodeURIComponent(path).slice(decodeURIComponent(new URL(ROOT).pathname).length);
  return (inside.endsWith("/") || !inside ? `${inside}index` : inside).replace(/\.html$/, "");
}

/** The page of a note, fetched once, its addresses made absolute; null where there is none. */
export function fetched(slug) {
  if (!pages.has(slug)) pages.set(slug, load(slug));
  return pages.get(slug);
}

async function load(slug) {
  try {
    const answer = await fetch(pageOf(slug) || "404.html");
    const page = answer.ok ? parse(await answer.text()) : null;
    const note = page?.querySelector("article.note");
    if (note?.dataset.slug !== slug) return null;
    rebase(note, pageOf(slug));
    return page;
  } catch {
    pages.delete(slug); // offline now, perhaps not later
    return null;
  }
}

/** Makes the relative addresses in `root` absolute: they are relative to `base`. */
export function rebase(root, base, names = ["href", "src", "poster", "data-preview"]) {
  for (const name of names) {
    for (const element of root.querySelectorAll(`[${name}]:not(script, embed, object)`)) {
      if (element.ownerSVGElement) continue; // a reference inside a drawing stays inside it
      element.setAttribute(name, new URL(element.getAttribute(name), base).href);
    }
  }
}

const REFERENCES = ["for", "headers", "list", "aria-labelledby", "aria-describedby", "aria-controls", "aria-owns", "aria-details"];

/** Gives every id in `root` a prefix, and with it whatever refers to one of them. */
export function apart(root, prefix) {
  for (const element of root.querySelectorAll("[id]")) element.id = prefix + element.id;
  for (const name of REFERENCES) {
    for (const element of root.querySelectorAll(`[${name}]`)) {
      element.setAttribute(name, element.getAttribute(name).replace(/\S+/g, (id) => prefix + id));
    }
  }
  for (const element of root.querySelectorAll("svg, svg *")) {
    for (const { name, value } of [...element.attributes]) {
      if (name.endsWith("href") && value.startsWith("#")) element.setAttribute(name, `#${prefix}${value.slice(1)}`);
      else if (value.includes("url(#")) element.setAttribute(name, value.replaceAll("url(#", `url(#${prefix}`));
    }
  }
  for (const element of root.querySelectorAll("details[name], input[type=radio][name]")) {
    element.setAttribute("name", prefix + element.getAttribute("name"));
  }
}

/** The element that a fragment names for whatever stands beside `node`: in its pane, or else in the page. */
export function anchored(node, hash) {
  const prefix = node.closest(".pane")?.dataset.ids ?? "";
  try {
    return hash.length > 1 ? document.getElementById(prefix + decodeURIComponent(hash.slice(1))) : null;
  } catch {
    return null; // not a fragment that we made
  }
}

/** Whether a footnote is painted beside the line that cites it, and not in the list at the end. */
export const beside = (footnote) => getComputedStyle(footnote).position === "absolute";

/** Calls `enhance` with the page now, and with each note that joins it later. */
export function onNotes(enhance) {
  enhance(document);
  document.addEventListener("note-added", (event) => enhance(event.target));
}

/** Tells everybody that listens that the note in `element` has joined the page. */
export function announce(element) {
  element.dispatchEvent(new CustomEvent("note-added", { bubbles: true }));
}
