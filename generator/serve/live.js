// What the preview adds to a page that is opened: it hears what has changed in the site, and changes just that.
// What the reader is at stays: how far the page is scrolled, the notes beside each other, the focus, what is unfolded.
// Published sites have none of this.
//
// It runs before the other modules, for it compares pages as the build made them: the one that is shown, which the
// others are about to change, and the new one. Parts that are alike in both are not touched.
import { announce, fetched, rebase } from "/static/notes.js";
import { parse } from "/static/trust.js";

const made = new Map(); // pane, or main where there is none → what was in it as the build made it
let shown = new URL(import.meta.url).search.slice(1); // the build that the page is of
let source = null; // of what has changed, while the page is to be seen
let work = Promise.resolve(); // one change after another

const here = location.pathname; // where this page is, whatever the address says once notes stand beside it
const main = document.querySelector("main");
const row = document.querySelector(".panes");
const frame = framing(document);

made.set(row?.firstElementChild ?? main, (row?.firstElementChild ?? main).cloneNode(true));

document.addEventListener("note-added", ({ target }) => {
  if (target.matches?.(".pane")) fetched(target.dataset.slug).then((page) => made.set(target, page));
});

/** What stands around a page's text: where that changes, all of it is loaded again. */
function framing(page) {
  const parts = page.querySelectorAll("link[rel=stylesheet], script[src*='static/'], body > header, body > footer");
  return [page.querySelector(".panes") !== null, ...parts].map((part) => part.outerHTML ?? part).join("\n");
}

// ---------------------------------------------------------------- listening

function listen() {
  if (document.hidden || source) return;
  source = new EventSource("/_garden/events");
  source.addEventListener("message", ({ data }) => heard(JSON.parse(data)));
  source.addEventListener("error", () => say({ ended: true }));
}

// A browser has few connections to one place: tabs in the background keep none, and catch up when they are shown.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    source?.close();
    source = null;
  } else listen();
});
listen();

function heard({ session, build, changed, failed, running }) {
  const before = shown;
  shown = `${session}-${build}`;
  if (!before.startsWith(`${session}-`)) return location.reload();
  if (before !== shown) {
    const next = changed && before === `${session}-${build - 1}`;
    work = work.then(() => update(next ? new Set(changed) : null)).catch(() => location.reload());
  }
  return say({ failed, running, ended: false });
}

// ---------------------------------------------------------------- what has changed

/** Shows what has changed: `changed` are files of the site, or null where nobody knows. */
async function update(changed) {
  const has = (path) => !changed || changed.has(path);
  if (changed && [...changed].some((path) => path.startsWith("static/") && !path.endsWith(".css"))) return location.reload();
  document.dispatchEvent(new CustomEvent("site-changed")); // everybody forgets what was fetched before
  for (const link of document.querySelectorAll("link[rel=stylesheet]")) if (has(fileOf(link.href))) restyle(link);
  for (const [place] of made) {
    if (!place.isConnected) made.delete(place);
    else if (has(place.dataset.ids ? `${place.dataset.slug}.html` : fileOf(here))) await renew(place);
  }
  if (has("graph/map.json")) for (const map of document.querySelectorAll("section.graph[data-graph]")) remap(map);
  if (changed) for (const element of document.querySelectorAll("[src]:not(script, embed)")) if (has(fileOf(element.src))) again(element);
  return undefined;
}

/** The file of the site that an address names. */
function fileOf(address) {
  const { origin, pathname } = new URL(address, location.href);
  if (origin !== location.origin) return "";
  const path = decodeURIComponent(pathname).slice(1);
  return path.endsWith("/") || !path ? `${path}index.html` : path;
}

/** The new sheet beside the old one until it is there: a page is never without. */
function restyle(link) {
  const fresh = link.cloneNode();
  again(fresh, "href");
  fresh.addEventListener("load", () => link.remove(), { once: true });
  fresh.addEventListener("error", () => link.remove(), { once: true });
  link.after(fresh);
}

/** Has the browser fetch a file once more that has the same name. */
function again(element, attribute = "src") {
  const url = new URL(element[attribute]);
  url.search = shown;
  element[attribute] = url;
}

function remap(section) {
  const fresh = section.cloneNode(false);
  fresh.hidden = true;
  const shell = document.createElement("div");
  section.replaceWith(shell);
  shell.append(fresh);
  announce(shell);
  shell.replaceWith(fresh);
}

/** Brings one place up to date: a pane, or the text of a page that has none. */
async function renew(place) {
  const mine = !place.dataset.ids; // the page itself, and not a pane that was added
  const page = mine ? await own() : await fetched(place.dataset.slug);
  if (mine) say({ gone: !page });
  if (!page) return undefined; // what it said stays to be read
  if (mine && (framing(page) !== frame || place.querySelector("table.ledger"))) return location.reload();
  const find = (root) => root.querySelector(row ? "article.note" : "main") ?? root;
  const panes = row && (await import("/static/panes.js"));
  const old = find(made.get(place));
  const fresh = find(page);
  const copy = panes ? panes.fitted(place, page) : document.importNode(fresh, true);
  const headings = [...place.querySelectorAll(HEADINGS)];
  still(place, () => {
    patch(find(place), old, fresh, copy);
    if ([...place.querySelectorAll(HEADINGS)].some((heading, i) => heading !== headings[i])) retrace(place);
  });
  made.set(place, page);
  panes?.refreshed(place, page);
  if (!panes) document.title = page.title;
  return undefined;
}

const HEADINGS = ".note-body :is(h2, h3, h4, h5, h6)";

/** Has the table of contents follow the headings that are there now. */
function retrace(place) {
  for (const toc of place.querySelectorAll("nav.toc")) put(toc.parentNode, [toc], [toc.cloneNode(true)], toc.nextSibling);
}

async function own() {
  const answer = await fetch(here);
  return answer.ok ? parse(await answer.text()) : null;
}

// ---------------------------------------------------------------- comparing

/**
 * Makes `live`, which was made of `old`, what `copy` is, which was made of `fresh`. Children are compared from both
 * ends; what is left between is changed within where there are as many as before, and else replaced.
 */
function patch(live, old, fresh, copy) {
  for (const { name } of [...old.attributes, ...fresh.attributes]) {
    if (old.getAttribute(name) === fresh.getAttribute(name)) continue;
    if (fresh.hasAttribute(name)) live.setAttribute(name, copy.getAttribute(name));
    else live.removeAttribute(name);
  }
  const [before, after] = [[...old.childNodes], [...fresh.childNodes]];
  const most = Math.min(before.length, after.length);
  let start = 0;
  while (start < most && before[start].isEqualNode(after[start])) start += 1;
  let end = 0;
  while (end < most - start && before.at(-1 - end).isEqualNode(after.at(-1 - end))) end += 1;
  if (start + end === Math.max(before.length, after.length)) return undefined;
  const [shownNow, copies] = [[...live.childNodes], [...copy.childNodes]];
  if (!alike(live, old)) return put(live, shownNow, copies);
  const stop = before.length - end;
  if (before.length !== after.length) {
    return put(live, shownNow.slice(start, stop), copies.slice(start, copies.length - end), shownNow[stop]);
  }
  for (let i = start; i < stop; i += 1) {
    if (before[i].isEqualNode(after[i])) continue;
    if (alike(shownNow[i], before[i]) && after[i].nodeName === before[i].nodeName) patch(shownNow[i], before[i], after[i], copies[i]);
    else put(live, [shownNow[i]], [copies[i]], shownNow[i + 1]);
  }
  return undefined;
}

/** Whether a live element is still what it was made as: a script may have put something into it, or around it. */
function alike(live, old) {
  return live.nodeType === Node.ELEMENT_NODE && live.nodeName === old.nodeName && live.childNodes.length === old.childNodes.length;
}

/**
 * Puts `nodes` in the place of `olds`, children of `live` that follow each other, before its child `next` or at its
 * end. Scripts are shown them before, and nothing else, in an element like the one that they come into.
 */
function put(live, olds, nodes, next = null) {
  const shell = live.cloneNode(false);
  live.after(shell);
  shell.append(...nodes);
  unfold(olds, shell);
  announce(shell);
  for (const one of olds) one.remove();
  while (shell.firstChild) live.insertBefore(shell.firstChild, next);
  shell.remove();
}

/** What was unfolded stays so: told by its summary. */
function unfold(olds, root) {
  const all = (one) => (one.nodeType === Node.ELEMENT_NODE ? [one, ...one.querySelectorAll("details")].filter((each) => each.localName === "details") : []);
  const name = (details) => details.querySelector("summary")?.textContent;
  const open = new Set(olds.flatMap(all).filter((details) => details.open).map(name));
  for (const details of root.querySelectorAll("details")) if (open.has(name(details))) details.open = true;
}

// ---------------------------------------------------------------- what stays

/** Changes a place without moving what is to be seen there, or the focus. */
function still(place, change) {
  const inner = place.querySelector(".pane-scroll");
  const scroller = inner && getComputedStyle(inner).overflowY !== "visible" ? inner : document.scrollingElement;
  const refocus = focused(place);
  const seen = [...place.querySelectorAll(".note-body > *, .note > :not(.note-body), main > :not(.panes)")]
    .map((part) => [part, part.getBoundingClientRect()])
    .filter(([, { bottom }]) => bottom > 80);
  scroller.style.overflowAnchor = "none"; // the browser would do the same once more
  change();
  const [part, { top } = {}] = seen.find(([one]) => one.isConnected) ?? [];
  const moved = part ? part.getBoundingClientRect().top - top : 0;
  if (Math.abs(moved) >= 1) scroller.scrollBy({ top: moved, behavior: "instant" });
  refocus();
  requestAnimationFrame(() => { scroller.style.overflowAnchor = ""; });
}

/** Gives what brings the focus back, if it is in `place`, to what stands for the element that had it. */
function focused(place) {
  const had = document.activeElement;
  if (!place.contains(had) || had === place) return () => {};
  const same = () => [...place.querySelectorAll(had.localName)];
  const index = same().indexOf(had);
  const says = (one) => `${one.getAttribute("href")} ${one.textContent}`;
  return () => {
    if (had.isConnected) return;
    const all = same();
    const found = all.find((one) => says(one) === says(had)) ?? all[index] ?? place.querySelector(".pane-scroll[tabindex]");
    found?.focus({ preventScroll: true });
  };
}

// ---------------------------------------------------------------- what is said

const bar = document.createElement("p");
bar.setAttribute("role", "status");
bar.id = "garden-preview";
Object.assign(bar.style, {
  position: "fixed", inset: "auto 0 0 0", zIndex: 99, margin: 0, padding: "0.4rem 1rem", font: "0.85rem/1.4 system-ui, sans-serif",
  background: "var(--paper-raised)", color: "var(--ink)", borderTop: "2px solid var(--warn)", overflowWrap: "anywhere",
});

const state = { ended: false, failed: "", gone: false, running: 0 };

/** Says at the bottom of the window how things are, until there is nothing to say. */
function say(change) {
  const { ended, failed, gone, running } = Object.assign(state, change);
  bar.textContent = ended ? "The preview has ended."
    : failed ? `This is the last good site. ${failed}`
    : gone ? "This page is not in the site any more. If its note should be, the terminal says why it is not."
    : running ? `Cells of ${running === 1 ? "1 note" : `${running} notes`} are running…` : "";
  if (!bar.textContent) bar.remove();
  else if (!bar.isConnected) document.body.append(bar);
}
