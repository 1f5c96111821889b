// Runs before the first paint, so a reader who chose dark never sees a flash of light.
// A classic script on purpose: it must block, and it must work from file://.
(() => {
  "use strict";
  const KEY = "garden-theme";
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");

  function remembered() {
    try {
      const value = localStorage.getItem(KEY);
      return value === "light" || value === "dark" ? value : "";
    } catch {
      return ""; // storage may be forbidden; the system's choice stands
    }
  }

  function remember(value) {
    try {
      if (value) localStorage.setItem(KEY, value);
      else localStorage.removeItem(KEY);
    } catch {
      // the choice then lasts as long as the page
    }
  }

  function apply(value) {
    if (value) root.dataset.theme = value;
    else delete root.dataset.theme;
  }

  function single() {
    try {
      return localStorage.getItem("garden-panes") === "off";
    } catch {
      return false;
    }
  }

  const current = () => root.dataset.theme || (system.matches ? "dark" : "light");

  function label(button) {
    button.hidden = false;
    button.setAttribute("aria-label", current() === "dark" ? "Switch to light" : "Switch to dark");
  }

  apply(remembered());

  // A stack of notes is laid out as one from its first paint on; panes.js fetches the others.
  if (new URLSearchParams(location.search).has("stackedNotes") && !single()) root.classList.add("stacked");

  document.addEventListener("DOMContentLoaded", () => {
    const button = document.querySelector(".theme-toggle");
    if (!button) return;
    label(button);
    system.addEventListener("change", () => label(button));
  });

  document.addEventListener("click", (event) => {
    const button = event.target.closest?.(".theme-toggle");
    if (!button) return;
    const wanted = current() === "dark" ? "light" : "dark";
    // Choosing what the system would choose anyway means following it again.
    const value = wanted === (system.matches ? "dark" : "light") ? "" : wanted;
    apply(value);
    remember(value);
    label(button);
  });

  addEventListener("storage", (event) => {
    if (event.key === KEY) apply(remembered());
  });
})();
