// A sign beside each heading, on hover, whose link leads to that section. It is for copying an address with the
// pointer; the table of contents says the same to everybody else, so it stays out of their way.
for (const heading of document.querySelectorAll(".note-body > :is(h2, h3, h4, h5, h6)[id]")) {
  const link = document.createElement("a");
  link.className = "anchor";
  link.href = `#${encodeURIComponent(heading.id)}`;
  link.tabIndex = -1;
  link.setAttribute("aria-hidden", "true");
  heading.append(link);
}
