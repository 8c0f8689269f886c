// What the page asks its node. Answers are data of a stranger: JSON, which nobody executes.

export class Refused extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

const PATIENCE = 30_000; // milliseconds

export async function ask(...parts) {
  return request(`/v1/${parts.map(encodeURIComponent).join("/")}`);
}

export async function askWith(query, ...parts) {
  return request(`/v1/${parts.map(encodeURIComponent).join("/")}?${new URLSearchParams(query)}`);
}

async function request(address) {
  let answer;
  try {
    answer = await fetch(address, { signal: AbortSignal.timeout(PATIENCE), cache: "no-store", redirect: "error" });
  } catch {
    throw new Refused("the node does not answer", 0);
  }
  let body;
  try {
    body = await answer.json();
  } catch {
    throw new Refused(`the node answered ${answer.status} and no JSON`, answer.status);
  }
  if (!answer.ok) throw new Refused(typeof body?.error === "string" ? body.error : `the node answered ${answer.status}`, answer.status);
  return body;
}

const LOOK = 1000; // milliseconds from one look to the next
const MISSED = 100; // blocks that are told of one by one; where there are more, all is looked at anew

/** What happens at the node from now on: block(BLOCK) in order; status(STATUS) with each; anew() where it went back, or too much was missed; away(). */
export async function watch({ block, status, anew, away }) {
  let last = null; // STATUS, as it was seen last
  let told = ""; // the same, as it was told last; "": the node was away since
  for (;;) {
    try {
      const now = await ask("status");
      if (last !== null && now.hash !== last.hash) {
        const more = now.height - last.height;
        const blocks = more > 0 && more < MISSED ? (await askWith({ before: now.height + 1, limit: more + 1 }, "blocks")).blocks.reverse() : [];
        const before = blocks.find((it) => it.height === last.height);
        if (!blocks.length || (before !== undefined && before.hash !== last.hash)) anew();
        else blocks.filter((it) => it.height > last.height).forEach(block);
      }
      if (JSON.stringify(now) !== told) status(now);
      told = JSON.stringify(now);
      last = now;
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      told = "";
      away();
    }
    await new Promise((go) => setTimeout(go, LOOK));
    while (document.hidden) await new Promise((go) => document.addEventListener("visibilitychange", go, { once: true }));
  }
}
