// A table of very many rows, of which only those in sight are elements.

import { element } from "./dom.js";

const ROW = 28; // pixels, as page.css has it
const BEYOND = 12; // rows made above and below what is in sight
const MOST = 400_000; // rows that a browser can scroll through: more are left out, and it says so

/** heads: names of columns. cells(index): an array of texts or elements. Returns {element, update(count)}: again after rows changed. */
export function list(label, heads, cells) {
  const body = element("div", { role: "presentation", class: "rows" });
  const left = element("p", { class: "note", role: "status" });
  const scroll = element("div", { class: "scroll", tabindex: "0", role: "rowgroup", "aria-label": label }, body);
  const head = element("div", { role: "row", class: "row head" }, heads.map((name) => element("span", { role: "columnheader" }, name)));
  const holder = element("div", { class: "list", role: "table", "aria-label": label, "data-columns": String(heads.length) }, head, scroll, left);
  let rows = 0;
  let drawn = "";

  function draw() {
    const first = Math.max(0, Math.floor(scroll.scrollTop / ROW) - BEYOND);
    const last = Math.min(rows, Math.ceil((scroll.scrollTop + scroll.clientHeight) / ROW) + BEYOND);
    if (drawn === `${first}-${last}`) return;
    drawn = `${first}-${last}`;
    const made = [];
    for (let index = first; index < last; index++) {
      const row = element("div", { role: "row", class: "row", "aria-rowindex": String(index + 2) }, cells(index).map((cell) => element("span", { role: "cell" }, cell)));
      row.style.transform = `translateY(${index * ROW}px)`;
      made.push(row);
    }
    // A link that has the focus keeps it, if its row is still in sight.
    const focused = body.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    body.replaceChildren(...made);
    if (focused !== null) made.flatMap((row) => [...row.querySelectorAll("a")]).find((one) => one.getAttribute("href") === focused)?.focus({ preventScroll: true });
  }

  scroll.addEventListener("scroll", () => requestAnimationFrame(draw), { passive: true });
  new ResizeObserver(draw).observe(scroll);
  return {
    element: holder,
    update(count) {
      rows = Math.min(count, MOST);
      left.textContent = count > MOST ? `${count - MOST} more are not shown.` : count === 0 ? "None." : "";
      holder.setAttribute("aria-rowcount", String(count + 1));
      body.style.height = `${rows * ROW}px`;
      scroll.style.height = `${Math.min(rows, 16) * ROW}px`;
      drawn = "";
      draw();
    },
  };
}
