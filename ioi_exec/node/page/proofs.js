// Proofs of a key, verified without the node that made them: as storage/ioi_storage/proofs/verify_ics23.py and ioi_exec/node/app_hash.py
// do it, which say what is verified. A proof must be in the one encoding there is of it, so that every byte counts.
//
//   verifyKey(appHash, tree, key, value, ops)   the two steps: the tree's ICS23 proof to the state root, then the simple map's to the app hash

import { compare, concat, equal, sha256, startsWith, toHex, utf8 } from "./bytes.js";

export class InvalidProof extends Error {}

const OP_SIMPLE = "ics23:simple";
const OP_OF_TREE = { iavl: "ics23:iavl", jellyfish: "ics23:jmt" };

const LENGTHS = { jellyfish: 64, iavl: 128 }; // of paths, at most
const JELLYFISH_LEAF = concat(Uint8Array.of(8, 1, 16, 1, 24, 1, 0x2a, 13), utf8("JMT::LeafNode")); // SHA-256 of key hash and value hash
const IAVL_LEAF = Uint8Array.of(8, 1, 24, 1, 32, 1, 0x2a); // of key and value hash, with their lengths; the prefix follows
const SIMPLE_LEAF = Uint8Array.of(8, 1, 24, 1, 32, 1, 0x2a, 1, 0);
const INNER = Uint8Array.of(8, 1, 0x12); // SHA-256; the prefix follows
const LEAF_TAG = utf8("JMT::LeafNode");
const TAG = utf8("JMT::IntrnalNode");
const PLACEHOLDER = utf8("SPARSE_MERKLE_PLACEHOLDER_HASH__"); // of a half that holds nothing
const IAVL_NUMBERS = 11; // bytes of height, size and version of an inner node, at most
const MARK = Uint8Array.of(32);
const STATE = utf8("state");

/** The key has this value (bytes; null: it is absent) in the state whose app hash this is. ops: [{type, key, data}], key and data bytes.
 * Returns the state root; throws InvalidProof. */
export async function verifyKey(appHash, tree, key, value, ops) {
  if (ops.length !== 2) throw new InvalidProof(`the proof has ${ops.length} steps: from a key to the app hash there are two`);
  const [inside, outside] = ops;
  if (inside.type !== OP_OF_TREE[tree] || !equal(inside.key, key)) throw new InvalidProof("the first step is of another tree or key");
  const root = await verifyState(appHash, outside);
  if (value === null) await verifyAbsence(root, tree, key, inside.data);
  else await verifyExistence(root, tree, key, value, inside.data);
  return root;
}

/** The state root that the app hash stands for. */
export async function verifyState(appHash, op) {
  if (op.type !== OP_SIMPLE || !equal(op.key, STATE)) throw new InvalidProof(`the second step is not ${OP_SIMPLE} of the entry state`);
  const outer = new Message(op.data);
  const proof = outer.message(1, "a proof of the state root");
  outer.end();
  const [key, root, leaf, step] = [proof.need(1, "a key"), proof.need(2, "a value"), proof.need(3, "a leaf"), proof.need(4, "a node")];
  proof.end();
  const [prefix, suffix] = parts(step);
  if (!equal(key, STATE) || !equal(leaf, SIMPLE_LEAF) || prefix.length !== 33 || prefix[0] !== 1 || suffix.length)
    throw new InvalidProof("the proof of the state root is not one of the app hash");
  const hash = await sha256(Uint8Array.of(0, STATE.length), STATE, MARK, await sha256(root));
  if (!equal(await sha256(prefix, hash), appHash)) throw new InvalidProof("the proof is of another app hash");
  return root;
}

/** `key` has this value in the state with this root. */
export async function verifyExistence(root, tree, key, value, proof) {
  if (!value.length) throw new InvalidProof("ics23 has no proof of an empty value");
  const message = proofOf(root, tree, proof);
  const leaf = await existence(root, tree, message.message(1, "a proof of existence"));
  message.end();
  if (!equal(leaf.key, key)) throw new InvalidProof(`the proof is about key ${toHex(leaf.key)}`);
  if (!equal(leaf.value, value)) throw new InvalidProof("the key has another value");
}

/** `key` is not in the state with this root. */
export async function verifyAbsence(root, tree, key, proof) {
  const outer = proofOf(root, tree, proof);
  const message = outer.message(2, "a proof of absence");
  outer.end();
  if (!equal(message.need(1, "a key"), key)) throw new InvalidProof("the proof is about another key");
  const [left, right] = [message.maybe(2), message.maybe(3)];
  message.end();
  const place = await placeOf(tree, key);
  const before = left.length ? await existence(root, tree, new Message(left)) : null;
  const after = right.length ? await existence(root, tree, new Message(right)) : null;
  if (before && compare(before.place, place) >= 0) throw new InvalidProof("the key shown as the one before it is not left of it");
  if (after && compare(place, after.place) >= 0) throw new InvalidProof("the key shown as the one after it is not right of it");
  checkNeighbours(before && before.path, after && after.path, tree === "jellyfish" ? PLACEHOLDER : null);
}

// Nothing stands between the leaves at the ends of two paths from one root; a path that is null is an end of the tree.
function checkNeighbours(left, right, empty) {
  if (!left && !right) throw new InvalidProof("the proof shows no key beside the absent one");
  if (left && right) {
    let at = 0;
    while (at < Math.min(left.length, right.length) && equal(left[at].op, right[at].op)) at++;
    if (at === Math.min(left.length, right.length) || left[at].fromRight || !right[at].fromRight)
      throw new InvalidProof("the keys shown are not neighbours");
    left = left.slice(at + 1);
    right = right.slice(at + 1);
  }
  for (const [path, rightmost] of [[left, true], [right, false]])
    for (const step of path ?? [])
      if (step.fromRight !== rightmost && !(empty && equal(step.other, empty)))
        throw new InvalidProof("the proof leaves out what is between a key shown and the absent one");
}

// {place, key, value, path: from the root, of {fromRight: the leaf is in its right half, other: hash of the other half, op}}
async function existence(root, tree, message) {
  const [key, value, leafOp] = [message.need(1, "a key"), message.need(2, "a value"), message.need(3, "a leaf")];
  const ops = [];
  for (let op = message.maybe(4); op.length; op = message.maybe(4)) ops.push(op);
  message.end();
  if (ops.length > LENGTHS[tree]) throw new InvalidProof("a path is longer than the spec allows");
  const { hash, steps } = await (tree === "jellyfish" ? jellyfish : iavl)(key, value, leafOp, ops);
  if (!equal(hash, root)) throw new InvalidProof(`the proof is of another state: its root is ${toHex(hash)}, expected was ${toHex(root)}`);
  return { place: await placeOf(tree, key), key, value, path: steps.reverse() };
}

async function jellyfish(key, value, leafOp, ops) {
  if (!equal(leafOp, JELLYFISH_LEAF)) throw new InvalidProof("a leaf is not one of a Jellyfish tree");
  const place = await sha256(key);
  let hash = await sha256(LEAF_TAG, place, await sha256(value));
  const steps = [];
  for (const [above, op] of ops.entries()) {
    const bit = ops.length - 1 - above;
    const [prefix, suffix] = parts(op);
    const fromRight = Boolean(place[bit >> 3] & (0x80 >> bit % 8));
    const other = fromRight ? prefix.subarray(TAG.length) : suffix;
    if (!equal(prefix, fromRight ? concat(TAG, other) : TAG) || other.length !== 32 || (fromRight && suffix.length))
      throw new InvalidProof("a node is not one of a Jellyfish tree, or its key is not below it");
    steps.push({ fromRight, other, op });
    hash = await sha256(prefix, hash, suffix);
  }
  return { hash, steps };
}

async function iavl(key, value, leafOp, ops) {
  if (!startsWith(leafOp, IAVL_LEAF)) throw new InvalidProof("a leaf is not one of an IAVL tree");
  const message = new Message(leafOp.subarray(IAVL_LEAF.length - 1));
  const leaf = message.need(5, "a prefix");
  message.end();
  let below = numbers(leaf);
  if (below.height !== 0n || below.size !== 1n || below.end !== leaf.length) throw new InvalidProof("a leaf is not one of an IAVL tree");
  let hash = await sha256(leaf, varint(key.length), key, MARK, await sha256(value));
  const steps = [];
  for (const op of ops) {
    const [prefix, suffix] = parts(op);
    const here = numbers(prefix);
    if (here.height <= below.height || here.size <= below.size || here.end > IAVL_NUMBERS)
      throw new InvalidProof("a node has not the height or size of a node above others, or longer numbers than the spec allows");
    const fromRight = suffix.length === 0;
    const other = fromRight ? prefix.slice(here.end + 1, -1) : suffix.subarray(1);
    const marked = fromRight ? concat(MARK, other, MARK) : MARK;
    if (!equal(prefix.subarray(here.end), marked) || other.length !== 32 || !(fromRight || equal(suffix, concat(MARK, other))))
      throw new InvalidProof("a node is not one of an IAVL tree");
    steps.push({ fromRight, other, op });
    hash = await sha256(prefix, hash, suffix);
    below = here;
  }
  return { hash, steps };
}

async function placeOf(tree, key) {
  return tree === "jellyfish" ? sha256(key) : key;
}

// Of an IAVL node: zigzag varints, none negative, and where the version ends.
function numbers(prefix) {
  const [height, first] = readVarint(prefix, 0);
  const [size, second] = readVarint(prefix, first);
  const [version, end] = readVarint(prefix, second);
  if ((height | size | version) & 1n) throw new InvalidProof("a number is negative");
  return { height: height >> 1n, size: size >> 1n, end };
}

// Prefix and suffix of an InnerOp.
function parts(op) {
  if (!startsWith(op, INNER)) throw new InvalidProof("a node is not hashed as it should be");
  const message = new Message(op.subarray(INNER.length - 1));
  const both = [message.need(2, "a prefix"), message.maybe(3)];
  message.end();
  return both;
}

function proofOf(root, tree, proof) {
  if (!Object.hasOwn(LENGTHS, tree)) throw new InvalidProof("no tree is called so: there are jellyfish and iavl");
  if (root.length !== 32) throw new InvalidProof(`a root has 32 bytes, not ${root.length}`);
  return new Message(proof);
}

// A protobuf message of length-delimited fields, in the one encoding that ascends and leaves out what is empty.
class Message {
  #data;
  #at = 0;

  constructor(data) {
    this.#data = data;
  }

  /** What follows, if it is this field, else nothing. */
  maybe(field) {
    if (this.#at >= this.#data.length || this.#data[this.#at] !== ((field << 3) | 2)) return new Uint8Array();
    const [size, begin] = readVarint(this.#data, this.#at + 1);
    if (size === 0n || size > BigInt(this.#data.length - begin)) throw new InvalidProof("a field is empty, or cut off");
    this.#at = begin + Number(size);
    return this.#data.subarray(begin, this.#at);
  }

  need(field, what) {
    const found = this.maybe(field);
    if (!found.length) throw new InvalidProof(`${what} is missing where it should be`);
    return found;
  }

  message(field, what) {
    return new Message(this.need(field, what));
  }

  end() {
    if (this.#at !== this.#data.length) throw new InvalidProof("something is there that does not belong");
  }
}

function varint(value) {
  const coded = [];
  for (; value > 127; value >>>= 7) coded.push((value & 127) | 128);
  return Uint8Array.of(...coded, value);
}

// [value, where it ends], of at most 64 bits and no longer than needed.
function readVarint(data, at) {
  let value = 0n;
  for (let shift = 0; shift < 70; shift += 7) {
    if (at === data.length) throw new InvalidProof("the proof is cut off");
    const byte = data[at++];
    value |= BigInt(byte & 127) << BigInt(shift);
    if (byte < 128) {
      if ((byte === 0 && shift) || value >= 1n << 64n) break;
      return [value, at];
    }
  }
  throw new InvalidProof("a number is longer than it needs to be, or than 64 bits");
}
