// Draws one diagram. Mermaid writes inline styles, which no page of the garden allows; so it lives in this frame,
// which is sandboxed: it has no origin, no storage, no network and no way to the page but these messages.
//   in   { source, name, dark, colours, face }   out   { height, title } or { error }
"use strict";
const drawing = document.getElementById("drawing");
const LEGIBLE = 0.65; // a wide diagram is made smaller down to this; then it scrolls
let latest = Promise.resolve();
let drawn = null;
let count = 0;

addEventListener("message", (event) => {
  if (event.source === parent) latest = latest.then(() => draw(event.data)).catch(fail);
});

new ResizeObserver(tell).observe(drawing);

async function draw({ source, name, dark, colours, face }) {
  if (face && !document.fonts.size) document.fonts.add(await new FontFace("Garden Text", face).load());
  document.documentElement.style.colorScheme = dark ? "dark" : "light";
  drawing.toggleAttribute("data-dark", dark);
  mermaid.initialize({
    startOnLoad: false,
    securityLevel: "strict",
    suppressErrorRendering: true,
    theme: "base",
    fontFamily: '"Garden Text", Palatino, serif',
    themeVariables: { darkMode: dark, fontFamily: '"Garden Text", Palatino, serif', ...colours },
  });
  const { svg } = await mermaid.render(`diagram-${++count}`, source);
  drawing.innerHTML = svg;
  const picture = drawing.firstElementChild;
  picture.style.minWidth = `${LEGIBLE * picture.viewBox.baseVal.width}px`;
  // A frame without rights can lead nowhere: what looks like a link there would be a broken promise.
  for (const link of picture.querySelectorAll("a")) link.replaceWith(...link.childNodes);
  const title = picture.querySelector(":scope > title")?.textContent ?? "";
  if (!title) picture.setAttribute("aria-label", name);
  drawn = { title };
  tell();
}

function tell() {
  if (drawn) parent.postMessage({ ...drawn, height: drawing.offsetHeight }, "*");
}

function fail(error) {
  drawn = null;
  drawing.replaceChildren();
  const [first] = String(error?.message ?? error).split("\n", 1);
  parent.postMessage({ error: `${first.slice(0, 200).replace(/[.:\s]+$/, "")}.` }, "*");
}
