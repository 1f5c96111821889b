// Draws the diagrams of a page, one after the other. Mermaid writes inline styles, which no page of the garden
// allows; so it lives in this frame, which is sandboxed: it has no origin, no storage, no network and no way to
// the page but these messages.
//   in   { id, source, dark, colours, face }   out   { id, svg } or { id, error }
"use strict";
const FACE = '"Garden Text", Palatino, serif';
let latest = Promise.resolve();
let count = 0;

addEventListener("message", ({ source: sender, data }) => {
  if (sender !== parent) return;
  latest = latest.then(() => draw(data)).then((svg) => ({ svg }), failure)
    .then((answer) => parent.postMessage({ id: data.id, ...answer }, "*"));
});

async function draw({ source, dark, colours, face }) {
  if (face && !document.fonts.size) document.fonts.add(await new FontFace("Garden Text", face).load());
  mermaid.initialize({
    startOnLoad: false,
    securityLevel: "strict",
    suppressErrorRendering: true,
    theme: "base",
    fontFamily: FACE,
    themeVariables: { darkMode: dark, fontFamily: FACE, ...colours },
  });
  return (await mermaid.render(`diagram-${++count}`, source)).svg;
}

function failure(error) {
  const [first] = String(error?.message ?? error).split("\n", 1);
  return { error: `${first.slice(0, 200).replace(/[.:\s]+$/, "")}.` };
}
