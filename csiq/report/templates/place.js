// The page of a run that goes on loads itself again, and comes back to where its reader was.
const place = { paused: false, touched: 0 };

// What is at the top of the window is remembered by its name: what lies above it may grow.
place.note = function () {
  const parts = [...document.querySelectorAll("header, section[id], article.phase")];
  const top = parts.findLast((part) => part.getBoundingClientRect().top <= 1) ?? parts[0];
  const name = top.id || top.dataset.phase || top.tagName;
  const inside = document.activeElement && document.activeElement.id;
  const followed = chart.chosen === chart.last;
  const latest = gallery.shown === null || gallery.shown === told.iterations[told.iterations.length - 1];
  history.replaceState({
    name,
    offset: top.getBoundingClientRect().top,
    focus: inside,
    chosen: followed ? null : chart.chosen,
    shown: latest ? null : gallery.shown,
    off: [...chart.off],
    open: [...document.querySelectorAll("details[open]")].map((part) => part.id),
    strips: [...document.querySelectorAll(".slices")].map((part) => part.scrollLeft),
    paused: place.paused,
  }, "");
};

place.restore = function () {
  const state = history.state;
  if (!state || typeof state !== "object" || !("name" in state)) return;
  history.scrollRestoration = "manual";
  for (const id of state.open) { const part = document.getElementById(id); if (part) part.open = true; }
  for (const phase of state.off) chart.toggle(phase, false);
  if (state.chosen !== null && told.rows[state.chosen]) chart.choose(state.chosen);
  if (state.shown !== null && told.iterations.includes(state.shown)) gallery.show(state.shown);
  document.querySelectorAll(".slices").forEach((part, index) => { part.scrollLeft = state.strips[index] ?? 0; });
  if (state.focus) document.getElementById(state.focus)?.focus({ preventScroll: true });
  const parts = [...document.querySelectorAll("header, section[id], article.phase")];
  const top = parts.find((part) => (part.id || part.dataset.phase || part.tagName) === state.name);
  if (top) scrollBy(0, top.getBoundingClientRect().top - state.offset);
  place.pause(Boolean(state.paused));
};

place.pause = function (paused) {
  place.paused = paused;
  if (!place.button) return;
  place.button.setAttribute("aria-pressed", String(paused));
  place.button.textContent = paused ? "Go on updating" : "Pause updates";
};

// Nobody's finger is on the page, nothing plays, nothing is seen large: then it may be loaded again.
place.free = function () {
  const busy = Date.now() - place.touched < 3000 || gallery.playing || large.dialog?.open || String(getSelection());
  return !place.paused && !busy && document.visibilityState === "visible";
};

place.start = function () {
  const line = document.getElementById("live");
  place.button = document.createElement("button");
  place.button.type = "button";
  place.button.id = "pause";
  place.button.addEventListener("click", () => place.pause(!place.paused));
  line.append(place.button);
  place.pause(false);
  for (const kind of ["pointerdown", "pointermove", "keydown", "wheel", "touchmove", "input"]) {
    addEventListener(kind, () => { place.touched = Date.now(); }, { passive: true });
  }
  const since = Date.now();
  setInterval(() => {
    if (Date.now() - since < told.reload * 1000 || !place.free()) return;
    place.note();
    location.reload();
  }, 500);
};
if (told.reload) place.start();
place.restore();
