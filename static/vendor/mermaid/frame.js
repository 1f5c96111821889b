// Shows one drawing, with the styles that it brings. Sandboxed like the engine that made it.
//   in   { svg, name, dark, face }   out   { height, title }
"use strict";
const drawing = document.getElementById("drawing");
const LEGIBLE = 0.65; // a wide drawing is made smaller down to this; then it scrolls
let title = null;

addEventListener("message", (event) => {
  if (event.source === parent) show(event.data);
});

new ResizeObserver(tell).observe(drawing);

async function show({ svg, name, dark, face }) {
  if (face && !document.fonts.size) document.fonts.add(await new FontFace("Garden Text", face).load());
  document.documentElement.style.colorScheme = dark ? "dark" : "light";
  drawing.toggleAttribute("data-dark", dark);
  drawing.innerHTML = svg;
  const picture = drawing.firstElementChild;
  picture.style.minWidth = `${LEGIBLE * picture.viewBox.baseVal.width}px`;
  // A frame without rights can lead nowhere: what looks like a link there would be a broken promise.
  for (const link of picture.querySelectorAll("a")) link.replaceWith(...link.childNodes);
  title = picture.querySelector(":scope > title")?.textContent ?? "";
  if (!title) picture.setAttribute("aria-label", name);
  tell();
}

function tell() {
  drawing.tabIndex = drawing.scrollWidth > drawing.clientWidth ? 0 : -1; // what scrolls must do so by keyboard, too
  if (title !== null) parent.postMessage({ title, height: drawing.offsetHeight }, "*");
}
