// The page of a node: which view the address asks for, and what happens at the node meanwhile.

import { Refused, watch } from "./api.js";
import { NotHex } from "./bytes.js";
import { address, element } from "./dom.js";
import { said } from "./text.js";
import { block, blocks } from "./blocks.js";
import { check, proof } from "./proof.js";
import { key } from "./key.js";
import { lanes } from "./lanes.js";
import { placed, transaction } from "./transaction.js";

// Each makes {title, element, block?(BLOCK)} of what follows its name in the address.
const VIEWS = { "": blocks, block, tx: transaction, in: placed, key, proof, check, lanes };

const main = document.getElementById("main");
let view = {};
let number = 0;

async function show() {
  const mine = ++number;
  const parts = location.hash.replace(/^#\/?/, "").split("/");
  main.setAttribute("aria-busy", "true");
  let made;
  try {
    const [name, ...rest] = parts.map(decodeURIComponent);
    if (!Object.hasOwn(VIEWS, name)) throw new Refused("There is no such view.", 404);
    made = await VIEWS[name](...rest);
  } catch (error) {
    made = failed(error);
  }
  if (mine !== number) return; // another was asked for meanwhile
  view = made;
  main.removeAttribute("aria-busy");
  main.replaceChildren(element("h2", {}, made.title), made.element);
  document.title = `${made.title} \u2013 ioi-exec`;
  for (const link of document.querySelectorAll("nav a"))
    if (link.hash.split("/")[1] === parts[0]) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
}

function failed(error) {
  const known = error instanceof Refused || error instanceof NotHex || error instanceof URIError;
  if (!known) console.error(error);
  return { title: "This cannot be shown", element: element("p", { class: "bad", role: "alert" }, said(String(error.message))) };
}

document.getElementById("search").addEventListener("submit", (event) => {
  event.preventDefault();
  const sought = document.getElementById("sought").value.trim().replace(/^0x/i, "");
  location.hash = /^\d{1,19}$/.test(sought) ? address("block", sought) : address("tx", sought.toLowerCase());
});

const live = document.getElementById("live");
const chain = document.getElementById("chain");
let begun = null; // a view asks after the first look at the node, so that no block comes unseen between them
watch({
  block: (it) => view.block?.(it),
  anew: () => view.block && show(), // what follows the chain, and no form that somebody fills in
  status(now) {
    begun ??= show();
    document.body.classList.remove("away");
    chain.replaceChildren(said(now.chain_id), " ", said(`${now.vm} ${now.vm_version ?? ""}`));
    const trouble = now.stopped ?? now.not_reloaded;
    live.replaceChildren(`height ${now.height}`, ...(trouble ? [": ", element("span", { class: "bad", role: "alert" }, said(trouble))] : []));
  },
  away() {
    begun ??= show();
    document.body.classList.add("away");
    live.textContent = "the node does not answer";
  },
});
addEventListener("hashchange", () => show().then(() => main.focus({ preventScroll: true })));
