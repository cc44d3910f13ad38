// Three orthogonal slices of a volume. What is looked at (place, window, zoom) is a View that several viewers share.
// Lengths are mm, voxels are 1 mm; places are counted from the middle of the volume, along x, y, z.
const PLANES = [
  { name: "Axial", plain: "xy plane", right: 0, down: 1, across: 2, letters: ["R", "L", "A", "P"] },
  { name: "Coronal", plain: "xz plane", right: 0, down: 2, across: 1, letters: ["R", "L", "H", "F"] },
  { name: "Sagittal", plain: "yz plane", right: 1, down: 2, across: 0, letters: ["A", "P", "H", "F"] },
];
const LINE = "rgba(232, 190, 92, .6)";
const INK = "#d9b45f";
const WHEEL = 40; // pixels of a trackpad's scroll for a slice

class View {
  constructor(white) {
    this.white = white;
    this.cross = true;
    this.tool = "place";
    this.main = 0;
    this.active = 0;
    this.viewers = [];
    this.window = [0, white];
    this.home();
  }

  home() {
    this.place = [0, 0, 0];
    this.centre = [0, 0, 0];
    this.zoom = 1;
    this.redraw();
  }

  // Level and width in percent of the standard white.
  get level() { return (50 * (this.window[0] + this.window[1])) / this.white; }
  get width() { return (100 * (this.window[1] - this.window[0])) / this.white; }

  setWindow(level, width) {
    const w = Math.min(300, Math.max(2, width));
    const l = Math.min(150, Math.max(0, level));
    this.window = [((l - w / 2) * this.white) / 100, ((l + w / 2) * this.white) / 100];
    this.redraw();
  }

  scroll(plane, slices) { this.moveTo(PLANES[plane].across, this.place[PLANES[plane].across] + slices); }

  moveTo(axis, value) {
    const most = Math.max(0, ...this.viewers.map((v) => (v.volume ? (v.volume.size[axis] - 1) / 2 : 0)));
    // half numbers where there is an even number of voxels: place is always the middle of a voxel
    const offset = most % 1;
    this.place[axis] = Math.min(most, Math.max(-most, Math.round(value - offset) + offset));
    this.redraw();
  }

  zoomBy(factor) {
    if (this.zoom === 1) this.centre = [...this.place]; // what is looked at grows in its place
    this.zoom = Math.min(8, Math.max(1, this.zoom * factor));
    if (this.zoom === 1) this.centre = [0, 0, 0];
    this.redraw();
  }

  pan(plane, dx, dy) {
    if (this.zoom === 1) return;
    const shift = { [plane.right]: dx, [plane.down]: dy };
    for (const axis in shift) {
      const reach = Math.max(...this.viewers.map((v) => (v.volume ? v.volume.size[axis] / 2 : 0)));
      this.centre[axis] = Math.min(reach, Math.max(-reach, this.centre[axis] - shift[axis]));
    }
    this.redraw();
  }

  redraw() {
    if (this.pending || !this.viewers.length) return;
    this.pending = requestAnimationFrame(() => {
      this.pending = 0;
      this.viewers.forEach((viewer) => viewer.draw());
      if (this.onDraw) this.onDraw();
    });
  }
}

class Viewer {
  constructor(root, view) {
    this.root = root;
    this.view = view;
    this.volume = null;
    this.slice = document.createElement("canvas");
    this.panes = [...root.querySelectorAll(".pane")].map((pane, i) => this.listen(pane, i));
    view.viewers.push(this);
    new ResizeObserver(() => view.redraw()).observe(root);
  }

  show(volume) {
    this.volume = volume;
    this.view.redraw();
  }

  draw() {
    const { view, volume } = this;
    const table = new Uint32Array(256);
    const [low, high] = view.window;
    for (let i = 0; i < 256; i++) {
      const grey = Math.round(255 * Math.min(1, Math.max(0, (i - low) / (high - low))));
      table[i] = (255 << 24) | (grey << 16) | (grey << 8) | grey;
    }
    this.panes.forEach((pane, i) => {
      pane.box.classList.toggle("main", view.main === i);
      pane.box.classList.toggle("active", view.active === i);
      this.drawPane(pane, PLANES[i], table);
    });
  }

  drawPane(pane, plane, table) {
    const { canvas } = pane;
    const ratio = window.devicePixelRatio || 1;
    const width = Math.round(canvas.clientWidth * ratio);
    const height = Math.round(canvas.clientHeight * ratio);
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const context = canvas.getContext("2d", { alpha: false });
    context.fillStyle = "#000";
    context.fillRect(0, 0, width, height);
    if (!this.volume || !width || !height) return;
    this.cut(plane, table);
    const map = this.mapping(canvas, plane);
    context.imageSmoothingQuality = "high";
    context.drawImage(this.slice, map.left, map.top, this.slice.width * map.scale, this.slice.height * map.scale);
    if (this.view.cross) this.drawCross(context, plane, map, ratio);
    this.drawWords(context, plane, ratio);
    this.describe(pane, plane);
  }

  // Voxel of the place along an axis; volumes of a pair need not be of one size.
  index(axis) {
    const n = this.volume.size[axis];
    return Math.min(n - 1, Math.max(0, Math.round(this.view.place[axis] + (n - 1) / 2)));
  }

  cut(plane, table) {
    const { grey, size } = this.volume;
    const step = [1, size[0], size[0] * size[1]];
    const [columns, rows] = [size[plane.right], size[plane.down]];
    Object.assign(this.slice, { width: columns, height: rows });
    const context = this.slice.getContext("2d");
    const image = context.createImageData(columns, rows);
    const pixels = new Uint32Array(image.data.buffer);
    const start = this.index(plane.across) * step[plane.across];
    for (let r = 0, out = 0; r < rows; r++) {
      let at = start + r * step[plane.down];
      for (let c = 0; c < columns; c++, at += step[plane.right]) pixels[out++] = table[grey[at]];
    }
    context.putImageData(image, 0, 0);
  }

  mapping(canvas, plane) {
    const [columns, rows] = [this.volume.size[plane.right], this.volume.size[plane.down]];
    const scale = this.view.zoom * Math.min(canvas.width / columns, canvas.height / rows);
    return {
      scale,
      left: canvas.width / 2 - (columns / 2 + this.view.centre[plane.right]) * scale,
      top: canvas.height / 2 - (rows / 2 + this.view.centre[plane.down]) * scale,
    };
  }

  drawCross(context, plane, map, ratio) {
    const x = Math.round(map.left + (this.index(plane.right) + 0.5) * map.scale);
    const y = Math.round(map.top + (this.index(plane.down) + 0.5) * map.scale);
    const gap = 14 * ratio; // what is looked at stays free
    const { width, height } = context.canvas;
    context.fillStyle = LINE;
    context.fillRect(0, y, Math.max(0, x - gap), ratio);
    context.fillRect(x + gap, y, width, ratio);
    context.fillRect(x, 0, ratio, Math.max(0, y - gap));
    context.fillRect(x, y + gap, ratio, height);
  }

  drawWords(context, plane, ratio) {
    const { width, height } = context.canvas;
    const write = (text, x, y, align, baseline) => {
      Object.assign(context, { textAlign: align, textBaseline: baseline });
      context.strokeText(text, x, y);
      context.fillText(text, x, y);
    };
    Object.assign(context, { font: `${12 * ratio}px system-ui, sans-serif`, fillStyle: INK });
    Object.assign(context, { strokeStyle: "#000", lineWidth: 3 * ratio, lineJoin: "round" });
    const edge = 7 * ratio;
    const n = this.volume.size[plane.across];
    if (width > 150 * ratio) write(`${this.index(plane.across) + 1} / ${n}`, edge, height - edge, "left", "alphabetic");
    if (!this.volume.oriented) return;
    const [left, right, top, bottom] = plane.letters;
    write(left, edge, height / 2, "left", "middle");
    write(right, width - edge, height / 2, "right", "middle");
    write(top, width / 2, edge, "center", "top");
    write(bottom, width / 2, height - edge, "center", "alphabetic");
  }

  describe(pane, plane) {
    const n = this.volume.size[plane.across];
    const name = this.volume.oriented ? plane.name : plane.plain;
    pane.button.textContent = name;
    pane.canvas.setAttribute("aria-label", `${name} slice${pane.side}`);
    pane.canvas.setAttribute("aria-valuemax", n);
    pane.canvas.setAttribute("aria-valuenow", this.index(plane.across) + 1);
  }

  // ---- hands

  listen(box, i) {
    const canvas = box.querySelector("canvas");
    const button = box.querySelector("button");
    const pane = { box, canvas, button, side: box.dataset.side, fingers: new Map(), wheel: 0 };
    const activate = () => { this.view.active = i; this.view.redraw(); };
    button.addEventListener("click", () => { this.view.main = i; activate(); });
    canvas.addEventListener("focus", activate);
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("wheel", (event) => this.wheel(event, pane, i), { passive: false });
    canvas.addEventListener("pointerdown", (event) => { activate(); this.down(event, pane); });
    canvas.addEventListener("pointermove", (event) => this.move(event, pane, i));
    for (const name of ["pointerup", "pointercancel"])
      canvas.addEventListener(name, (event) => this.up(event, pane, i));
    return pane;
  }

  wheel(event, pane, i) {
    event.preventDefault();
    if (event.ctrlKey) return this.view.zoomBy(Math.exp(-event.deltaY / 300));
    // a notch of a wheel is a slice, and so are 40 pixels of a trackpad
    const pixels = event.deltaMode ? WHEEL * Math.sign(event.deltaY) : event.deltaY;
    pane.wheel += Math.abs(pixels) >= 100 ? WHEEL * Math.sign(pixels) : pixels;
    const slices = Math.trunc(pane.wheel / WHEEL);
    pane.wheel -= slices * WHEEL;
    if (slices) this.view.scroll(i, slices);
  }

  down(event, pane) {
    pane.canvas.setPointerCapture(event.pointerId);
    pane.fingers.set(event.pointerId, [event.clientX, event.clientY]);
    const byMouse = event.button === 2 ? "window" : event.button === 1 || event.shiftKey ? "pan" : this.view.tool;
    pane.action = event.pointerType === "touch" && this.view.tool === "place" ? "touch" : byMouse;
    pane.travel = 0;
    if (event.button === 1) event.preventDefault();
    if (pane.action === "place") this.placeAt(event, pane);
  }

  move(event, pane, i) {
    const before = pane.fingers.get(event.pointerId);
    if (!before) return;
    const now = [event.clientX, event.clientY];
    const [dx, dy] = [now[0] - before[0], now[1] - before[1]];
    if (pane.fingers.size > 1) this.pinch(event, pane, i, now, dx, dy);
    pane.fingers.set(event.pointerId, now);
    pane.travel += Math.abs(dx) + Math.abs(dy);
    if (pane.fingers.size > 1) pane.action = "pinched";
    else if (pane.action === "place") this.placeAt(event, pane);
    else if (pane.action === "pan") this.panBy(pane, i, dx, dy);
    else if (pane.action === "window") this.view.setWindow(this.view.level + dy * 0.3, this.view.width + dx * 0.5);
    else if (pane.action === "touch" && pane.travel > 8) this.drag(pane, i, dy);
  }

  up(event, pane) {
    // a tap that did not travel sets the crosshair, a drag has scrolled
    if (pane.action === "touch" && pane.travel <= 8 && event.type === "pointerup") this.placeAt(event, pane);
    pane.fingers.delete(event.pointerId);
    pane.wheel = 0;
  }

  drag(pane, i, dy) {
    pane.wheel += dy;
    const slices = Math.trunc(pane.wheel / 5);
    pane.wheel -= slices * 5;
    if (slices) this.view.scroll(i, slices);
  }

  pinch(event, pane, i, now, dx, dy) {
    const other = [...pane.fingers].find(([id]) => id !== event.pointerId)[1];
    const far = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]) || 1;
    this.view.zoomBy(far(now, other) / far(pane.fingers.get(event.pointerId), other));
    this.panBy(pane, i, dx / 2, dy / 2);
  }

  panBy(pane, i, dx, dy) {
    if (!this.volume) return;
    const scale = this.mapping(pane.canvas, PLANES[i]).scale / (window.devicePixelRatio || 1);
    this.view.pan(PLANES[i], dx / scale, dy / scale);
  }

  placeAt(event, pane) {
    if (!this.volume) return;
    const plane = PLANES[this.panes.indexOf(pane)];
    const map = this.mapping(pane.canvas, plane);
    const ratio = window.devicePixelRatio || 1;
    const box = pane.canvas.getBoundingClientRect();
    const column = ((event.clientX - box.left) * ratio - map.left) / map.scale;
    const row = ((event.clientY - box.top) * ratio - map.top) / map.scale;
    this.view.moveTo(plane.right, column - this.volume.size[plane.right] / 2);
    this.view.moveTo(plane.down, row - this.volume.size[plane.down] / 2);
  }
}
