// Slices: the iterates that were saved, and one place seen large.
const gallery = {
  slider: document.getElementById("iteration"),
  now: document.getElementById("iteration-now"),
  articles: [...document.querySelectorAll("article.phase")],
  shown: null,
  playing: 0,
};

// Every phase keeps what it was returned with; the slider shows the same iteration of all.
gallery.show = function (k) {
  gallery.shown = k;
  const at = k === null ? -1 : told.iterations.indexOf(k);
  for (const article of gallery.articles) {
    const phase = Number(article.dataset.phase);
    article.querySelectorAll(".frame img").forEach((img, plane) => {
      img.dataset.own ??= img.src;
      img.dataset.alt ??= img.alt;
      const frames = told.frames[`${phase}-${plane}`];
      const own = at < 0 || !frames;
      img.src = own ? img.dataset.own : frames[at];
      img.alt = own ? img.dataset.alt : `${img.dataset.alt}, iteration ${k}`;
    });
    const badge = article.querySelector(".badge");
    if (badge) badge.hidden = at >= 0 && k !== told.returned[phase - 1];
    const words = article.querySelector("[data-grade]");
    if (words) {
      words.dataset.own ??= words.textContent;
      const grade = at < 0 ? null : told.rows[k]?.grades[phase - 1];
      words.textContent = at < 0 || k === told.returned[phase - 1] ? words.dataset.own : `grade ${grade} at iteration ${k}`;
    }
  }
  const returned = [...new Set(told.returned)];
  const value = k ?? (returned.length === 1 ? returned[0] : told.iterations[told.iterations.length - 1]);
  if (gallery.slider && at >= 0) gallery.slider.value = at;
  if (gallery.slider && at < 0) gallery.slider.value = Math.max(0, told.iterations.indexOf(value));
  if (gallery.now) gallery.now.textContent = k === null && returned.length > 1 ? "returned" : value;
  if (gallery.slider) gallery.slider.setAttribute("aria-valuetext", `iteration ${gallery.now.textContent}`);
  large.refresh();
};

gallery.play = function (go) {
  clearInterval(gallery.playing);
  gallery.playing = 0;
  const button = document.getElementById("play");
  button.setAttribute("aria-pressed", String(go));
  button.textContent = go ? "Stop" : "Play";
  if (!go) return;
  if (Number(gallery.slider.value) >= told.iterations.length - 1) gallery.show(told.iterations[0]);
  gallery.playing = setInterval(() => {
    const next = Number(gallery.slider.value) + 1;
    if (next >= told.iterations.length) gallery.play(false);
    else gallery.show(told.iterations[next]);
  }, 400);
};

// One plane of one phase, as large as the window lets it be: at one place, phases and iterations are told apart.
const large = { dialog: document.getElementById("large"), phase: 0, plane: 0 };

large.open = function (phase, plane) {
  Object.assign(large, { phase, plane });
  large.dialog.showModal();
  large.refresh();
};

large.refresh = function () {
  if (!large.dialog?.open) return;
  const article = gallery.articles[large.phase];
  const frame = article.querySelectorAll(".frame")[large.plane];
  const copy = [...frame.childNodes].map((node) => node.cloneNode(true));
  document.getElementById("large-frame").replaceChildren(...copy);
  const name = article.querySelector("h3").firstChild.nextSibling.textContent.trim();
  const plane = frame.parentNode.querySelector("figcaption").textContent;
  const words = article.querySelector("[data-grade]");
  document.getElementById("large-title").textContent = [name, plane, words ? words.textContent : ""].filter(Boolean).join(" · ");
};

large.step = function (by) {
  const n = gallery.articles.length;
  large.phase = (large.phase + by + n) % n;
  large.refresh();
};

large.turn = function (by) {
  if (!gallery.slider) return;
  const at = Math.max(0, Math.min(told.iterations.length - 1, Number(gallery.slider.value) + by));
  gallery.show(told.iterations[at]);
};

gallery.start = function () {
  gallery.articles.forEach((article, phase) => article.querySelectorAll(".frame").forEach((frame, plane) => {
    frame.tabIndex = 0;
    frame.setAttribute("role", "button");
    frame.setAttribute("aria-label", `${frame.querySelector("img").alt}: show large`);
    frame.addEventListener("click", () => large.open(phase, plane));
    frame.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      large.open(phase, plane);
    });
  }));
  document.getElementById("large-close").addEventListener("click", () => large.dialog.close());
  for (const button of large.dialog.querySelectorAll("[data-step]")) button.addEventListener("click", () => large.step(Number(button.dataset.step)));
  for (const button of large.dialog.querySelectorAll("[data-turn]")) button.addEventListener("click", () => large.turn(Number(button.dataset.turn)));
  large.dialog.addEventListener("click", (event) => { if (event.target === large.dialog) large.dialog.close(); });
  large.dialog.addEventListener("keydown", (event) => {
    const moves = { ArrowLeft: [large.step, -1], ArrowRight: [large.step, 1], ArrowDown: [large.turn, -1], ArrowUp: [large.turn, 1] };
    const move = moves[event.key];
    if (!move) return;
    event.preventDefault();
    move[0](move[1]);
  });
  if (!gallery.slider) return;
  gallery.slider.addEventListener("input", () => {
    gallery.play(false);
    gallery.show(told.iterations[Number(gallery.slider.value)]);
  });
  document.getElementById("play").addEventListener("click", () => gallery.play(!gallery.playing));
  document.getElementById("returned")?.addEventListener("click", () => { gallery.play(false); gallery.show(null); });
  gallery.show(null);
  // an iteration chosen on the chart is shown in the images
  chart.onChoice.push((k) => { if (told.iterations.includes(k)) gallery.show(k); });
};
if (gallery.articles.length) gallery.start();

// On paper the table of numbers is open: nothing else tells them there.
const numbers = document.getElementById("numbers");
if (numbers) {
  let was = false;
  addEventListener("beforeprint", () => { was = numbers.open; numbers.open = true; });
  addEventListener("afterprint", () => { numbers.open = was; });
}
