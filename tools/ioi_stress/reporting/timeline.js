// The timeline of a block, zoomed and moved. Without this script the picture that stands in the page stays as it is.
"use strict";
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const data = JSON.parse(document.getElementById("timeline-data").textContent);
  const picture = document.getElementById("timeline");
  const box = document.getElementById("timeline-box");
  const tip = document.getElementById("timeline-tip");
  const range = document.getElementById("timeline-range");
  const L = data.layout;
  const LEAST = 200; // nanoseconds across the whole picture
  const LABELS = 500;
  const STEP = 1.6; // of one zoom
  const UNITS = data.units;

  // Lanes as columns of absolute times, which can be searched.
  const lanes = data.lanes.map((flat, worker) => {
    const n = flat.length / 4;
    const lane = {
      start: new Float64Array(n),
      end: new Float64Array(n),
      code: flat.filter((_, i) => i % 4 === 2),
      tx: flat.filter((_, i) => i % 4 === 3),
      cause: new Map(),
    };
    let at = 0;
    for (let i = 0; i < n; i++) {
      lane.start[i] = at + flat[4 * i];
      lane.end[i] = at = lane.start[i] + flat[4 * i + 1];
    }
    const causes = data.causes[worker];
    for (let i = 0; i < causes.length; i += 4) lane.cause.set(causes[i], causes.slice(i + 1, i + 4));
    return lane;
  });
  const summed = (steps) => {
    let sum = 0;
    return steps.map((step) => (sum += step));
  };
  const [waterTimes, waterValues] = data.water.map(summed);

  let width = L.width;
  let view = [data.begin, data.end];
  let waiting = false;

  const right = () => width - L.right;
  const x = (time) => L.left + ((time - view[0]) / (view[1] - view[0])) * (right() - L.left);
  const time = (place) => view[0] + ((place - L.left) / (right() - L.left)) * (view[1] - view[0]);
  const clipped = (time) => Math.max(L.left - 2, Math.min(right() + 2, x(time)));
  const middle = (worker) => L.first + worker * L.lane;
  const digits = (number) => number.toFixed(1);
  const what = (code) => (code >= 0 ? code % 16 : (-code - 1) % 16);
  const many = (code) => (code >= 0 ? 1 : Math.floor((-code - 1) / 16));
  const name = (tx) => (tx === data.transactions ? "end_block" : String(tx));

  function element(kind, attributes, text) {
    const made = document.createElementNS(SVG, kind);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    return made;
  }

  function fill(identity, children) {
    document.getElementById(identity).replaceChildren(...children);
  }

  // The first index whose value is above `wanted`.
  function above(sorted, wanted) {
    let low = 0;
    let high = sorted.length;
    while (low < high) {
      const half = (low + high) >> 1;
      if (sorted[half] > wanted) high = half;
      else low = half + 1;
    }
    return low;
  }

  // Pieces as wide as a pixel are drawn; narrower ones fill a column by their shares of it, one colour on the other.
  function drawLanes() {
    const columns = Math.ceil(right() - L.left);
    const paths = data.classes.map(() => []);
    const labels = [];
    let pieces = 0;
    lanes.forEach((lane, worker) => {
      const center = middle(worker);
      const shares = new Map();
      for (let i = above(lane.end, view[0]); i < lane.start.length && lane.start[i] < view[1]; i++) {
        const kind = what(lane.code[i]);
        const height = L.bar * data.classes[kind][2];
        if (height === 0) continue;
        pieces += many(lane.code[i]);
        const from = clipped(lane.start[i]);
        const across = clipped(lane.end[i]) - from;
        if (across < 1) {
          const column = Math.floor(from);
          const beyond = Math.max(from + across - column - 1, 0); // into the next column
          for (const [at, part] of [
            [column, across - beyond],
            [column + 1, beyond],
          ]) {
            if (part === 0) continue;
            if (!shares.has(at)) shares.set(at, new Float64Array(data.classes.length));
            shares.get(at)[kind] += part;
          }
          continue;
        }
        paths[kind].push(
          `M${digits(from)} ${digits(center - height / 2)}h${digits(across)}v${digits(height)}h-${digits(across)}z`,
        );
        const text = name(lane.tx[i]);
        if (
          lane.code[i] >= 0 &&
          data.classes[kind][2] === 1 &&
          across > L.letter * (text.length + 0.6) &&
          labels.length < LABELS
        ) {
          labels.push(
            element(
              "text",
              {
                x: digits(from + across / 2),
                y: digits(center + 4),
                class: `inside ${data.classes[kind][1]}`,
                "text-anchor": "middle",
              },
              text,
            ),
          );
        }
      }
      for (const [column, share] of shares) {
        let y = center + L.bar / 2;
        share.forEach((part, kind) => {
          if (part <= 0) return;
          const height = Math.min(part, 1) * L.bar;
          y -= height;
          paths[kind].push(`M${column} ${digits(y)}h1v${digits(height)}h-1z`);
        });
      }
    });
    const drawn = [];
    paths.forEach((path, kind) => {
      if (path.length) drawn.push(element("path", { d: path.join(""), class: `piece ${data.classes[kind][1]}` }));
    });
    fill("timeline-lanes", drawn.concat(labels));
    picture.dataset.pieces = pieces;
    picture.dataset.columns = columns;
  }

  function drawMarks() {
    const drawn = [];
    let alone = "";
    for (const [worker, start, end] of data.solo) {
      if (end > view[0] && start < view[1])
        alone += `M${digits(clipped(start))} ${digits(middle(worker) + L.bar / 2 + 2.5)}H${digits(clipped(end))}`;
    }
    if (alone) drawn.push(element("path", { d: alone, class: "solo" }));
    const seen = data.aborts.filter((abort) => abort[0] >= view[0] && abort[0] <= view[1]);
    const marks = seen.map(
      (abort) => `M${digits(x(abort[0]))} ${digits(middle(abort[1]) - L.bar / 2 - 1)}l-2.5 -4.5h5z`,
    );
    if (marks.length) drawn.push(element("path", { d: marks.join(""), class: "abort" }));
    const arrows = data.aborts.filter(
      (abort) => abort[7] >= 0 && Math.max(abort[7], abort[9]) >= view[0] && Math.min(abort[7], abort[9]) <= view[1],
    );
    if (arrows.length <= L.arrows) {
      for (const abort of arrows)
        drawn.push(element("path", { d: arrow(abort), class: "arrow", "marker-end": "url(#timeline-arrow)" }));
    }
    fill("timeline-marks", drawn);
    picture.dataset.aborts = seen.length;
  }

  function arrow([, , , , , , , from, fromWorker, to, toWorker]) {
    let [y, toY] = [middle(fromWorker), middle(toWorker)];
    const same = y === toY;
    const down = L.bar * 0.35 * (toY > y ? 1 : -1);
    y += down;
    toY += same ? down : -down;
    const control = same ? [(x(from) + x(to)) / 2, y - L.bar] : [(x(from) + x(to)) / 2 + 12, (y + toY) / 2];
    return `M${digits(x(from))} ${digits(y)}Q${digits(control[0])} ${digits(control[1])} ${digits(x(to))} ${digits(toY)}`;
  }

  function drawWatermark() {
    let i = Math.max(above(waterTimes, view[0]) - 1, 0);
    const low = isAll() ? 0 : waterValues[i];
    const high = isAll() ? data.transactions : waterValues[Math.max(above(waterTimes, view[1]) - 1, 0)];
    const up = (value) => L.water_bottom - ((value - low) / Math.max(high - low, 1)) * (L.water_bottom - L.water_top);
    const number = (value) => value.toLocaleString("en");
    let path = `M${digits(L.left)} ${digits(up(waterValues[i]))}`;
    for (i++; i < waterTimes.length && waterTimes[i] <= view[1]; i++)
      path += `H${digits(x(waterTimes[i]))}V${digits(up(waterValues[i]))}`;
    path += `H${digits(right())}`;
    fill("timeline-watermark", [
      element("path", { d: `M${digits(L.left)} ${L.water_top}H${digits(right())}`, class: "grid" }),
      element(
        "text",
        { x: right(), y: L.water_top - 5, class: "label", "text-anchor": "end" },
        isAll() ? number(high) : `${number(low)} to ${number(high)}`,
      ),
      element("path", { d: `${path}V${L.water_bottom}H${L.left}Z`, class: "water" }),
      element("path", { d: path, class: "watermark" }),
    ]);
  }

  function drawAxis() {
    const [factor, unit] = UNITS.find(([size]) => view[1] >= 2 * size) || [1, "ns"];
    const least = (view[1] - view[0]) / factor / Math.max((right() - L.left) / 80, 2);
    const power = 10 ** Math.floor(Math.log10(least));
    const step = [1, 2, 5, 10].map((times) => times * power).find((each) => each >= least * 0.999);
    const places = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
    const drawn = [element("path", { d: `M${L.left} ${L.bottom}H${digits(right())}`, class: "axis" })];
    for (let tick = Math.ceil(view[0] / factor / step - 1e-9); tick * step * factor <= view[1]; tick++) {
      const at = x(tick * step * factor);
      drawn.push(element("path", { d: `M${digits(at)} ${L.bottom}v5`, class: "axis" }));
      drawn.push(
        element(
          "text",
          { x: digits(at), y: L.bottom + 17, class: "label", "text-anchor": "middle" },
          (tick * step).toFixed(places),
        ),
      );
    }
    const title = `time since the block began (${unit})`;
    drawn.push(
      element(
        "text",
        { x: digits((L.left + right()) / 2), y: L.bottom + 34, class: "title", "text-anchor": "middle" },
        title,
      ),
    );
    fill("timeline-axis", drawn);
  }

  function draw() {
    waiting = false;
    picture.setAttribute("viewBox", `0 0 ${width} ${L.height}`);
    for (const ground of document.querySelectorAll("#timeline-names .ground, #timeline-window"))
      ground.setAttribute("width", right() - L.left);
    drawWatermark();
    drawLanes();
    drawMarks();
    drawAxis();
    picture.dataset.view = `${Math.round(view[0])}-${Math.round(view[1])}`;
    const all = isAll();
    const shown = `${duration(view[0])} to ${duration(view[1])}`;
    range.textContent = all
      ? `all of it, ${shown}`
      : `${shown}: ${duration(view[1] - view[0])} of ${duration(data.end - data.begin)}`;
    for (const button of box.querySelectorAll("button[data-whole]")) button.disabled = all;
  }

  const isAll = () => view[0] <= data.begin && view[1] >= data.end;

  function later() {
    if (!waiting) requestAnimationFrame(draw);
    waiting = true;
  }

  function duration(nanoseconds) {
    const [factor, unit] = UNITS.find(([size]) => nanoseconds >= size) || [1, "ns"];
    return `${(nanoseconds / factor).toFixed(factor > 1 ? 3 : 0)} ${unit}`;
  }

  // Show from `begin` to `end`, as far as that is within the block.
  function show(begin, end, remember = true) {
    const whole = data.end - data.begin;
    const span = Math.min(Math.max(end - begin, Math.min(LEAST, whole)), whole);
    const first = Math.min(Math.max((begin + end - span) / 2, data.begin), data.end - span);
    view = [first, first + span];
    hide();
    later();
    if (remember) remembered();
  }

  let timer = 0;
  function remembered() {
    clearTimeout(timer);
    timer = setTimeout(() => {
      const hash = isAll() ? "#block" : `#t=${Math.round(view[0])}-${Math.round(view[1])}`;
      try {
        history.replaceState(null, "", hash);
      } catch {
        /* where a page has no address of its own */
      }
    }, 200);
  }

  function zoom(factor, around = (view[0] + view[1]) / 2) {
    show(around - (around - view[0]) / factor, around + (view[1] - around) / factor);
  }

  function move(share) {
    const step = share * (view[1] - view[0]);
    show(view[0] + step, view[1] + step);
  }

  // A transaction: from its first piece to its last, with as much beside it.
  function find(tx) {
    let [first, last] = [Infinity, -Infinity];
    for (const lane of lanes) {
      for (let i = 0; i < lane.tx.length; i++) {
        // A merged piece stands for transactions up to where it ends, but only its first is known.
        if (lane.tx[i] === tx && data.classes[what(lane.code[i])][2] > 0) {
          first = Math.min(first, lane.start[i]);
          last = Math.max(last, lane.end[i]);
        }
      }
    }
    if (last < first) return false;
    show(first - (last - first), last + (last - first));
    return true;
  }

  function fromHash() {
    const found = /^#t=(\d+)-(\d+)$/.exec(location.hash);
    const tx = /^#tx=(\d+)$/.exec(location.hash);
    if (found && Number(found[1]) < Number(found[2])) show(Number(found[1]), Number(found[2]), false);
    else if (!tx || !find(Number(tx[1]))) return;
    box.scrollIntoView();
  }

  function place(event) {
    const at = picture.getBoundingClientRect();
    return [((event.clientX - at.left) * width) / at.width, ((event.clientY - at.top) * L.height) / at.height];
  }

  const because = ([key, other, incarnation]) => {
    const parts = [];
    if (key >= 0) parts.push(["key", data.keys[key]]);
    if (other >= 0) parts.push(["because of", `transaction ${name(other)}, incarnation ${incarnation}`]);
    return parts;
  };

  // What is at a place: [title, [what, how much], ...]; null: nothing.
  function at(left, top) {
    const worker = Math.floor((top - L.top) / L.lane);
    if (worker < 0 || worker >= data.workers || left < L.left || left > right()) return null;
    if (top < middle(worker) - L.bar / 2) {
      const abort = data.aborts
        .filter((each) => each[1] === worker && Math.abs(x(each[0]) - left) < 5)
        .sort((a, b) => Math.abs(x(a[0]) - left) - Math.abs(x(b[0]) - left))[0];
      if (abort)
        return [
          `Abort of transaction ${name(abort[2])}, incarnation ${abort[3]}`,
          ["at", duration(abort[0])],
          ["by", `worker ${worker}`],
          ...because(abort.slice(4, 7)),
        ];
    }
    const lane = lanes[worker];
    const now = time(left);
    const i = above(lane.end, now);
    if (i >= lane.start.length || lane.start[i] > now) return null;
    const code = lane.code[i];
    const kind = what(code);
    const times = [
      ["from", duration(lane.start[i])],
      ["to", duration(lane.end[i])],
      ["took", duration(lane.end[i] - lane.start[i])],
      ["on", `worker ${worker}`],
    ];
    if (code < 0)
      return [
        `${many(code).toLocaleString("en")} pieces of ${data.classes[kind][0]}, merged`,
        ["first", `transaction ${name(lane.tx[i])}`],
        ...times,
      ];
    if (lane.tx[i] < 0) return [data.classes[kind][0], ...times];
    const title = `Transaction ${name(lane.tx[i])}, incarnation ${Math.floor(code / 16)}`;
    return [title, ["what", data.classes[kind][0]], ...times, ...because(lane.cause.get(i) || [-1, -1, 0])];
  }

  function hover(event) {
    const found = at(...place(event));
    if (!found) return hide();
    const [title, ...lines] = found;
    const list = document.createElement("dl");
    for (const [what, much] of lines) {
      const row = document.createElement("div");
      const [term, value] = [document.createElement("dt"), document.createElement("dd")];
      [term.textContent, value.textContent] = [what, much];
      row.append(term, value);
      list.append(row);
    }
    const head = document.createElement("strong");
    head.textContent = title;
    tip.replaceChildren(head, list);
    tip.hidden = false;
    const edge = box.getBoundingClientRect();
    const left = event.clientX - edge.left + 14;
    tip.style.left = `${Math.max(Math.min(left, edge.width - tip.offsetWidth - 4), 0)}px`;
    tip.style.top = `${event.clientY - edge.top + 16}px`;
  }

  function hide() {
    tip.hidden = true;
  }

  let grabbed = null;
  picture.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    grabbed = { at: place(event)[0], view };
    picture.setPointerCapture(event.pointerId);
  });
  picture.addEventListener("pointermove", (event) => {
    if (!grabbed) return hover(event);
    const scale = (grabbed.view[1] - grabbed.view[0]) / (right() - L.left);
    const by = (grabbed.at - place(event)[0]) * scale;
    show(grabbed.view[0] + by, grabbed.view[1] + by);
  });
  for (const end of ["pointerup", "pointercancel"])
    picture.addEventListener(end, () => {
      grabbed = null;
    });
  picture.addEventListener("pointerleave", hide);
  picture.addEventListener("dblclick", (event) =>
    zoom(event.shiftKey ? 1 / STEP ** 2 : STEP ** 2, time(place(event)[0])),
  );
  picture.addEventListener(
    "wheel",
    (event) => {
      if (event.ctrlKey || event.metaKey) zoom(STEP ** (-event.deltaY / 100), time(place(event)[0]));
      else if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) move(event.deltaX / width);
      else return; // the page scrolls
      event.preventDefault();
    },
    { passive: false },
  );
  const keys = {
    "+": () => zoom(STEP),
    "=": () => zoom(STEP),
    "-": () => zoom(1 / STEP),
    ArrowLeft: () => move(-0.2),
    ArrowRight: () => move(0.2),
    0: () => show(data.begin, data.end),
    Home: () => show(data.begin, data.end),
    Escape: hide,
  };
  picture.addEventListener("keydown", (event) => {
    const does = event.ctrlKey || event.metaKey || event.altKey ? undefined : keys[event.key];
    if (!does) return;
    does();
    event.preventDefault();
  });
  const buttons = {
    in: () => zoom(STEP),
    out: () => zoom(1 / STEP),
    left: () => move(-0.5),
    right: () => move(0.5),
    all: () => show(data.begin, data.end),
  };
  for (const button of box.querySelectorAll("button[data-do]"))
    button.addEventListener("click", buttons[button.dataset.do]);
  const wanted = document.getElementById("timeline-tx");
  wanted.addEventListener("input", () => wanted.setCustomValidity(""));
  wanted.addEventListener("change", () => {
    if (wanted.value === "") return;
    wanted.setCustomValidity(find(Number(wanted.value)) ? "" : "No execution of that transaction is drawn by itself.");
    wanted.reportValidity();
  });

  // A unit of the picture is a pixel of the page, so that text has one size on any screen.
  function fit() {
    const wide = Math.max(Math.round(picture.parentElement.clientWidth), 320);
    if (wide === width) return;
    width = wide;
    later();
  }
  new ResizeObserver(fit).observe(picture.parentElement);
  addEventListener("hashchange", fromHash);
  box.classList.add("alive");
  fit();
  fromHash();
  draw();
})();
