// What the page's verifier says of each case on standard input, a JSON line each: "" if it holds, else why not.
// usage: node verdicts.mjs MODULES < CASES

import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const from = (name) => import(pathToFileURL(`${process.argv[2]}/${name}`));
const [{ fromHex }, { InvalidProof, verifyKey }] = await Promise.all([from("bytes.js"), from("proofs.js")]);

for await (const line of createInterface({ input: process.stdin })) {
  const { hash, tree, key, value, ops } = JSON.parse(line);
  let verdict = "";
  try {
    const steps = ops.map(({ type, key, data }) => ({ type, key: fromHex(key), data: fromHex(data) }));
    await verifyKey(fromHex(hash), tree, fromHex(key), fromHex(value), steps);
  } catch (error) {
    if (!(error instanceof InvalidProof)) throw error;
    verdict = error.message;
  }
  console.log(JSON.stringify(verdict));
}
