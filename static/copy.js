// A copy button on every block of code that is shown. Without a clipboard there is no button.
import { onNotes } from "./notes.js";

if (navigator.clipboard) onNotes((root) => root.querySelectorAll("pre.highlight").forEach(equip));

function equip(pre) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.textContent = "copy";
  button.setAttribute("aria-label", "Copy this code");
  holder(pre).append(button);
}

// The block itself scrolls sideways; a button inside it would scroll along.
function holder(pre) {
  const cell = pre.closest(".cell-code");
  if (cell) return cell;
  const box = document.createElement("div");
  box.className = "code";
  pre.replaceWith(box);
  box.append(pre);
  return box;
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest?.(".copy");
  const pre = button?.parentElement.querySelector("pre");
  if (!pre) return;
  try {
    await navigator.clipboard.writeText(pre.textContent);
    button.textContent = "copied";
  } catch {
    button.textContent = "not allowed";
  }
  setTimeout(() => { button.textContent = "copy"; }, 1500);
});
