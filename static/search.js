// Search, as long as nobody searches: two keys and a button. All the rest is fetched on first use.
const KEY = "garden-search";

for (const button of document.querySelectorAll(".search-open")) button.hidden = false;

let typed = null; // what is typed before the dialog is there: nobody waits for it with the question
let entered = null; // and the Enter that ended it, if it came so early

async function open() {
  if (typed !== null) return;
  typed = "";
  try {
    const dialog = await import("./search/dialog.js");
    dialog.open(typed, entered);
  } catch {
    location.assign(new URL("../all.html", import.meta.url)); // the list of all notes needs nothing more
  }
  typed = entered = null;
}

// First of all, so that a letter of a question is no command to the panes.
document.addEventListener("keydown", (event) => {
  if (typed === null || event.isComposing || !keep(event)) return;
  event.preventDefault();
  event.stopImmediatePropagation();
}, true);

/** Whether a key is a part of the question; what comes after its Enter changes nothing. */
function keep(event) {
  const { key, altKey } = event;
  const command = event.ctrlKey || event.metaKey;
  if (key === "Enter" && !altKey) {
    if (typed.trim()) entered ??= event; // with its modifiers: Ctrl means a new tab
  } else if (command || altKey || (key !== "Backspace" && [...key].length !== 1)) {
    return false;
  } else if (!entered) {
    typed = key === "Backspace" ? [...typed].slice(0, -1).join("") : typed + key;
  }
  return true;
}

const isField = (target) => target.closest?.("input, textarea, select, [contenteditable]");

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.altKey || event.isComposing) return;
  const command = (event.ctrlKey || event.metaKey) && !event.shiftKey && event.key.toLowerCase() === "k";
  const slash = event.key === "/" && !event.ctrlKey && !event.metaKey && !isField(event.target);
  if (!command && !slash) return;
  event.preventDefault();
  open();
});

document.addEventListener("click", (event) => {
  if (event.target.closest?.(".search-open")) open();
});

// ---------------------------------------------------------------- what was sought is marked where it is found

// Hosts may drop the suffix of a page.
const place = (url) => new URL(url, location.href).pathname.replace(/(\/index)?(\.html)?\/?$/, "");

async function land(marks) {
  const found = await import("./search/marks.js");
  found.land(marks);
}

document.addEventListener("search-go", (event) => {
  const { href, marks } = event.detail;
  if (place(href) !== place(location.href)) return remember(href, marks);
  if (!new URL(href).hash) event.preventDefault(); // the browser would load the page again
  return land(marks);
});

function remember(href, marks) {
  try {
    sessionStorage.setItem(KEY, JSON.stringify({ href, marks }));
  } catch {
    // storage may be forbidden; the page then opens without marks
  }
}

function arrive() {
  try {
    const sought = JSON.parse(sessionStorage.getItem(KEY));
    sessionStorage.removeItem(KEY);
    if (sought && place(sought.href) === place(location.href)) land(sought.marks);
  } catch {
    // nothing was sought
  }
}

arrive();
