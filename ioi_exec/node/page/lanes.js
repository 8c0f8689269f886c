// The lanes of a block: which worker executed what when, and what was aborted by whom.

import { ask } from "./api.js";
import { button, element, facts, link } from "./dom.js";
import { Drawing } from "./drawing.js";
import { list } from "./list.js";
import { CLASSES, timeline } from "./timeline.js";
import { count, duration, named, said } from "./text.js";

export async function lanes(which = "latest", tx) {
  const it = await ask("lanes", which);
  const title = `Lanes of block ${it.height}`;
  if (it.events === null) return { title, element: element("div", {}, about(it, null), element("p", { class: "note" }, said(it.why))) };
  const line = timeline(it);
  const name = (tx) => (tx === it.transactions ? "end_block" : `transaction ${tx}`);
  const chosen = element("div", { id: "chosen", role: "status" }, "Nothing is chosen.");
  const drawing = new Drawing(line, choose);

  function choose(index) {
    if (index === null) {
      chosen.replaceChildren("Nothing is chosen.");
      return;
    }
    const span = line.at(index);
    const causes = line.abortsOf(span.tx, span.incarnation).map(cause);
    chosen.replaceChildren(
      facts([
        ["what", CLASSES[span.what].name],
        ["transaction", span.what === "idle" ? null : span.tx < it.transactions ? link(String(span.tx), "in", it.height, span.tx) : name(span.tx)],
        ["incarnation", span.what === "idle" ? null : String(span.incarnation)],
        ["worker", String(span.worker)],
        ["from", duration(span.start)],
        ["for", duration(span.end - span.start)],
        ["because of", span.other >= 0 && span.what !== "solo" ? `${name(span.other)}${span.key === null ? "" : `, key ${named(span.key)}`}` : null],
        ["aborted", causes.length ? causes.join("; ") : null],
      ]),
    );
  }

  const cause = (abort) =>
    `at ${duration(abort.time)} by worker ${abort.worker}: ${abort.other < 0 ? "what it read was withdrawn" : `${name(abort.other)} (incarnation ${abort.otherIncarnation}) wrote`}` +
    `${abort.key === null ? "" : ` key ${named(abort.key)}`}${abort.stands || abort.other < 0 ? "" : ", and was itself aborted"}`;

  const rows = list("Aborts", ["at", "aborted", "by", "key", "seen by"], (index) => {
    const abort = line.aborts[index];
    const found = line.executionOf(abort.tx, abort.incarnation);
    const what = `${name(abort.tx)} #${abort.incarnation}`;
    return [
      duration(abort.time),
      found === null ? what : button(what, () => (drawing.show(found), drawing.element.scrollIntoView({ block: "nearest" }))),
      abort.other < 0 ? "a write that was withdrawn" : `${name(abort.other)} #${abort.otherIncarnation}`,
      abort.key === null ? "" : link(named(abort.key, 24), "key", abort.key),
      `worker ${abort.worker}`,
    ];
  });
  rows.update(line.aborts.length);
  const newer = element("p", { role: "status" });
  if (tx !== undefined) {
    const found = line.lastOf(Number(tx));
    if (found !== null) drawing.show(found);
  }
  return {
    title,
    element: element(
      "div",
      {},
      newer,
      about(it, line),
      it.why ? element("p", { class: "note" }, said(it.why)) : null,
      it.left_out ? element("p", { class: "note" }, `The block has ${count(it.left_out)} more events, which are not shown: those that began last.`) : null,
      drawing.element,
      chosen,
      element("h3", {}, `Aborts (${count(line.aborts.length)})`),
      rows.element,
    ),
    block(newest) {
      if (which === "latest") newer.replaceChildren(button(`Show block ${newest.height}`, () => dispatchEvent(new HashChangeEvent("hashchange"))));
    },
  };
}

function about(it, line) {
  const stats = it.stats;
  return facts([
    ["block", link(String(it.height), "block", it.height)],
    ["transactions", count(it.transactions)],
    ["executed", `${said(stats.mode).textContent}${stats.why ? `: ${said(stats.why).textContent}` : ""}`],
    ["workers", String(stats.workers)],
    ["executions", count(stats.executions)],
    ["validations, aborts, waits", `${count(stats.validations)}, ${count(stats.aborts)}, ${count(stats.suspensions)}`],
    ["took", line === null ? null : duration(line.duration)],
  ]);
}
