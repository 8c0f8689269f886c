// Blocks as they come, and one block.

import { ask, askWith } from "./api.js";
import { button, element, facts, link } from "./dom.js";
import { list } from "./list.js";
import { brief, count, said, shown } from "./text.js";
import { events } from "./receipt.js";

const PAGE = 50; // blocks asked for at once
const KEPT = 5000; // blocks that a view has at most

function timeOf(ns) {
  const milliseconds = Number(BigInt(ns) / 1000000n);
  return Math.abs(milliseconds) <= 8.64e15 ? new Date(milliseconds).toISOString().replace("T", " ").replace("Z", " UTC") : `${ns} ns`;
}

export async function blocks() {
  const known = (await askWith({ limit: PAGE }, "blocks")).blocks;
  const rows = list("Blocks, the newest first", ["height", "time", "transactions", "failed", "app hash"], (index) => {
    const it = known[index];
    return [link(String(it.height), "block", it.height), timeOf(it.time_ns), count(it.transactions), count(it.failed), brief(it.app_hash, 16)];
  });
  const older = button("older", async () => {
    const last = known.at(-1);
    const more = last === undefined ? [] : (await askWith({ before: last.height, limit: PAGE }, "blocks")).blocks;
    known.push(...more.filter((it) => it.height < known.at(-1).height));
    update(more.length === PAGE);
  });
  function update(more) {
    older.disabled = !more || known.length >= KEPT;
    rows.update(known.length);
  }
  update(known.length === PAGE);
  return {
    title: "Blocks",
    element: element("div", {}, rows.element, older),
    block(it) {
      if (known.length && it.height <= known[0].height) return;
      known.unshift(it);
      known.length = Math.min(known.length, KEPT);
      rows.update(known.length);
    },
  };
}

export async function block(which = "latest") {
  const it = await ask("blocks", which);
  const rows = list("Transactions", ["", "transaction", "bytes", "what came of it", "gas used", "events"], (index) => {
    const tx = it.txs[index];
    const came = tx.receipt.ok ? "done" : element("span", { class: "bad" }, `failed (${tx.receipt.code})`);
    return [String(index), link(brief(tx.hash, 24), "tx", tx.hash), count(tx.tx.length / 2), came, count(tx.receipt.gas_used), count(tx.receipt.events.length)];
  });
  rows.update(it.txs.length);
  return {
    title: `Block ${it.height}`,
    element: element(
      "div",
      {},
      facts([
        ["time", timeOf(it.time_ns)],
        ["transactions", `${count(it.transactions)}, ${count(it.failed)} of them failed`],
        ["hash", shown(it.hash)],
        ["app hash after it", shown(it.app_hash)],
        ["state root", shown(it.state_root)],
        ["receipts root", shown(it.receipts_root)],
        ["proposer", shown(it.proposer)],
        ["VM", said(`${it.vm} ${it.vm_version ?? ""}`)],
      ]),
      element("p", {}, link("Who executed what when", "lanes", it.height), " \u00b7 ", link("the block before", "block", Math.max(it.height - 1, 0))),
      rows.element,
      it.events.length ? element("div", {}, element("h3", {}, "Events of its hooks"), events(it.events)) : null,
    ),
  };
}
