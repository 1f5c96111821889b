// Hover a link to a note, or reach it with the keyboard, and see the note without leaving this one.
//
// Cards form a stack: a link inside a card opens the next one, and a card closes after those above it.
// What is shown is a fragment that the build made; ids in it are `data-anchor`, so they never
// collide with those of the page. Works by delegation: pages and cards that appear later need no set-up.
import { anchored, beside, rebase } from "./notes.js";
import { parse } from "./trust.js";
import { watch } from "./wide.js";

const DELAY = 200; // before a card opens: a pointer that only passes by opens nothing
const REST = 80; // before it is made, unseen: then showing it is no more than painting it
const GRACE = 260; // before it closes: time to move into it
const EDGE = 12; // from the edge of the window
const GAP = 6; // from the link

const cards = []; // { link, element, byKeyboard }
const fragments = new Map(); // URL of a fragment → promise of its document, or of null
let opening = 0;
let closing = 0;
let pending = null; // the link whose card is to open
let ready = null; // that card, made before it is shown: { link, card }, a promise of its element or of null
let returning = false; // focus is going back to a link: no reason to open its card again

// A note that is open in a pane shows itself; see panes.js.
const PREVIEWABLE = "a[data-preview]:not([data-open]), .footnote-ref > a, a[data-link='found'][href]:not([data-open])";
const previewable = (target) => target.closest?.(PREVIEWABLE);

// ---------------------------------------------------------------- what to show

const IMAGE = /\.(?:png|jpe?g|gif|svg|webp|avif)$/i;
const FRAME = /\.pdf$/i;

/** The element to show for a link, or null where there is nothing to show. */
async function content(link) {
  if (link.matches(".footnote-ref > a")) return footnote(link);
  if (link.dataset.preview) return excerpt(await fragment(base(link, link.dataset.preview)), link.hash);
  const path = link.pathname;
  if (IMAGE.test(path)) return Object.assign(document.createElement("img"), { src: link.href, alt: link.textContent });
  if (FRAME.test(path)) return Object.assign(document.createElement("iframe"), { src: link.href, title: link.textContent });
  return null;
}

// A data attribute is not resolved by the browser, as `href` is; cards resolve theirs when they are made.
const base = (link, relative) => new URL(relative, document.baseURI).href;

function fragment(url) {
  if (!fragments.has(url)) fragments.set(url, load(url));
  return fragments.get(url);
}

async function load(url) {
  try {
    const answer = await fetch(url);
    if (!answer.ok) return null;
    const page = parse(await answer.text());
    rebase(page, url); // addresses in a fragment are relative to its own file
    return page.querySelector(".preview");
  } catch {
    fragments.delete(url); // offline now, perhaps not later
    return null;
  }
}

/** A copy of the fragment, or of the part of it that `hash` names. */
function excerpt(preview, hash) {
  if (!preview) return null;
  const copy = document.importNode(preview, true);
  const anchor = decodeURIComponent(hash.slice(1));
  const target = anchor && copy.querySelector(`[data-anchor="${CSS.escape(anchor)}"]`);
  if (target) copy.querySelector(".preview-body").replaceChildren(...part(target));
  return copy;
}

/** A heading stands for its section: itself and what follows, up to the next heading as high. */
function part(target) {
  const level = /^H([1-6])$/.exec(target.tagName)?.[1];
  if (!level) return [target];
  const nodes = [target];
  for (let next = target.nextElementSibling; next; next = next.nextElementSibling) {
    const other = /^H([1-6])$/.exec(next.tagName)?.[1];
    if (other && other <= level) break;
    nodes.push(next);
  }
  return nodes;
}

function footnote(link) {
  const home = link.closest(".pane")?.dataset.href ?? location.href;
  if (link.pathname !== new URL(home).pathname) return null; // inside a card: the footnote is on another page
  const note = anchored(link, link.hash);
  if (!note || beside(note)) return null;
  const box = document.createElement("div");
  box.className = "preview preview-body";
  box.append(...document.importNode(note, true).childNodes);
  box.querySelector(".backrefs")?.remove();
  for (const element of box.querySelectorAll("[id]")) element.removeAttribute("id");
  return box;
}

// ---------------------------------------------------------------- opening and closing

/** The link in the page itself that led to the card in which `node` is; null where it is in none. */
export const originOf = (node) => (depthOf(node) ? cards[0].link : null);

const depthOf = (node) => cards.findIndex((card) => card.element.contains(node)) + 1;

async function open(link, byKeyboard) {
  const depth = depthOf(link);
  if (cards[depth]?.link === link) return;
  const element = await prepared(link);
  if (pending !== link) return; // the pointer has moved on
  ready = null;
  if (!element || !link.isConnected) {
    element?.remove();
    close(depth);
    return;
  }
  place(element, link); // again, since the page may have been scrolled; before anything changes, so nothing is laid out
  close(depth);
  delete element.dataset.waiting;
  cards.push({ link, element, byKeyboard });
}

/** The card for a link, in the page and laid out, but not seen; there is one at a time. */
function prepared(link) {
  if (ready?.link !== link) {
    drop();
    ready = { link, card: make(link) };
  }
  return ready.card;
}

async function make(link) {
  const shown = await content(link);
  if (!shown || ready?.link !== link || !link.isConnected) return null;
  const element = document.createElement("aside");
  element.className = "preview-card";
  element.tabIndex = -1;
  element.dataset.waiting = "";
  element.setAttribute("aria-label", `Preview: ${link.textContent.trim()}`);
  element.append(shown);
  document.body.append(element);
  place(element, link);
  watch(element);
  for (const image of element.querySelectorAll("img")) image.addEventListener("load", () => place(element, link));
  return element;
}

/** No card opens: the one that was being made goes. */
function forget() {
  clearTimeout(opening);
  pending = null;
  drop();
}

function drop() {
  ready?.card.then((element) => element?.remove());
  ready = null;
}

/** Shows what a link leads to at once, as the keyboard does; whoever calls keeps the link from being followed. */
export function peek(link) {
  clearTimeout(opening);
  close(depthOf(link));
  pending = link;
  return open(link, true);
}

/** Closes every card from `depth` up, the last one first. */
export function close(depth) {
  while (cards.length > depth) {
    const { element, link } = cards.pop();
    returning = true;
    if (element.contains(document.activeElement)) link.focus();
    returning = false;
    element.remove();
  }
}

/** Below the link if it fits there, else above, else where there is more room; never past an edge. */
function place(element, link) {
  const boxes = [...link.getClientRects()];
  const at = boxes.find((box) => pointer.y >= box.top && pointer.y <= box.bottom) ?? boxes[0];
  if (!at) return;
  const { offsetWidth: width, offsetHeight: height } = element;
  const below = innerHeight - at.bottom;
  const top = below >= height + GAP + EDGE || below >= at.top ? at.bottom + GAP : at.top - GAP - height;
  element.style.left = `${clamp(at.left, EDGE, innerWidth - width - EDGE)}px`;
  element.style.top = `${clamp(top, EDGE, innerHeight - height - EDGE)}px`;
}

const clamp = (value, low, high) => Math.max(low, Math.min(value, high));

/** Opens the card of a link that was reached at `since`. */
function want(link, byKeyboard, since) {
  clearTimeout(opening);
  pending = link;
  const after = (delay, act) => { opening = setTimeout(act, delay - (performance.now() - since)); };
  const show = () => after(DELAY, () => open(link, byKeyboard));
  if (navigator.connection?.saveData) return show();
  if (link.dataset.preview) fragment(base(link, link.dataset.preview));
  return after(REST, () => {
    prepared(link);
    show();
  });
}

function leave(depth) {
  clearTimeout(closing);
  closing = setTimeout(() => close(depth), GRACE);
}

// ---------------------------------------------------------------- what the reader does

const pointer = { x: -1, y: -1 };

document.addEventListener("pointerover", (event) => {
  if (event.pointerType === "touch") return;
  pointer.x = event.clientX;
  pointer.y = event.clientY;
  const link = previewable(event.target);
  if (link) {
    const depth = depthOf(link);
    clearTimeout(closing);
    if (cards[depth] && cards[depth].link !== link) leave(depth);
    if (pending !== link || !cards[depth]) want(link, false, event.timeStamp);
    return;
  }
  forget();
  const depth = depthOf(event.target);
  if (cards.length > depth && !cards[depth].byKeyboard) leave(depth);
  else clearTimeout(closing);
});

document.documentElement.addEventListener("pointerleave", forget);

document.addEventListener("site-changed", () => fragments.clear());

document.addEventListener("focusin", (event) => {
  if (returning) return;
  const link = previewable(event.target);
  if (link?.matches(":focus-visible")) {
    close(depthOf(link));
    want(link, true, event.timeStamp);
  } else if (!event.target.matches(".preview-card")) {
    close(depthOf(event.target));
  }
});

document.addEventListener("focusout", (event) => {
  if (event.target === pending) {
    forget();
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && (cards.length || pending)) {
    forget();
    close(Math.max(0, cards.length - 1));
  } else if (event.key === "ArrowDown" && cards.at(-1)?.link === document.activeElement) {
    // The way into a card by keyboard: Tab goes on to the next link, as everywhere.
    event.preventDefault();
    const { element } = cards.at(-1);
    (element.querySelector("a[href], button, summary") ?? element).focus();
  }
});

document.addEventListener("click", (event) => {
  if (!event.target.closest?.(".preview-card")) close(0);
});

// Scrolling means reading on, unless it was the keyboard that brought the link into view.
addEventListener("scroll", (event) => {
  if (!cards.length || event.target.closest?.(".preview-card")) return;
  if (cards[0].byKeyboard) for (const { element, link } of cards) place(element, link);
  else close(0);
}, { capture: true, passive: true });

addEventListener("resize", () => close(0));
