// The ledger, sorted by the head of a column and filtered by grade. Without a script it stands there whole, the
// weakest grade first, and each grade's name leads to its first cell.
const table = document.querySelector("table.ledger");
if (table) enhance(table, document.querySelector(".ledger-grades"));

function enhance(table, grades) {
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const said = document.createElement("p");
  said.className = "ledger-said";
  said.setAttribute("role", "status");
  grades.after(said);
  for (const head of table.tHead.rows[0].cells) sortable(head, body, rows);
  for (const item of grades.children) filterable(item, grades, rows, said);
}

// ---------------------------------------------------------------- sorting

/** Puts a button into the head of a column: a first press sorts upwards, the next one turns it round. */
function sortable(head, body, rows) {
  const button = Object.assign(document.createElement("button"), { type: "button" });
  button.append(...head.childNodes);
  head.append(button);
  button.addEventListener("click", () => {
    const down = head.getAttribute("aria-sort") === "ascending";
    for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    body.append(...sorted(rows, head.cellIndex, down));
  });
}

/** Rows without a value come last, whichever way; equal ones stay as they were in the page. */
function sorted(rows, column, down) {
  const keyed = rows.map((row) => [keyOf(row.cells[column]), row]);
  return keyed.sort(([a], [b]) => empty(a) - empty(b) || (down ? compare(b, a) : compare(a, b))).map(([, row]) => row);
}

const keyOf = (cell) => cell.dataset.key ?? cell.textContent.trim();
const empty = (key) => Number(key === "");
const number = (key) => (key.trim() && Number.isFinite(Number(key)) ? Number(key) : NaN);

function compare(a, b) {
  const difference = number(a) - number(b);
  return Number.isNaN(difference) ? a.localeCompare(b) : difference;
}

// ---------------------------------------------------------------- filtering

/** Makes a grade's name a switch. With none on, all cells are shown. */
function filterable(item, grades, rows, said) {
  const link = item.querySelector("a");
  const button = Object.assign(document.createElement("button"), { type: "button", className: link.className });
  button.append(...link.childNodes);
  button.setAttribute("aria-pressed", "false");
  link.replaceWith(button);
  button.addEventListener("click", () => {
    button.setAttribute("aria-pressed", button.getAttribute("aria-pressed") === "true" ? "false" : "true");
    const on = [...grades.querySelectorAll("[aria-pressed='true']")].map((one) => one.parentNode.dataset.grade);
    for (const row of rows) row.hidden = on.length > 0 && !on.includes(row.dataset.grade);
    const shown = rows.filter((row) => !row.hidden).length;
    said.textContent = on.length ? `${shown} of ${rows.length} cells` : `All ${rows.length} cells`;
  });
}
