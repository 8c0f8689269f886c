// Elements, made of text alone: what comes from a node is never read as HTML.

/** element("a", {href: "#/"}, "text", child): properties that begin with "on" are listeners, null and false leave one out. */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat(Infinity).filter((child) => child !== null));
  return made;
}

/** A link within the page; every part of the address is data. */
export function link(text, ...parts) {
  return element("a", { href: address(...parts) }, text);
}

export function address(...parts) {
  return "#/" + parts.map(encodeURIComponent).join("/");
}

/** Names and what they are, as a list of definitions; what is null is left out. */
export function facts(rows) {
  const known = rows.filter(([, value]) => value !== null && value !== undefined);
  return element("dl", {}, known.map(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]));
}

export function table(caption, heads, rows) {
  return element(
    "div",
    { class: "wide", tabindex: "0", role: "region", "aria-label": caption },
    element(
      "table",
      {},
      element("caption", {}, caption),
      element("thead", {}, element("tr", {}, heads.map((head) => element("th", { scope: "col" }, head)))),
      element("tbody", {}, rows.map((row) => element("tr", {}, row.map((cell) => element("td", {}, cell))))),
    ),
  );
}

export function button(text, onclick, more = {}) {
  return element("button", { type: "button", onclick, ...more }, text);
}
