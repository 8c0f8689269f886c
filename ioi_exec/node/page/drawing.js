// Lanes on a canvas: moved, zoomed, and asked what is where, by mouse and by keyboard.

import { button, element } from "./dom.js";
import { CLASSES } from "./timeline.js";
import { duration } from "./text.js";

const LANE = 34, BAR = 22, TOP = 26, LEFT = 46, RIGHT = 10; // pixels
const LEAST = 200; // nanoseconds across the whole picture
const STEP = 1.6; // of one zoom
const ARROWS = 250; // aborts in sight that have an arrow each; more have marks alone

export class Drawing {
  #line;
  #choose;
  #canvas;
  #view;
  #chosen = null;
  #waiting = false;
  #colours = {};
  #spans; // what can be chosen by keyboard, in order of time

  /** choose(index of a span, or null): what was pointed at. */
  constructor(line, choose) {
    this.#line = line;
    this.#choose = choose;
    this.#view = this.#whole();
    this.#spans = line.lanes.flat().sort((a, b) => line.start[a] - line.start[b]);
    this.#canvas = element("canvas", {
      tabindex: "0", role: "img", "aria-describedby": "lanes-keys",
      "aria-label": `${line.lanes.length} lanes, one for each worker, over ${duration(line.duration)}; the aborts are listed below`,
      onkeydown: (event) => this.#key(event),
      onwheel: (event) => this.#wheel(event),
      onpointerdown: (event) => this.#drag(event),
    });
    const tools = [
      ["nearer", () => this.#zoom(1 / STEP)], ["further", () => this.#zoom(STEP)], ["earlier", () => this.#move(-0.3)], ["later", () => this.#move(0.3)], ["all", () => this.#all()],
    ].map(([name, does]) => button(name, does));
    const legend = element("ul", { class: "legend" }, Object.entries(CLASSES).map(([name, { name: said }]) => element("li", {}, element("i", { class: `swatch ${name}` }), said)));
    this.element = element(
      "figure", { class: "lanes" }, element("div", { class: "tools" }, tools), this.#canvas, legend,
      element("figcaption", { id: "lanes-keys" }, "Keys: + and - zoom, left and right move, n and p choose the next and the last span, Home shows all. Ctrl and the wheel zoom; drag moves; a click chooses."),
    );
    new ResizeObserver(() => this.#again()).observe(this.element);
    for (const query of ["(prefers-color-scheme: dark)", "(forced-colors: active)"])
      matchMedia(query).addEventListener("change", () => ((this.#colours = {}), this.#again()));
  }

  /** Chooses a span, and moves so that it is seen. */
  show(index) {
    const { start, end } = this.#line;
    const [from, to] = this.#view;
    const across = Math.min(to - from, Math.max((end[index] - start[index]) * 12, LEAST));
    const middle = (start[index] + end[index]) / 2;
    this.#set(middle - across / 2, middle + across / 2);
    this.#pick(index);
  }

  #pick(index) {
    this.#chosen = index;
    this.#choose(index);
    this.#again();
  }

  #whole() {
    const { begin, duration } = this.#line;
    return [begin, Math.max(duration, begin + LEAST)];
  }

  #set(from, to) {
    const [first, last] = this.#whole();
    const across = Math.min(Math.max(to - from, LEAST), last - first);
    const start = Math.min(Math.max(from, first), last - across);
    this.#view = [start, start + across];
    this.#again();
  }

  #zoom(by, around = (this.#view[0] + this.#view[1]) / 2) {
    const [from, to] = this.#view;
    this.#set(around - (around - from) * by, around + (to - around) * by);
  }

  #move(share) {
    const [from, to] = this.#view;
    this.#set(from + (to - from) * share, to + (to - from) * share);
  }

  #all() {
    this.#set(...this.#whole());
  }

  #next(step) {
    const at = this.#spans.indexOf(this.#chosen);
    const next = this.#spans[at < 0 ? 0 : Math.min(Math.max(at + step, 0), this.#spans.length - 1)];
    if (next === undefined) return;
    this.#pick(next);
    const { start, end } = this.#line;
    if (start[next] < this.#view[0] || end[next] > this.#view[1]) this.show(next);
  }

  #key(event) {
    const does = {
      "+": () => this.#zoom(1 / STEP), "=": () => this.#zoom(1 / STEP), "-": () => this.#zoom(STEP), ArrowLeft: () => this.#move(-0.15),
      ArrowRight: () => this.#move(0.15), Home: () => this.#all(), n: () => this.#next(1), p: () => this.#next(-1), Escape: () => this.#pick(null),
    }[event.key];
    if (does === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    does();
  }

  #wheel(event) {
    if (!event.ctrlKey) return; // the page scrolls
    event.preventDefault();
    this.#zoom(event.deltaY < 0 ? 1 / STEP : STEP, this.#time(event.offsetX));
  }

  #drag(event) {
    if (event.button !== 0) return;
    const [from, to] = this.#view;
    const begin = event.offsetX;
    let moved = false;
    this.#canvas.setPointerCapture(event.pointerId);
    const move = (now) => {
      moved ||= Math.abs(now.offsetX - begin) > 3;
      const by = ((begin - now.offsetX) / this.#across()) * (to - from);
      if (moved) this.#set(from + by, to + by);
    };
    const end = (now) => {
      this.#canvas.removeEventListener("pointermove", move);
      if (!moved && now.type === "pointerup") this.#pick(this.#under(now.offsetX, now.offsetY));
    };
    this.#canvas.addEventListener("pointermove", move);
    for (const kind of ["pointerup", "pointercancel"]) this.#canvas.addEventListener(kind, end, { once: true });
  }

  // The innermost span at a point: it comes last of those around it.
  #under(x, y) {
    const lane = this.#line.lanes[Math.floor((y - TOP) / LANE)] ?? [];
    const [from, to] = [this.#time(x - 1), this.#time(x + 1)];
    let found = null;
    for (const index of lane) if (this.#line.start[index] <= to && this.#line.end[index] >= from && this.#line.what[index] !== "solo") found = index;
    return found;
  }

  #across() {
    return Math.max(this.#canvas.clientWidth - LEFT - RIGHT, 10);
  }

  #x(time) {
    return LEFT + ((time - this.#view[0]) / (this.#view[1] - this.#view[0])) * this.#across();
  }

  #time(x) {
    return this.#view[0] + ((x - LEFT) / this.#across()) * (this.#view[1] - this.#view[0]);
  }

  #again() {
    if (this.#waiting) return;
    this.#waiting = true;
    requestAnimationFrame(() => {
      this.#waiting = false;
      if (this.#canvas.isConnected) this.#draw();
    });
  }

  #colour(name) {
    return (this.#colours[name] ??= getComputedStyle(this.#canvas).getPropertyValue(`--${name}`).trim());
  }

  #draw() {
    const { lanes, start, end, what, tx } = this.#line;
    const height = TOP + LANE * lanes.length + 4;
    const scale = devicePixelRatio || 1;
    const width = this.#canvas.clientWidth;
    this.#canvas.style.height = `${height}px`;
    this.#canvas.width = Math.round(width * scale);
    this.#canvas.height = Math.round(height * scale);
    const pen = this.#canvas.getContext("2d");
    pen.scale(scale, scale);
    pen.font = "12px system-ui, sans-serif";
    pen.textBaseline = "middle";
    this.#axis(pen, width);
    let pieces = 0;
    lanes.forEach((lane, worker) => {
      const middle = TOP + LANE * worker + LANE / 2;
      pen.fillStyle = this.#colour("ink");
      pen.textAlign = "right";
      pen.fillText(String(worker), LEFT - 8, middle);
      pen.fillStyle = this.#colour("idle");
      pen.fillRect(LEFT, middle - BAR / 2, this.#across(), BAR);
      pen.textAlign = "center";
      const labels = []; // over what lies in the executions
      const drawn = {}; // by class, where the last one that was narrower than a pixel is
      for (const index of lane) {
        if (end[index] < this.#view[0] || start[index] > this.#view[1]) continue;
        const [from, to] = [Math.max(this.#x(start[index]), LEFT), Math.min(this.#x(end[index]), LEFT + this.#across())];
        const kind = what[index];
        pieces++;
        if (to - from < 1) {
          if (drawn[kind] === Math.floor(from)) continue;
          drawn[kind] = Math.floor(from);
        }
        const high = BAR * CLASSES[kind].height;
        if (kind === "solo") {
          pen.strokeStyle = this.#colour("solo");
          pen.strokeRect(from, middle - high / 2, Math.max(to - from, 1), high);
          continue;
        }
        pen.fillStyle = this.#colour(kind);
        pen.fillRect(from, middle + BAR / 2 - high, Math.max(to - from, 1), high); // what lies in an execution stands at its bottom
        const text = String(tx[index]);
        if (high === BAR && to - from > 8 * text.length + 6) labels.push([text, kind, (from + to) / 2]);
      }
      for (const [text, kind, x] of labels) {
        pen.fillStyle = this.#colour(`on-${kind}`);
        pen.fillText(text, x, middle - 4);
      }
    });
    this.#aborts(pen);
    this.#frame(pen);
    this.#canvas.dataset.pieces = String(pieces);
    this.#canvas.dataset.view = this.#view.map(Math.round).join("-");
  }

  #axis(pen, width) {
    const [from, to] = this.#view;
    const rough = (to - from) / Math.max(width / 110, 1);
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((each) => each * power).find((each) => each >= rough);
    pen.fillStyle = pen.strokeStyle = this.#colour("faint");
    pen.textAlign = "center";
    for (let time = Math.ceil(from / step) * step; time <= to; time += step) {
      pen.fillText(duration(time), this.#x(time), 9);
      pen.fillRect(this.#x(time), 17, 1, 6);
    }
  }

  // A mark where an incarnation was given up, and an arrow to it from the execution whose write ended it.
  #aborts(pen) {
    const seen = this.#line.aborts.filter((abort) => abort.time >= this.#view[0] && abort.time <= this.#view[1]);
    pen.fillStyle = pen.strokeStyle = this.#colour("mark");
    let arrows = 0;
    for (const abort of seen) {
      const [x, y] = [this.#x(abort.time), TOP + LANE * abort.worker + LANE / 2 + BAR / 2];
      pen.beginPath();
      pen.moveTo(x, y - 1);
      pen.lineTo(x - 4, y + 6);
      pen.lineTo(x + 4, y + 6);
      pen.fill();
      const by = abort.other < 0 ? null : this.#line.executionOf(abort.other, abort.otherIncarnation);
      if (by === null || seen.length > ARROWS) continue;
      const cause = this.#line.at(by);
      pen.beginPath();
      pen.moveTo(Math.min(this.#x(cause.end), x), TOP + LANE * cause.worker + LANE / 2);
      pen.lineTo(x, y);
      pen.stroke();
      arrows++;
    }
    this.#canvas.dataset.aborts = String(seen.length);
    this.#canvas.dataset.arrows = String(arrows);
  }

  #frame(pen) {
    if (this.#chosen === null) return;
    const { start, end, worker } = this.#line.at(this.#chosen);
    pen.strokeStyle = this.#colour("ink");
    pen.lineWidth = 2;
    pen.strokeRect(this.#x(start) - 1, TOP + LANE * worker + 3, Math.max(this.#x(end) - this.#x(start), 1) + 2, LANE - 6);
  }
}
