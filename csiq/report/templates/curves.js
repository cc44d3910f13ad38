// The chart: values of the iteration that is pointed at, and curves that come and go.
const told = JSON.parse(document.getElementById("told").textContent);
for (const part of document.querySelectorAll("[data-script]")) part.hidden = false;

const chart = {
  plot: document.getElementById("plot"),
  legend: document.getElementById("legend"),
  last: told.rows.length - 1,
  chosen: told.start,
  off: new Set(),
  // told of every iteration that is chosen, not of one that is only pointed at
  onChoice: [],
};

chart.show = function (k) {
  const row = told.rows[k];
  if (!row) return;
  const values = { iteration: k, cost: row.cost };
  row.grades.forEach((grade, index) => { values[index + 1] = grade; });
  for (const place of chart.legend.querySelectorAll("[data-value]")) place.textContent = values[place.dataset.value];
  for (const svg of chart.plot.querySelectorAll("svg")) {
    const cursor = svg.querySelector(".cursor");
    const x = Number(svg.dataset.left) + k * Number(svg.dataset.step);
    cursor.setAttribute("x1", x);
    cursor.setAttribute("x2", x);
    cursor.setAttribute("visibility", "visible");
    for (const mark of svg.querySelectorAll(".mark.at")) mark.classList.remove("at");
    for (const mark of svg.querySelectorAll(`.mark[data-k="${k}"]`)) mark.classList.add("at");
  }
};

chart.choose = function (k) {
  chart.chosen = Math.max(0, Math.min(chart.last, k));
  chart.show(chart.chosen);
  const row = told.rows[chart.chosen];
  const grades = told.phases.map((name, index) => `${name} ${row.grades[index]}`).join(", ");
  chart.plot.setAttribute("aria-valuenow", chart.chosen);
  chart.plot.setAttribute("aria-valuetext", `iteration ${chart.chosen}: ${grades}; cost ${row.cost}; after ${row.seconds}`);
  for (const tell of chart.onChoice) tell(chart.chosen);
};

chart.toggle = function (phase, show) {
  chart.off[show ? "delete" : "add"](phase);
  for (const curve of chart.plot.querySelectorAll(`.curve[data-phase="${phase}"]`)) curve.classList.toggle("off", !show);
  const button = chart.legend.querySelector(`button[data-phase="${phase}"]`);
  if (button) button.setAttribute("aria-pressed", String(show));
};

// The iteration under a pointer.
chart.under = function (event) {
  const svg = event.target.closest("svg");
  if (!svg) return null;
  const box = svg.getBoundingClientRect();
  const x = (event.clientX - box.left) * svg.viewBox.baseVal.width / box.width;
  const k = Math.round((x - Number(svg.dataset.left)) / Number(svg.dataset.step));
  return Math.max(0, Math.min(chart.last, k));
};

chart.start = function () {
  for (const span of [...chart.legend.querySelectorAll("span.chip[data-phase]")]) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = span.className;
    button.dataset.phase = span.dataset.phase;
    button.setAttribute("aria-pressed", "true");
    button.append(...span.childNodes);
    button.addEventListener("click", () => chart.toggle(button.dataset.phase, button.getAttribute("aria-pressed") !== "true"));
    span.replaceWith(button);
  }
  const plot = chart.plot;
  plot.tabIndex = 0;
  const names = { role: "slider", "aria-label": "Iteration of the chart", "aria-valuemin": 0, "aria-valuemax": chart.last };
  for (const [name, value] of Object.entries(names)) plot.setAttribute(name, value);
  plot.addEventListener("pointermove", (event) => { const k = chart.under(event); if (k !== null) chart.show(k); });
  plot.addEventListener("pointerleave", () => chart.show(chart.chosen));
  plot.addEventListener("click", (event) => { const k = chart.under(event); if (k !== null) chart.choose(k); });
  const steps = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -5, PageUp: 5 };
  plot.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key in steps) chart.choose(chart.chosen + steps[event.key]);
    else if (event.key === "Home") chart.choose(0);
    else if (event.key === "End") chart.choose(chart.last);
    else return;
    event.preventDefault();
  });
  chart.choose(chart.chosen);
};
if (chart.plot && chart.last >= 0) chart.start();
