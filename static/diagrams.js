// Diagrams are drawn by a library of some size: this only looks whether there are any, and fetches it if so.
import { onNotes } from "./notes.js";

onNotes(async (root) => {
  const figures = root.querySelectorAll(".note figure.mermaid");
  if (!figures.length) return;
  const { draw } = await import("./vendor/mermaid/draw.js");
  figures.forEach(draw);
});
