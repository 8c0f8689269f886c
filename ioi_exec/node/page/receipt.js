// What came of a transaction.

import { element, facts, table } from "./dom.js";
import { count, said, shown } from "./text.js";

export function receipt(it) {
  return element(
    "div",
    {},
    facts([
      ["what came of it", it.ok ? "done" : element("span", { class: "bad" }, it.refused ? "refused" : "failed")],
      ["code", it.ok ? null : String(it.code)],
      ["error", it.error ? said(it.error) : null],
      ["output", shown(it.output)],
      ["gas", `${count(it.gas_used)} used, ${count(it.gas_wanted)} wanted`],
    ]),
    events(it.events),
  );
}

const EVENTS_MOST = 1000;

export function events(all) {
  if (!all.length) return element("p", { class: "none" }, "No events.");
  const rows = all.slice(0, EVENTS_MOST).map(({ name, attributes }, index) => [
    String(index),
    said(name),
    element("ul", {}, attributes.map(([attribute, value]) => element("li", {}, said(attribute), " = ", attributeValue(value)))),
  ]);
  const left = all.length - rows.length;
  return element("div", {}, table("Events", ["", "event", "attributes"], rows), left ? element("p", { class: "note" }, `${left} more are not shown.`) : null);
}

function attributeValue(value) {
  if ("bytes" in value) return shown(value.bytes);
  return said(String(value.text ?? value.int));
}
