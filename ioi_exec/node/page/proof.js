// A proof, checked here: against a root that somebody else says, or, opened at a second node, against that one's.

import { Refused, ask, askWith } from "./api.js";
import { NotHex, fromHex } from "./bytes.js";
import { address, button, element, facts } from "./dom.js";
import { value } from "./key.js";
import { InvalidProof, verifyKey } from "./proofs.js";
import { shown } from "./text.js";

const LINK_MOST = 500_000; // characters of a proof, whose quotes take three each in an address

/** What a node says of a key, as it was pasted: {key, value, height, tree, ops}, key, value and what is in ops as bytes. Throws Refused. */
function claimOf(text) {
  let said;
  try {
    said = JSON.parse(text);
  } catch {
    throw new Refused("this is no JSON: give what /v1/state/KEY?prove=1 answers", 0);
  }
  const ops = said?.proof?.ops;
  const whole =
    typeof said?.key === "string" && (said.value === null || typeof said.value === "string") && typeof said.tree === "string" &&
    Number.isSafeInteger(said.height) && Array.isArray(ops) &&
    ops.every((op) => typeof op?.type === "string" && typeof op.key === "string" && typeof op.data === "string");
  if (!whole) throw new Refused("this is no proof: give what /v1/state/KEY?prove=1 answers", 0);
  return {
    key: fromHex(said.key),
    value: fromHex(said.value),
    height: said.height,
    tree: said.tree,
    ops: ops.map(({ type, key, data }) => ({ type, key: fromHex(key), data: fromHex(data) })),
    said,
  };
}

/** Whether it holds, in words. */
async function verdict(claim, appHash, whose) {
  const about = facts([
    ["key", shown(claim.said.key)],
    ["value", value(claim.said.value)],
    ["at height", String(claim.height)],
    ["tree", claim.tree in { iavl: 0, jellyfish: 0 } ? claim.tree : "unknown"],
    [`app hash, ${whose}`, shown(appHash)],
  ]);
  try {
    await verifyKey(fromHex(appHash), claim.tree, claim.key, claim.value, claim.ops);
  } catch (error) {
    if (!(error instanceof InvalidProof)) throw error;
    return element("div", { class: "verdict bad" }, element("p", {}, element("strong", {}, "Not proven: "), error.message), about);
  }
  return element("div", { class: "verdict good" }, element("p", {}, element("strong", {}, "Proven.")), about);
}

/** A tree that a proof names decides which rules it is held to; another than the one expected is no proof. */
function ofThisChain(claim, tree) {
  if (claim.tree !== tree) throw new Refused(`the proof is of another tree than this chain has, which is ${tree}`, 0);
}

export async function proof(hex = "", height = "") {
  const pasted = element("textarea", { id: "claim", rows: "8", spellcheck: "false", autocomplete: "off" });
  const root = element("input", { id: "root", autocomplete: "off", spellcheck: "false", maxlength: "70" });
  const second = element("input", { id: "second", type: "url", autocomplete: "off", placeholder: "http://127.0.0.1:26657" });
  const key = element("input", { id: "proof-key", autocomplete: "off", spellcheck: "false", value: hex });
  const at = element("input", { id: "proof-height", inputmode: "numeric", autocomplete: "off", value: height });
  const answer = element("div", { id: "verdict", role: "status" });
  const elsewhere = element("p", {});

  async function told(make) {
    try {
      answer.replaceChildren(...(await make()));
    } catch (error) {
      if (!(error instanceof Refused || error instanceof NotHex)) throw error;
      answer.replaceChildren(element("p", { class: "bad" }, error.message));
    }
  }

  const fetched = () =>
    told(async () => {
      fromHex(key.value);
      const query = { prove: 1, ...(at.value.trim() ? { height: at.value.trim() } : {}) };
      pasted.value = JSON.stringify(await askWith(query, "state", key.value.trim().toLowerCase()));
      return [];
    });
  const checked = () =>
    told(async () => {
      const claim = claimOf(pasted.value);
      if (!/^(0x)?[0-9a-f]{64}$/i.test(root.value.trim())) throw new Refused("give an app hash: 64 digits of hex", 0);
      ofThisChain(claim, (await ask("status")).tree);
      return [await verdict(claim, root.value.trim().replace(/^0x/i, "").toLowerCase(), "as given")];
    });
  const sent = () =>
    told(async () => {
      const claim = claimOf(pasted.value);
      let there;
      try {
        there = new URL(second.value);
      } catch {
        throw new Refused("give the address of a second node, as http://127.0.0.1:26657", 0);
      }
      if (there.protocol !== "http:" && there.protocol !== "https:") throw new Refused("an address begins with http:// or https://", 0);
      const to = new URL("/", there.origin);
      if (pasted.value.length > LINK_MOST) throw new Refused("the proof is too long for a link: paste it at the second node's own page", 0);
      to.hash = address("check", JSON.stringify(claim.said)).slice(1);
      elsewhere.replaceChildren(element("a", { href: to.href, target: "_blank", rel: "noopener noreferrer" }, `Check it at ${there.origin}`));
      return [];
    });

  if (hex) await fetched();
  return {
    title: "Proof",
    element: element(
      "div",
      { class: "steps" },
      element("p", {}, "A node cannot prove a thing by its own word. Its proof is checked in this browser, against an app hash that comes from elsewhere: the header of the next height as a light client or another node has it."),
      element("fieldset", {}, element("legend", {}, "What is claimed"),
        row("Key, hex", key), row("Height (empty: the newest)", at), button("Get the proof from this node", fetched),
        row("Or the answer of any node to /v1/state/KEY?prove=1", pasted)),
      element("fieldset", {}, element("legend", {}, "Against an app hash that you have"), row("App hash after that height", root), button("Check", checked)),
      element("fieldset", {}, element("legend", {}, "Against what a second node has"), row("Its address", second), button("Make the link", sent), elsewhere,
        element("p", { class: "note" }, "The link carries the proof to the second node's own page, which checks it against its own app hash. This page asks nobody but its node.")),
      answer,
    ),
  };
}

/** At the second node: what a first one claims, against the app hash of this one. */
export async function check(...parts) {
  const claim = claimOf(parts.join("/"));
  const [status, { blocks }] = await Promise.all([ask("status"), askWith({ before: claim.height + 1, limit: 1 }, "blocks")]);
  ofThisChain(claim, status.tree);
  if (blocks[0]?.height !== claim.height) throw new Refused(`This node has no block of height ${claim.height} to hold the proof against.`, 404);
  return {
    title: "A proof of another node",
    element: await verdict(claim, blocks[0].app_hash, `as this node has it (${location.host})`),
  };
}

function row(label, input) {
  return element("p", { class: "field" }, element("label", { for: input.id }, label), input);
}
