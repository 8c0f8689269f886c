// A transaction: what came of it, and what it read and wrote.

import { Refused, ask } from "./api.js";
import { element, facts, link, table } from "./dom.js";
import { receipt } from "./receipt.js";
import { count, named, said, shown } from "./text.js";

export async function transaction(hash = "") {
  const it = await ask("txs", hash);
  if (it.status !== undefined) {
    const why = it.why ? [": ", said(it.why)] : [];
    return { title: "Transaction", element: element("p", {}, it.status === "waiting" ? "It waits for a block." : ["It was taken out", ...why]), block: () => dispatchEvent(new HashChangeEvent("hashchange")) };
  }
  const accesses = await ask("accesses", it.height, it.index).catch(unrecorded);
  return {
    title: `Transaction ${it.index} of block ${it.height}`,
    element: element(
      "div",
      {},
      facts([
        ["hash", shown(it.hash)],
        ["block", link(String(it.height), "block", it.height)],
        ["lanes", link("when it was executed, and by whom", "lanes", it.height, it.index)],
        ["its bytes", shown(it.tx)],
      ]),
      receipt(it.receipt),
      element("h3", {}, "What it read and wrote"),
      touched(accesses),
    ),
  };
}

// A block that is older than those whose recordings are kept, say.
function unrecorded(error) {
  if (!(error instanceof Refused)) throw error;
  return { why: error.message };
}

/** The same by its place: also of what follows the last one, `end_block`, which has no receipt of its own. */
export async function placed(height, index) {
  const it = await ask("accesses", height, index);
  if (it.hash !== null) return transaction(it.hash);
  return { title: `end_block of block ${it.height}`, element: element("div", {}, touched(it)) };
}

function touched(it) {
  if (it.why) return [element("p", { class: "note" }, said(it.why))];
  const key = (hex) => link(named(hex), "key", hex);
  const from = ({ writer, added }) => [writer === null ? "the state before the block" : `transaction ${writer}`, added ? ", to add to it" : ""].join("");
  const what = ({ deleted, added }) => (deleted ? "deleted" : added ? "added to" : "put");
  return [
    table(`Reads (${count(it.reads_total)})`, ["key", "written by"], it.reads.map((read) => [key(read.key), from(read)])),
    table(`Writes (${count(it.writes_total)})`, ["key", "what"], it.writes.map((write) => [key(write.key), what(write)])),
    it.reads.length < it.reads_total || it.writes.length < it.writes_total ? element("p", { class: "note" }, "The others are not shown.") : null,
  ].filter((part) => part !== null);
}
