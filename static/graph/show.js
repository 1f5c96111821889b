// A map in its section: the canvas, what stands around it, and what a click on a note does.
import { around, hrefOf, load, previewOf } from "./data.js";
import { classes, resolve } from "./colours.js";
import { view } from "./view.js";

const BY = [["tag", "tag"], ["grade", "verification"], ["age", "last change"]];
const MOST = 90; // notes around one note: more of them say nothing
const KEY = "garden-map"; // what the reader chose last

const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

function make(name, properties = {}, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
}

function remembered() {
  try {
    return JSON.parse(localStorage.getItem(KEY)) ?? {};
  } catch {
    return {}; // storage may be forbidden, or hold something else
  }
}

function remember(choice) {
  try {
    localStorage.setItem(KEY, JSON.stringify({ ...remembered(), ...choice }));
  } catch {
    // then it lasts as long as the page
  }
}

/** Fills `section`; rejects where the map cannot be had. */
export async function show(section) {
  const all = await load();
  const local = section.dataset.graph === "local";
  if (local && !all.near[all.slugs.indexOf(section.dataset.slug)]?.length) {
    section.hidden = true; // a note without links has nothing around it
    return;
  }
  const map = { section, all, local, canvas: null, view: null, part: null, text: "", tag: "", by: "", depth: 1 };
  map.by = BY.some(([by]) => by === remembered().by) ? remembered().by : all.tags.some((of) => of.length) ? "tag" : "grade";
  map.depth = [1, 2, 3].includes(remembered().depth) ? remembered().depth : 1;
  furnish(map);
  draw(map);
  follow(map);
}

// ---------------------------------------------------------------- what stands around the canvas

function furnish(map) {
  const { section, local } = map;
  map.frame = make("div", { className: "graph-frame" });
  map.tools = make("div", { className: "graph-tools" });
  map.legend = make("ul", { className: "graph-legend" });
  map.said = make("p", { className: "graph-said" });
  map.said.setAttribute("role", "status");
  map.list = local ? shownAsList(map) : "";
  if (local) map.tools.append(make("h2", { textContent: "Around this note" }), depths(map));
  else map.tools.append(searching(map), tagging(map));
  map.tools.append(colouring(map));
  map.frame.append(buttons(map));
  section.replaceChildren(map.tools, map.frame, map.legend, map.said, map.list);
}

function choice(label, options, value, change) {
  const select = make("select", {}, ...options.map(([key, text]) => make("option", { value: key, textContent: text })));
  select.value = value;
  select.setAttribute("aria-label", label); // what the label element says would hold every option
  select.addEventListener("change", () => change(select.value));
  return make("label", {}, `${label} `, select);
}

const colouring = (map) => choice("coloured by", BY, map.by, (by) => {
  map.by = by;
  remember({ by });
  dress(map);
});

function depths(map) {
  const box = make("div", { className: "graph-depths" });
  box.setAttribute("role", "group");
  box.setAttribute("aria-label", "Links away");
  for (const depth of [1, 2, 3]) {
    const button = make("button", { type: "button", textContent: depth, title: depth === 1 ? "1 link away" : `Up to ${depth} links away` });
    button.setAttribute("aria-label", button.title);
    button.setAttribute("aria-pressed", depth === map.depth);
    button.addEventListener("click", () => {
      map.depth = depth;
      remember({ depth });
      for (const other of box.children) other.setAttribute("aria-pressed", other === button);
      draw(map);
    });
    box.append(button);
  }
  return box;
}

function searching(map) {
  const input = make("input", { type: "search", placeholder: "Find a note", autocomplete: "off", spellcheck: false });
  input.setAttribute("aria-label", "Show notes whose title holds");
  input.addEventListener("input", () => {
    map.text = input.value.trim().toLocaleLowerCase();
    dress(map);
  });
  input.addEventListener("keydown", (event) => {
    const first = event.key === "Enter" ? map.shown?.indexOf(1) ?? -1 : -1;
    if (first >= 0) map.view.select(first);
  });
  return input;
}

function tagging(map) {
  const counts = new Map();
  for (const tags of map.all.tags) {
    for (const tag of new Set(tags.flatMap(levels))) counts.set(tag, (counts.get(tag) ?? 0) + 1);
  }
  const names = [...counts.keys()].sort((a, b) => a.localeCompare(b));
  if (!names.length) return "";
  return choice("tag", [["", "all"], ...names.map((name) => [name, `${name} (${counts.get(name)})`])], "", (tag) => {
    map.tag = tag;
    dress(map);
  });
}

/** `a/b` is `a`, too. */
const levels = (tag) => tag.split("/").map((_, i, parts) => parts.slice(0, i + 1).join("/"));

function buttons(map) {
  const box = make("div", { className: "graph-zoom" });
  for (const [sign, label, act] of [["+", "Closer", () => map.view.zoom(1.5)], ["−", "Farther", () => map.view.zoom(1 / 1.5)], ["◦", "All of it", () => map.view.fit()]]) {
    const button = make("button", { type: "button", textContent: sign, title: label });
    button.setAttribute("aria-label", label);
    button.addEventListener("click", act);
    box.append(button);
  }
  return box;
}

/** The local map in words, made when it is asked for. */
function shownAsList(map) {
  const list = make("ul");
  const details = make("details", { className: "graph-list" }, make("summary", { textContent: "The same as a list" }), list);
  details.addEventListener("toggle", () => fillList(map, details));
  return details;
}

function fillList({ part }, details) {
  if (!details.open) return;
  const entries = part.slugs.map((_, i) => i).slice(1).map((i) => {
    const away = part.rings[i] === 1 ? "" : ` ${part.rings[i]} links away`;
    return make("li", {}, anchor(part, i), make("span", { className: "count", textContent: away }));
  });
  details.querySelector("ul").replaceChildren(...entries);
}

function anchor(part, i) {
  const link = make("a", { href: hrefOf(part.slugs[i]), textContent: part.titles[i] });
  Object.assign(link.dataset, { link: "found", slug: part.slugs[i], preview: previewOf(part.slugs[i]) });
  return link;
}

// ---------------------------------------------------------------- the canvas

function draw(map) {
  const { all, local, section } = map;
  map.part = local ? around(all, section.dataset.slug, map.depth, MOST) : all;
  map.view?.stop();
  map.canvas?.remove();
  map.canvas = make("canvas", { tabIndex: 0 });
  map.canvas.setAttribute("role", "img");
  map.canvas.setAttribute("aria-label", described(map));
  map.frame.prepend(map.canvas);
  kinds(map);
  map.view = view(map.canvas, map.part, {
    style: () => styled(map),
    open: (i, event) => open(map, i, event),
    hover: () => {},
    // A map inside a text must not catch the wheel of somebody who scrolls past it.
    wheel: (event) => !local || event.ctrlKey || document.activeElement === map.canvas,
    calm,
    centre: local ? 0 : -1,
  });
  if (local) fillList(map, map.list);
  say(map);
}

function described({ local, part }) {
  const keys = "Arrow keys move it, plus and minus zoom, 0 shows all.";
  return local ? `The ${part.count - 1} notes around this one. ${keys} The list below says the same.` : `Map of ${part.count} notes. ${keys} The list below says the same.`;
}

function kinds(map) {
  map.kinds = classes(map.by, map.part, map.all);
  const inks = resolve(map.section, map.kinds.kinds.map((kind) => kind.ink));
  map.legend.replaceChildren(...map.kinds.kinds.flatMap((kind, i) => {
    if (!map.kinds.counts[i]) return [];
    const swatch = make("span", { className: kind.hollow ? "swatch hollow" : "swatch" });
    swatch.style.color = inks[i];
    return [make("li", {}, swatch, `${kind.label} `, make("span", { className: "count", textContent: map.kinds.counts[i] }))];
  }));
  map.inks = inks;
}

function styled(map) {
  const [ink, soft, paper, link, strong] = resolve(map.section, ["var(--ink)", "var(--ink-faint)", "var(--paper)", "var(--link)", "var(--ink-strong)"]);
  map.shown = filtered(map);
  return {
    inks: map.inks, of: map.kinds.of, hollow: map.kinds.kinds.map((kind) => Boolean(kind.hollow)), ink, soft, paper, link, strong,
    font: getComputedStyle(map.section).fontFamily, shown: map.shown,
  };
}

/** Which notes the filters leave, or null for all. */
function filtered({ part, text, tag }) {
  if (!text && !tag) return null;
  return Uint8Array.from(part.slugs, (_, i) => Number(
    (!text || part.titles[i].toLocaleLowerCase().includes(text)) && (!tag || part.tags[i].some((one) => levels(one).includes(tag))),
  ));
}

/** Colours, theme or filters have changed. */
function dress(map) {
  kinds(map);
  map.view.restyle();
  say(map);
}

function say(map) {
  const { local, part, shown } = map;
  if (shown) map.said.textContent = `${shown.reduce((sum, one) => sum + one, 0)} of ${part.count} notes`;
  else if (local && part.total > part.count) map.said.textContent = `the nearest ${part.count - 1} of ${part.total - 1} notes`;
  else map.said.textContent = "";
}

/** An ordinary link is clicked, with the keys that were held: whoever handles links handles this one. */
function open({ part, frame, local }, i, event) {
  if (local && i === 0) return;
  const link = anchor(part, i);
  link.className = "graph-link";
  frame.append(link);
  const { ctrlKey, metaKey, shiftKey, altKey } = event;
  link.dispatchEvent(new MouseEvent("click", { bubbles: true, cancelable: true, view: window, ctrlKey, metaKey, shiftKey, altKey }));
  link.remove();
}

// ---------------------------------------------------------------- light and dark

function follow(map) {
  const again = () => map.section.isConnected && dress(map);
  new MutationObserver(again).observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
  document.fonts?.ready.then(again);
}
