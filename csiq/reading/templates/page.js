// The page: cases one after the other, keys and buttons, pause, export.
const $ = (id) => document.getElementById(id);
const session = JSON.parse($("session").textContent);
const pairs = session.mode === "pairs";
const view = new View(session.white);
const viewers = [...document.querySelectorAll(".viewer")].map((root) => new Viewer(root, view));
const choices = [...document.querySelectorAll("[data-say]")];
const PRESETS = [["Standard", 50, 100], ["High contrast", 40, 60], ["Wide", 75, 150]];
let record = null;
let failed = false;
let opening = 0; // rises with every case opened, so that a late image of another case is dropped

const meaning = (button) => (pairs ? button.dataset.say : Number(button.dataset.say));

// ---- cases

async function open(at) {
  const mine = ++opening;
  record.open(at);
  failed = false;
  viewers.forEach((viewer) => viewer.show(null));
  view.home();
  tell("Loading …");
  refresh();
  const images = session.cases[at].images;
  try {
    const volumes = await Promise.all(images.map((id) => Volumes.load(id)));
    if (mine !== opening) return;
    viewers.forEach((viewer, i) => viewer.show(volumes[i]));
    tell("");
    // the middle of an even number of voxels is between two: settle on one
    for (const axis of [0, 1, 2]) view.moveTo(axis, 0);
    requestAnimationFrame(() => { if (mine === opening) run(); });
    const next = session.cases[at + 1];
    if (next) next.images.forEach((id) => Volumes.load(id));
  } catch (error) {
    if (mine !== opening) return;
    failed = true;
    tell(`${error.message} Tell whoever gave you this page; “Next” leaves the case out.`);
  }
}

const seen = () => document.visibilityState === "visible" && !document.querySelector("dialog[open]");
const shown = () => viewers.every((viewer) => viewer.volume);

function run() {
  if (record && seen() && shown()) record.start();
  else if (record) record.stop();
}

function say(what) {
  if (!shown()) return;
  record.say(what);
  tell("");
  refresh();
}

function next() {
  if (record.current.said === null && !failed)
    return tell(pairs ? "Choose A, equal or B first." : "Give a grade first.");
  if (record.at + 1 < session.cases.length) return open(record.at + 1);
  return finish();
}

function back() {
  if (record.at > 0) open(record.at - 1);
}

function refresh() {
  const n = session.cases.length;
  const { said } = record.current;
  $("count").textContent = `${pairs ? "Pair" : "Case"} ${record.at + 1} of ${n}`;
  $("done").textContent = `${record.done} done`;
  $("progress").max = n;
  $("progress").value = record.done;
  $("back").disabled = record.at === 0;
  $("next").textContent = record.at + 1 < n ? "Next" : "Finish";
  $("next").classList.toggle("ready", said !== null);
  choices.forEach((button) => button.setAttribute("aria-checked", String(meaning(button) === said)));
  const chosen = choices.find((button) => meaning(button) === said) || choices[0];
  choices.forEach((button) => { button.tabIndex = button === chosen ? 0 : -1; });
  if (!pairs) $("said").textContent = words(said);
  $("unsaved").hidden = record.kept;
}

function words(said) {
  if (said === null) return "";
  return said % 1 ? `in doubt between ${said - 0.5} and ${said + 0.5}` : session.scale[said];
}

function tell(text) {
  $("message").textContent = text;
}

// ---- the window

function preset(i) {
  view.setWindow(PRESETS[i][1], PRESETS[i][2]);
}

function currentPreset() {
  const near = (a, b) => Math.abs(a - b) < 0.5;
  return PRESETS.findIndex(([, level, width]) => near(level, view.level) && near(width, view.width));
}

view.onDraw = () => {
  $("level").value = view.level;
  $("width").value = view.width;
  $("preset").value = String(currentPreset());
  $("zoomed").textContent = `${Math.round(view.zoom * 100)} %`;
};

function reset() {
  preset(0);
  view.home();
  for (const axis of [0, 1, 2]) view.moveTo(axis, 0);
}

function setCross(on) {
  view.cross = on;
  $("cross").setAttribute("aria-pressed", String(on));
  view.redraw();
}

function setTool(name) {
  view.tool = name;
  document.querySelectorAll("[data-tool]").forEach((button) =>
    button.setAttribute("aria-pressed", String(button.dataset.tool === name)));
  document.body.dataset.tool = name;
}

// ---- dialogs

function dialog(id) {
  const box = $(id);
  if (!box.open) box.showModal();
  document.body.classList.toggle("covered", id === "paused");
  run();
}

document.querySelectorAll("dialog").forEach((box) => box.addEventListener("close", () => {
  document.body.classList.remove("covered");
  run();
}));
document.querySelectorAll("[data-close]").forEach((button) =>
  button.addEventListener("click", () => button.closest("dialog").close()));

function finish() {
  const left = session.cases.length - record.done;
  record.stop();
  $("finish-title").textContent = left ? "Export what is done" : "All done, thank you";
  $("finish-words").textContent = left
    ? `${left} of ${session.cases.length} are still open. You can close the page and go on later in this browser.`
    : "Save the file and send it to whoever gave you this page.";
  $("result").value = record.text;
  $("saved").textContent = "";
  dialog("finish");
}

function download() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([record.text], { type: "text/tab-separated-values" }));
  link.download = record.fileName;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  $("saved").textContent = `Saved as ${record.fileName}`;
}

async function copy() {
  $("result").select();
  try {
    await navigator.clipboard.writeText(record.text);
  } catch {
    // pages opened from a folder may not be given the clipboard
    if (!document.execCommand("copy")) {
      $("saved").textContent = "Press Ctrl C now: the text is marked.";
      return;
    }
  }
  $("saved").textContent = "Copied.";
}

// ---- start

function greet() {
  const name = $("reader").value.trim();
  const saved = Record.exists(session, name);
  const found = saved ? new Record(session, name) : null;
  $("begin").textContent = found ? `Continue (${found.done} of ${session.cases.length} done)` : "Start";
  $("again").hidden = !found;
}

function begin(event) {
  event.preventDefault();
  if (!$("start-form").reportValidity()) return;
  record = new Record(session, $("reader").value.trim());
  record.save();
  $("start").close();
  open(record.at);
}

$("reader").addEventListener("input", greet);
$("start-form").addEventListener("submit", begin);
// Escape does not lead past the start
$("start").addEventListener("close", () => { if (!record) $("start").showModal(); });
$("again").addEventListener("click", () => {
  if (!window.confirm("Delete what this reader has done here and start over?")) return;
  localStorage.removeItem(new Record(session, $("reader").value.trim()).place);
  greet();
});
$("load").addEventListener("change", async () => {
  const [file] = $("load").files;
  if (!file || !$("start-form").reportValidity()) return;
  const wrong = new Record(session, $("reader").value.trim()).load(await file.text());
  $("loaded").textContent = wrong || "Loaded.";
  $("load").value = "";
  greet();
});

// ---- keys and buttons

const KEYS = {
  ArrowUp: () => view.scroll(view.active, -1),
  ArrowDown: () => view.scroll(view.active, 1),
  PageUp: () => view.scroll(view.active, -10),
  PageDown: () => view.scroll(view.active, 10),
  Enter: next,
  Backspace: back,
  n: next,
  v: () => { view.main = view.active = (view.main + 1) % 3; view.redraw(); },
  w: () => preset((currentPreset() + 1) % PRESETS.length),
  r: reset,
  h: () => setCross(!view.cross),
  "+": () => view.zoomBy(1.25),
  "=": () => view.zoomBy(1.25),
  "-": () => view.zoomBy(0.8),
  p: () => dialog("paused"),
  x: finish,
  "?": () => dialog("help"),
};

function graded(key) {
  if (pairs) {
    const said = { a: "A", b: "B", e: "equal", ArrowLeft: "A", ArrowRight: "B" }[key];
    return said ? () => say(said) : null;
  }
  if (/^[0-4]$/.test(key)) return () => say(Number(key));
  // in doubt between two grades: the half above the one given, and back
  const { said } = record.current;
  if ("5.,".includes(key) && said !== null && said < 4)
    return () => say(said % 1 ? said - 0.5 : said + 0.5);
  const step = { ArrowLeft: -0.5, ArrowRight: 0.5 }[key];
  return step && said !== null ? () => say(Math.min(4, Math.max(0, said + step))) : null;
}

document.addEventListener("keydown", (event) => {
  if (!record || document.querySelector("dialog[open]") || event.ctrlKey || event.metaKey || event.altKey) return;
  const { target } = event;
  if (target.matches("select, input") && /^(Arrow|Page|Home|End|Enter)/.test(event.key)) return;
  // Enter and Space work the button in focus; but a choice made already goes on to the next case
  const works = target.matches("button") && target.getAttribute("aria-checked") !== "true";
  if (works && event.key === "Enter") return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const action = graded(key) || KEYS[key];
  if (!action) return;
  event.preventDefault();
  action();
});

choices.forEach((button) => button.addEventListener("click", () => say(meaning(button))));
document.querySelectorAll("[data-tool]").forEach((button) =>
  button.addEventListener("click", () => setTool(button.dataset.tool)));
for (const [id, action] of Object.entries({
  back, next, reset, download, copy, export: finish,
  pause: () => dialog("paused"),
  keys: () => dialog("help"),
  cross: () => setCross(!view.cross),
  closer: () => view.zoomBy(1.25),
  farther: () => view.zoomBy(0.8),
})) $(id).addEventListener("click", action);
$("preset").addEventListener("change", () => preset(Number($("preset").value)));
for (const id of ["level", "width"])
  $(id).addEventListener("input", () => view.setWindow(Number($("level").value), Number($("width").value)));

document.addEventListener("visibilitychange", run);
window.addEventListener("pagehide", () => { if (record) record.stop(); });
window.addEventListener("beforeunload", (event) => { if (record && !record.kept) event.preventDefault(); });
setInterval(() => { if (record) record.tick(); }, 5000);
// two windows of one session would overwrite each other: the one that came first gives way
window.addEventListener("storage", (event) => {
  if (!record || event.key !== record.place || event.newValue === null) return;
  record.since = null;
  record = null;
  Object.assign(view, { viewers: [], onDraw: null }); // there is nothing left to draw on
  document.body.replaceChildren(Object.assign(document.createElement("p"), {
    className: "stopped",
    textContent: "This session goes on in another window. Close this one.",
  }));
});
setTool("place");
greet();
if (!("DecompressionStream" in window)) {
  $("begin").disabled = true;
  $("loaded").textContent = "This browser is too old: it needs one of 2023 or later.";
}
$("start").showModal();
