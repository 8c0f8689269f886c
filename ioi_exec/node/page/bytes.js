// Bytes as the page meets them: Uint8Arrays, and hex as text.

export class NotHex extends Error {}

/** Bytes of hex, "0x" before it or not; null for null. Throws NotHex. */
export function fromHex(text) {
  if (text === null) return null;
  const digits = text.trim().replace(/^0x/i, "");
  if (digits.length % 2 || !/^[0-9a-f]*$/i.test(digits)) throw new NotHex("this is not hex: an even number of the digits 0 to 9, a to f");
  const bytes = new Uint8Array(digits.length / 2);
  for (let i = 0; i < bytes.length; i++) bytes[i] = parseInt(digits.slice(2 * i, 2 * i + 2), 16);
  return bytes;
}

const DIGITS = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

export function toHex(bytes) {
  let text = "";
  for (const byte of bytes) text += DIGITS[byte];
  return text;
}

export function utf8(text) {
  return new TextEncoder().encode(text);
}

export function concat(...parts) {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** Below 0, 0 or above: as bytes are ordered, a beginning first. */
export function compare(a, b) {
  for (let i = 0; i < Math.min(a.length, b.length); i++) if (a[i] !== b[i]) return a[i] - b[i];
  return a.length - b.length;
}

export function equal(a, b) {
  return a.length === b.length && compare(a, b) === 0;
}

export function startsWith(bytes, beginning) {
  return bytes.length >= beginning.length && equal(bytes.subarray(0, beginning.length), beginning);
}

/** SHA-256 by the browser, which has it on https and on loopback alone. */
export async function sha256(...parts) {
  if (!globalThis.crypto?.subtle) throw new Error("this browser has SHA-256 only on https and on loopback: open the page as http://127.0.0.1");
  return new Uint8Array(await crypto.subtle.digest("SHA-256", concat(...parts)));
}
