// Notes side by side, as Andy Matuschak lays out his: a link opens its note to the right of the one it is in,
// and what lies to the right of that makes room. The address says the whole stack: its path is the first
// note, `?stackedNotes=` the others, its fragment a place in the last. Without script, or in a narrow window,
// every link is an ordinary link.
//
// The panes in the document are the state; nothing is kept beside them but which one the reader is in.
import { anchored, announce, apart, fetched, pageOf, rebase, slugAt } from "./notes.js";
import { close as closePreviews, originOf } from "./previews.js";

const KEY = "garden-panes"; // "off" where the reader prefers one page at a time
const PARAMETER = "stackedNotes";
const SHOWN = 120; // a pane of which less is to be seen shows its spine instead of its text
const RESTS = 90; // milliseconds after which a pointer on a link is more than passing by
const GLIDE = { duration: 320, easing: "cubic-bezier(0.22, 0.7, 0.2, 1)" };

const root = document.documentElement;
const main = document.querySelector("main");
const row = document.querySelector(".panes");
const wide = matchMedia("(width >= 800px)");
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const home = { href: here(location.href), slug: row?.firstElementChild.dataset.slug, title: document.title };
const titles = new Map([[home.slug, home.title]]);

let current = null; // the pane that the reader is in
let latest = 0; // counts wishes: only the last one is granted
let made = 0; // counts panes, for the prefix of their ids
let led = false; // whether the focus moves because a pane was entered
let settled = false; // whether the addresses in the page as it came are absolute

const panes = () => [...row.children];
const slugs = () => panes().map((pane) => pane.dataset.slug);
const paneOf = (slug) => panes().find((pane) => pane.dataset.slug === slug);
const stacked = () => root.classList.contains("stacked");
const scrollerOf = (pane) => (stacked() && wide.matches ? pane.querySelector(".pane-scroll") : document.scrollingElement);
const titleOf = (pane) => pane.querySelector("h1").textContent;

function here(address) {
  const url = new URL(address);
  return url.origin + url.pathname;
}

function preferred() {
  try {
    return localStorage.getItem(KEY) !== "off";
  } catch {
    return true; // storage may be forbidden
  }
}

const active = () => wide.matches && preferred();

// ---------------------------------------------------------------- the address

/** The stack that an address asks for: each note once. */
function asked(url) {
  const base = here(url.href) === home.href ? home.slug : slugAt(url.pathname);
  return [...new Set([base, ...url.searchParams.getAll(PARAMETER)])];
}

function addressOf(stack, hash = "") {
  const base = stack[0] === home.slug ? home.href : pageOf(stack[0]);
  const url = new URL(base);
  if (base === here(location.href)) url.search = location.search;
  url.searchParams.delete(PARAMETER);
  for (const slug of stack.slice(1)) url.searchParams.append(PARAMETER, slug);
  url.hash = hash;
  return url.href;
}

function record(hash = "", how = "pushState") {
  const address = addressOf(slugs(), hash);
  // Where panes scroll, the browser has nothing to restore; going back must not move the one that stays.
  if (stacked()) history.scrollRestoration = "manual";
  if (address !== location.href) history[how](null, "", address);
  history.scrollRestoration = stacked() ? "manual" : "auto";
}

// ---------------------------------------------------------------- making panes

function paneFrom(page, slug) {
  const pane = document.createElement("div");
  pane.className = "pane";
  pane.dataset.slug = slug;
  pane.dataset.href = pageOf(slug);
  pane.dataset.ids = `p${++made}:`;
  pane.lang = page.documentElement.lang;
  const scroll = document.createElement("div");
  scroll.className = "pane-scroll";
  scroll.append(fitted(pane, page));
  pane.append(scroll);
  titles.set(slug, page.title);
  return pane;
}

/** The note of `page` as it may stand in `pane`. */
export function fitted(pane, page) {
  const note = document.importNode(page.querySelector("article.note"), true);
  if (pane.dataset.ids) {
    name(note, titleOf(note));
    apart(note, pane.dataset.ids);
  } else if (settled) rebase(note, home.href, ["href", "data-preview"]);
  return note;
}

/** Says anew what is said of a note in `pane` outside its text, which is now that of `page`. */
export function refreshed(pane, page) {
  titles.set(pane.dataset.slug, page.title);
  arrange(panes());
  entitle(pane);
  tint();
  document.title = titles.get(panes().at(-1).dataset.slug);
}

// Parts that every note has, such as its contents, are landmarks: in a list of them each must say whose it is.
function name(note, title) {
  note.querySelector("h1").id ||= "title";
  const heading = note.querySelector("h1").id;
  for (const part of note.querySelectorAll("nav, section, aside, [role=region]")) {
    if (part.hasAttribute("aria-labelledby")) part.setAttribute("aria-labelledby", `${part.getAttribute("aria-labelledby")} ${heading}`);
    else if (part.hasAttribute("aria-label")) part.setAttribute("aria-label", `${part.getAttribute("aria-label")}: ${title}`);
  }
}

/** Gives a pane what only a pane has: its spine and its two handles. */
function furnish(pane) {
  if (pane.querySelector(":scope > .spine")) return;
  const spine = document.createElement("a");
  spine.className = "spine";
  spine.href = pane.dataset.href;
  spine.append(document.createElement("span"));
  const tools = document.createElement("div");
  tools.className = "pane-tools";
  const alone = document.createElement("a");
  alone.className = "pane-alone";
  alone.href = pane.dataset.href;
  alone.title = "Open as base: this note alone";
  const shut = document.createElement("button");
  shut.type = "button";
  shut.className = "pane-close";
  shut.title = "Close (x)";
  tools.append(alone, shut);
  pane.prepend(spine, tools);
  entitle(pane);
}

/** Writes the title of a pane's note on whatever was furnished. */
function entitle(pane) {
  const title = titleOf(pane);
  const span = pane.querySelector(":scope > .spine > span");
  if (!span) return;
  span.textContent = title;
  pane.querySelector(".pane-alone").setAttribute("aria-label", `Open “${title}” as base`);
  pane.querySelector(".pane-close").setAttribute("aria-label", `Close “${title}”`);
}

// ---------------------------------------------------------------- showing a stack

/**
 * Makes the panes those of `stack`, in this order; those that are open stay as they are. Notes that are not
 * there are left out. `keep` is an element that must not move while the page becomes a stack or a page again;
 * `next` the pane that the reader will be in, the last one if that is not said.
 * Resolves to whether the stack is now as wished; false if the last note of it, or the first, is not there,
 * and then nothing has changed; null if the reader has wished for something else meanwhile.
 */
async function show(stack, { keep = null, next = null, still = false } = {}) {
  const wish = ++latest;
  const pages = await Promise.all(stack.map((slug) => (paneOf(slug) ? true : fetched(slug))));
  if (wish !== latest) return null;
  if (!pages[0] || (!still && !pages.at(-1))) return false;
  const added = [];
  const wanted = stack.flatMap((slug, i) => {
    if (!pages[i]) return [];
    const open = paneOf(slug);
    if (open) return [open];
    added.push(paneFrom(pages[i], slug));
    return [added.at(-1)];
  });
  current = wanted.includes(next) ? next : wanted.at(-1);
  glide(() => {
    closePreviews(0);
    arrange(wanted);
    for (const pane of added) announce(pane);
    tint();
    return current;
  }, { still, held: keep?.isConnected ? keep : firstSeen(wanted[0]) });
  document.title = titles.get(wanted.at(-1).dataset.slug);
  return true;
}

/** Puts the panes into the document and says of each where in the stack it is. */
function arrange(wanted) {
  const together = wanted.length > 1;
  for (const pane of panes()) if (!wanted.includes(pane)) pane.remove();
  wanted.forEach((pane, i) => {
    if (row.children[i] !== pane) row.insertBefore(pane, row.children[i] ?? null);
    if (together) furnish(pane);
    pane.style.setProperty("--i", i);
    const scroll = pane.querySelector(".pane-scroll");
    for (const [key, value] of [["role", "region"], ["tabindex", "0"], ["aria-label", `${i + 1}. ${titleOf(pane)}`]]) {
      if (together) scroll.setAttribute(key, value);
      else scroll.removeAttribute(key);
    }
  });
  if (together && !settled) rebase(document, home.href, ["href", "data-preview"]); // the path may change from here on
  settled ||= together;
  root.classList.toggle("stacked", together);
  fit();
}

// Asked for a width, or how far it is scrolled, the browser lays out all that has changed. So where panes are
// is computed, and what that needs is read once, at a time when nothing has changed.

let known = null; // { width, spine, room, scrolled }

function measures() {
  if (!known) {
    const style = getComputedStyle(root);
    const [width, spine] = ["--pane-width", "--spine-width"].map((key) => parseFloat(style.getPropertyValue(key)));
    known = { width, spine, room: innerWidth, scrolled: main.scrollLeft };
  }
  return known;
}

/** How far one spine is from the next: where there are more than fit, they move closer together. */
function spacing(count = row.children.length) {
  const { width, spine, room } = measures();
  return Math.max(6, Math.min(spine, (room - width) / Math.max(1, count - 1)));
}

function fit() {
  const count = row.children.length;
  const spine = `${spacing(count)}px`;
  for (const element of [row, ...row.children]) {
    element.style.setProperty("--n", count);
    element.style.setProperty("--spine", spine);
  }
}

/**
 * Runs `change`, brings the pane that it returns into view, and lets every pane move from where it was to where
 * it is; `held` is an element that stays as high in the window as it is.
 */
function glide(change, { still = false, held = null } = {}) {
  const moving = !(still || calm.matches || !wide.matches);
  const edge = (pane) => pane.querySelector("h1").getBoundingClientRect().left;
  measures().scrolled = main.scrollLeft;
  const before = new Map(moving ? panes().map((pane) => [pane, edge(pane)]) : []);
  const top = held?.getBoundingClientRect().top;
  for (const animation of gliding.splice(0)) animation.cancel();
  const pane = change();
  reveal(pane);
  survey();
  // All is written; from here on it is only read, and the page is laid out once.
  if (stacked() && main.scrollLeft !== known.scrolled) main.scrollLeft = known.scrolled;
  const moved = held?.closest(".pane") ? held.getBoundingClientRect().top - top : 0;
  const steps = moving ? panes().map((one) => [one, before.has(one) ? before.get(one) - edge(one) : innerWidth - one.getBoundingClientRect().left]) : [];
  if (Math.abs(moved) >= 1) scrollerOf(held.closest(".pane")).scrollBy({ top: moved, behavior: "instant" });
  for (const [one, by] of steps) {
    if (Math.abs(by) >= 1) gliding.push(one.animate([{ transform: `translateX(${by}px)` }, { transform: "none" }], GLIDE));
  }
}

const gliding = []; // the animations that move panes

const HEIGHT = ".note-body > *, .note > *";
function firstSeen(pane) {
  const parts = [...pane.querySelectorAll(HEIGHT)];
  return parts.find((part) => part.getBoundingClientRect().bottom > 80) ?? pane;
}

// ---------------------------------------------------------------- where the panes are

/** How far the row is to be scrolled, no further than needed, so that all of `pane` is to be seen. */
function reveal(pane) {
  const { width, room, scrolled } = measures();
  const spine = spacing();
  const all = panes(), i = all.indexOf(pane);
  const highest = (width - spine) * i;
  const lowest = width * (i + 1) + spine * (all.length - 1 - i) - room;
  const end = Math.max(0, all.length * width - room);
  known.scrolled = stacked() ? Math.max(0, Math.min(Math.max(scrolled, lowest), highest, end)) : 0;
}

/** Says of each pane whether it lies over its neighbour, and whether too little of it is to be seen. */
function survey() {
  const all = panes();
  const { width, room, scrolled } = measures();
  const spine = spacing(all.length);
  const margin = Math.max(0, (room - all.length * width) / 2);
  const lefts = all.map((_, i) => Math.max(Math.min(margin + i * width - scrolled, room - (all.length - i) * spine), i * spine));
  all.forEach((pane, i) => {
    const seen = Math.min(lefts[i + 1] ?? Infinity, room) - lefts[i];
    pane.toggleAttribute("data-obstructed", stacked() && wide.matches && seen < SHOWN);
    pane.toggleAttribute("data-over", stacked() && i > 0 && lefts[i] < lefts[i - 1] + width - 1);
    pane.toggleAttribute("data-current", pane === current);
  });
}

/** Marks the links to notes that are open. */
function tint() {
  const open = stacked() ? slugs() : [];
  for (const link of row.querySelectorAll("a[data-slug]")) {
    const slug = link.dataset.slug;
    link.toggleAttribute("data-open", open.includes(slug) && link.closest(".pane").dataset.slug !== slug);
  }
}

function point(link) {
  const pane = link ? paneOf(link.dataset.slug) : null;
  for (const other of row.querySelectorAll("[data-pointed]")) if (other !== pane) other.removeAttribute("data-pointed");
  pane?.setAttribute("data-pointed", "");
}

function flash(element) {
  element.classList.remove("flash");
  void element.offsetWidth; // so that it flashes again, if it is still at it
  element.classList.add("flash");
  element.addEventListener("animationend", () => element.classList.remove("flash"), { once: true });
}

// ---------------------------------------------------------------- moving about

const voice = document.createElement("p");
voice.className = "announcer";
voice.setAttribute("role", "status");
document.body.append(voice);

/** Leads the reader into a pane: brings it into view, moves the focus there, and says where that is. */
function enter(pane, what = "") {
  current = pane;
  glide(() => pane);
  attend(what);
}

/** Moves the focus into the current pane, which is in view, and says where that is. */
function attend(what = "") {
  led = true;
  if (stacked()) current.querySelector(".pane-scroll").focus({ preventScroll: true });
  led = false;
  const all = panes();
  voice.textContent = `${what}${titleOf(current)}${all.length > 1 ? `, pane ${all.indexOf(current) + 1} of ${all.length}` : ""}`;
}

/** Scrolls a pane to the place that `hash` names, and marks it. */
function arrive(pane, hash) {
  for (const marked of pane.querySelectorAll(".target")) marked.classList.remove("target");
  const target = anchored(pane, hash);
  if (!target) return;
  for (let part = target.closest("details"); part; part = part.parentElement.closest("details")) part.open = true;
  const scroller = scrollerOf(pane);
  const above = stacked() ? scroller.getBoundingClientRect().top : 0;
  const top = target.getBoundingClientRect().top - above - 24;
  scroller.scrollBy({ top, behavior: calm.matches ? "instant" : "auto" });
  target.classList.add("target");
}

/** What a click on a link to a note does. */
async function follow(link, pane) {
  const { slug } = link.dataset;
  const open = paneOf(slug);
  if (open) {
    enter(open);
    if (link.hash) arrive(open, link.hash);
    else if (open === pane) scrollerOf(open).scrollTo({ top: 0 });
    flash(open);
    return;
  }
  const all = slugs();
  const keep = pane.contains(link) ? link : null;
  const done = await show([...all.slice(0, all.indexOf(pane.dataset.slug) + 1), slug], { keep });
  if (done === false) location.assign(link.href);
  if (!done) return;
  record(link.hash);
  attend("Opened ");
  arrive(current, link.hash);
}

async function shut(pane) {
  const all = slugs();
  const at = all.indexOf(pane.dataset.slug);
  if (all.length < 2) return;
  const stay = current === pane ? null : current;
  const closed = titleOf(pane);
  const next = stay ?? panes()[Math.max(0, at - 1)];
  if (!(await show(all.toSpliced(at, 1), { next: next === pane ? panes()[1] : next }))) return;
  record();
  attend(`Closed ${closed}. `);
}

async function alone(pane) {
  if (!(await show([pane.dataset.slug]))) return;
  record();
  attend();
}

// ---------------------------------------------------------------- what the reader does

const plain = (event) => !event.defaultPrevented && event.button === 0
  && !(event.metaKey || event.ctrlKey || event.shiftKey || event.altKey);

function inside(link) {
  return link.closest(".pane") ?? originOf(link)?.closest(".pane") ?? null;
}

/** Whether a link leads to a place in the note that it stands in. */
function stays(link, pane) {
  if (!link.hash) return false;
  return link.dataset.slug ? link.dataset.slug === pane.dataset.slug : here(link.href) === pane.dataset.href;
}

/** The note that a click on `target` would open in a pane, if any. */
function opens(target) {
  const link = target.closest?.("a[data-link='found'][data-slug]");
  return link && active() && inside(link) && !paneOf(link.dataset.slug) ? link.dataset.slug : "";
}

function clicked(event) {
  const covered = event.target.closest?.("[data-obstructed]");
  if (covered && plain(event)) {
    event.preventDefault();
    enter(covered);
    return;
  }
  const link = event.target.closest?.("a[href]");
  const pane = link && inside(link);
  if (!pane || !plain(event) || link.hasAttribute("download") || !["", "_self"].includes(link.target)) return;
  if (link.matches(".pane-alone")) alone(pane);
  else if (stays(link, pane) && pane.contains(link)) {
    if (!stacked() && !pane.dataset.ids) return; // the page as it came: the browser knows the way
    arrive(pane, link.hash);
    if (pane === panes().at(-1)) record(link.hash);
  } else if (active() && link.dataset.link === "found" && link.dataset.slug) follow(link, pane);
  else return;
  event.preventDefault();
}

const BUSY = "input, textarea, select, [contenteditable], audio, video, dialog, iframe, [role=application], canvas";

function typed(event) {
  if (!stacked() || !wide.matches || event.defaultPrevented) return;
  if (event.metaKey || event.ctrlKey || event.altKey || event.shiftKey) return;
  const at = document.activeElement;
  if (at?.closest(BUSY) || document.querySelector("dialog[open]") || !current) return;
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (step && at?.scrollWidth > at?.clientWidth && at.matches(".pane-scroll *")) return; // a table that scrolls
  const next = step && panes()[panes().indexOf(current) + step];
  if (next) enter(next);
  else if (event.key === "x") shut(current);
  if (step || event.key === "x") event.preventDefault();
}

async function travelled() {
  const wanted = asked(new URL(location.href));
  const stack = preferred() ? wanted : wanted.slice(0, 1);
  const same = stack.join("\n") === slugs().join("\n");
  const shown = same || (await show(stack));
  if (shown === false) return location.reload();
  if (!same && shown) attend();
  if (stacked() || current?.dataset.ids) arrive(panes().at(-1), location.hash);
  history.scrollRestoration = stacked() ? "manual" : "auto";
  return undefined;
}

/** The stack of the address that was opened; notes that are gone are left out, of the address as well. */
async function restore() {
  const wanted = asked(new URL(location.href));
  if (!active() || wanted.length < 2) return root.classList.remove("stacked");
  if (!(await show(wanted, { still: true }))) return root.classList.remove("stacked");
  record(location.hash, "replaceState");
  return arrive(current, location.hash);
}

// ---------------------------------------------------------------- the switch, and the link to a stack

function equip() {
  const toggle = document.querySelector(".panes-toggle");
  if (!toggle) return;
  toggle.hidden = false;
  const say = () => toggle.setAttribute("aria-pressed", String(preferred()));
  say();
  toggle.addEventListener("click", () => {
    try {
      if (preferred()) localStorage.setItem(KEY, "off");
      else localStorage.removeItem(KEY);
    } catch {
      return; // what can't be remembered can't be switched
    }
    say();
    if (!preferred() && stacked()) alone(current);
  });
  addEventListener("storage", say);
  if (row && navigator.clipboard) toggle.before(copier());
}

function copier() {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "stack-copy";
  button.textContent = "Copy link to this stack";
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(addressOf(slugs(), location.hash));
      button.textContent = voice.textContent = "Copied";
    } catch {
      button.textContent = "Not allowed";
    }
    setTimeout(() => { button.textContent = "Copy link to this stack"; }, 1500);
  });
  return button;
}

equip();

if (row) {
  current = panes()[0];
  current.dataset.href = home.href;
  document.addEventListener("click", clicked);
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.(".pane-close");
    if (button) shut(button.closest(".pane"));
  });
  document.addEventListener("keydown", typed);
  // Most of what a click waits for can be done before: when the pointer rests on a link, or the button is down.
  let resting = 0;
  document.addEventListener("pointerover", (event) => {
    clearTimeout(resting);
    const slug = event.pointerType !== "touch" && !navigator.connection?.saveData && opens(event.target);
    if (slug) resting = setTimeout(() => fetched(slug), RESTS);
  });
  document.addEventListener("pointerdown", (event) => {
    const slug = opens(event.target);
    if (slug) fetched(slug);
  });
  document.addEventListener("pointerover", (event) => point(event.target.closest?.("a[data-open]")));
  document.addEventListener("focusin", (event) => {
    const pane = event.target.closest?.(".pane");
    point(event.target.closest?.("a[data-open]"));
    if (!pane || !stacked() || led) return;
    current = pane;
    // Focus that the keyboard moved must be seen; a pointer is where it is, and nothing may move below it.
    if (event.target.matches(":focus-visible") && !event.target.matches(".spine")) glide(() => pane);
    else survey();
  });
  let waiting = false;
  const later = () => {
    if (!waiting) requestAnimationFrame(() => { waiting = false; measures().scrolled = main.scrollLeft; survey(); });
    waiting = true;
  };
  main.addEventListener("scroll", later, { passive: true });
  addEventListener("resize", () => { known = null; if (stacked()) { fit(); later(); } });
  addEventListener("popstate", travelled);
  restore();
} else {
  root.classList.remove("stacked");
}
