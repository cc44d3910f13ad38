"use strict";
// Heads of tables that can be sorted become buttons; a second click turns the order round. Cells without a key last.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      body.append(...[...body.rows].sort((a, b) => compare(a.cells[column], b.cells[column], down ? -1 : 1)));
    });
  });
}

function compare(a, b, sign) {
  const [x, y] = [a.dataset.key, b.dataset.key];
  if (x === undefined || y === undefined) return (x === undefined) - (y === undefined);
  const bothNumbers = x !== "" && y !== "" && isFinite(x) && isFinite(y);
  return sign * (bothNumbers ? x - y : x.localeCompare(y, "en", { numeric: true }));
}
