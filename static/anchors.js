// A sign beside each heading, on hover, whose link leads to that section. It is for copying an address with the
// pointer; the table of contents says the same to everybody else, so it stays out of their way.
import { onNotes } from "./notes.js";

onNotes((root) => {
  for (const heading of root.querySelectorAll(".note-body > :is(h2, h3, h4, h5, h6)[id]")) {
    const pane = heading.closest(".pane");
    const link = document.createElement("a");
    link.className = "anchor";
    const name = heading.id.slice(pane?.dataset.ids?.length ?? 0);
    link.href = `${pane?.dataset.href ?? ""}#${encodeURIComponent(name)}`;
    link.tabIndex = -1;
    link.setAttribute("aria-hidden", "true");
    heading.append(link);
  }
});
