// A page is seen in its own faces from its first picture on: it waits for those that its head asks for, a moment.
// A classic script on purpose, as theme.js: it runs before there is anything to be seen.
(() => {
  "use strict";
  const MOMENT = 2000; // on a line of 1 Mbit/s all are there by then; browsers by themselves would wait for three seconds
  const root = document.documentElement;
  const faces = [...document.querySelectorAll("link[as=font][data-face]")].map((link) => link.dataset.face);
  const there = (face) => document.fonts.check(face);

  function show() {
    clearTimeout(waiting);
    if (root.dataset.faces !== "awaited") return;
    delete root.dataset.faces;
    if (faces.some((face) => /math/i.test(face) && !there(face))) root.dataset.faces = "late"; // see tokens.css
  }

  const waiting = setTimeout(show, MOMENT);
  root.dataset.faces = "awaited";
  Promise.allSettled(faces.map((face) => document.fonts.load(face))).then(show);
})();
