// A key: what it is now, and what it was.

import { ask, askWith } from "./api.js";
import { toHex, fromHex, utf8 } from "./bytes.js";
import { address, button, element, facts, link, table } from "./dom.js";
import { named, shown } from "./text.js";

export async function key(hex) {
  if (hex === undefined) return { title: "Key", element: form("") };
  fromHex(hex);
  const now = await ask("state", hex);
  const rows = element("div", {});
  let before = null;
  const found = [];
  const note = element("p", { class: "note", role: "status" });
  const older = button("further back", more);

  async function more() {
    const it = await askWith(before === null ? {} : { from: before }, "history", hex);
    found.push(...it.changes);
    before = it.next;
    older.disabled = before === null;
    note.textContent = before === null ? `From height ${it.oldest} on: what was before is not kept.` : `Down to height ${before}.`;
    rows.replaceChildren(
      table("History", ["after block", "value", "written by transaction"], found.map((change) => [change.height === 0 ? "genesis" : link(String(change.height), "block", change.height), value(change.value), writers(change)])),
    );
  }

  await more();
  return {
    title: `Key ${named(hex)}`,
    element: element(
      "div",
      {},
      form(hex),
      facts([
        ["key", shown(hex)],
        ["now", value(now.value)],
        ["proof", link("prove it, and check that here", "proof", hex, now.height)],
      ]),
      rows,
      note,
      older,
    ),
  };
}

export function value(hex) {
  return hex === null ? element("span", { class: "none" }, "absent") : shown(hex);
}

const WRITERS_SHOWN = 5;

function writers({ height, writers }) {
  if (writers === null) return element("span", { class: "none" }, height === 0 ? "" : "not recorded");
  const others = writers.length - WRITERS_SHOWN;
  return [
    writers.slice(0, WRITERS_SHOWN).map((index, at) => [at ? ", " : "", link(String(index), "in", height, index)]),
    others > 0 ? ` and ${others} more` : "",
  ];
}

function form(hex) {
  const text = element("input", { id: "key-text", autocomplete: "off", spellcheck: "false", value: hex });
  const kind = element("select", { id: "key-kind", "aria-label": "How the key is written" }, element("option", { value: "hex" }, "hex"), element("option", { value: "text" }, "text"));
  const note = element("span", { class: "bad", role: "alert" });
  return element(
    "form",
    {
      onsubmit(event) {
        event.preventDefault();
        try {
          location.hash = address("key", kind.value === "text" ? toHex(utf8(text.value)) : toHex(fromHex(text.value)));
          note.textContent = "";
        } catch (error) {
          note.textContent = error.message;
        }
      },
    },
    element("label", { for: "key-text" }, "Key"),
    text,
    kind,
    element("button", {}, "Show"),
    note,
  );
}
