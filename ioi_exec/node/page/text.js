// Text and bytes of a chain, as they may be shown: nothing in them hides, reorders or imitates what stands around them.

import { fromHex } from "./bytes.js";
import { button, element } from "./dom.js";

const SHOWN = 256; // characters of text or of hex, before "more" is pressed
const MORE = 16384;

// Controls, formats (bidirectional ones among them), separators of lines, surrogates, private and unassigned characters, and what is blank
// without being a space.
const HIDDEN = /[\p{C}\p{Zl}\p{Zp}\u00a0\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2000-\u200a\u202f\u205f\u2800\u3000\u3164\ufe00-\ufe0f\uffa0]|[\u{e0100}-\u{e01ef}]/gu;

/** With every character that is not seen as itself written as \u{...}. */
export function visible(text) {
  return text.toWellFormed().replace(HIDDEN, (found) => `\\u{${found.codePointAt(0).toString(16)}}`);
}

/** What bytes say, where they are UTF-8 that can be seen as it is; else null. */
export function saidBy(bytes) {
  let text;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
  return text !== "" && text.search(HIDDEN) < 0 ? text : null;
}

/** Text from a chain, in an element of its own direction; what is long is cut, and more of it shown when asked for. */
export function said(text) {
  return cut(text, visible, "text");
}

/** Bytes, given as hex: as the text they are, or else as hex; hex in the title. */
export function shown(hex) {
  if (hex === "") return element("span", { class: "none" }, "empty");
  const text = hex.length <= 2 * MORE ? saidBy(fromHex(hex)) : null;
  return text === null ? cut(hex, (part) => part, "hex") : cut(text, (part) => `"${part}"`, "text", brief(hex, 512));
}

/** One line of bytes: for lists and links. */
export function brief(hex, most = 24) {
  return hex.length <= most ? hex : `${hex.slice(0, most)}\u2026`;
}

/** The same of a key: as text where it is one. */
export function named(hex, most = 40) {
  const text = hex.length <= 512 ? saidBy(fromHex(hex)) : null;
  if (text === null) return brief(hex, most);
  const letters = [...text];
  return letters.length <= most ? `"${text}"` : `"${letters.slice(0, most).join("")}\u2026"`;
}

/** A number of nanoseconds. */
export function duration(ns) {
  const [unit, size] = [["s", 1e9], ["ms", 1e6], ["\u00b5s", 1e3], ["ns", 1]].find(([, size]) => ns >= size) ?? ["ns", 1];
  return `${Number((ns / size).toPrecision(3))} ${unit}`;
}

/** A whole number with its thousands apart; it may be text, for those that have more digits than a number has here. */
export function count(number) {
  return String(number).replace(/\B(?=(\d{3})+$)/g, "\u202f");
}

function cut(text, form, style, title = null) {
  let end = SHOWN;
  const holder = element("span", { class: `data ${style}`, dir: "ltr", title });
  const show = () => {
    // A character is not cut in two.
    if (end < text.length && (text.charCodeAt(end) & 0xfc00) === 0xdc00) end++;
    holder.textContent = form(text.slice(0, end));
    if (end < text.length) {
      const rest = style === "hex" ? `${count((text.length - end) / 2)} more bytes` : `${count(text.length - end)} more characters`;
      holder.append("\u2026 ", button(rest, () => ((end += MORE), show()), { class: "more" }));
    }
  };
  show();
  return holder;
}
