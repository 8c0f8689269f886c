// A record of a block, as /v1/lanes has it, made ready to be drawn: what became of every execution, and the aborts.

// EventKind of ioi_exec/block/record.py.
const EXECUTE = 1, VALIDATE = 2, ABORT = 3, SUSPEND = 4, FETCH = 5, IDLE = 6, SOLO = 8, PREEMPTED = 9;

/** height: share of a lane. colour: a custom property of page.css. */
export const CLASSES = {
  first: { name: "executed, and it stands", height: 1 },
  again: { name: "executed again, and it stands", height: 1 },
  aborted: { name: "executed, and aborted later", height: 1 },
  cut: { name: "cut short, to begin again", height: 1 },
  validating: { name: "validation", height: 0.4 },
  waiting: { name: "waiting for a lower transaction", height: 0.7 },
  fetching: { name: "reading the state before the block", height: 0.4 },
  preempted: { name: "another process had the core", height: 0.25 },
  idle: { name: "nothing to do", height: 0.15 },
  solo: { name: "alone at the watermark", height: 1.25 },
};

const BY_KIND = { [VALIDATE]: "validating", [SUSPEND]: "waiting", [FETCH]: "fetching", [IDLE]: "idle", [SOLO]: "solo", [PREEMPTED]: "preempted" };

export function timeline({ events, keys, workers }) {
  const total = events.kind.length;
  const id = (tx, incarnation) => `${tx} ${incarnation}`;
  const key = (index) => (index < 0 ? null : keys[index] ?? null);
  const executions = new Map(); // by transaction and incarnation, the one that finished
  const last = new Map(); // by transaction, the execution that counts
  for (let i = 0; i < total; i++) {
    if (events.kind[i] !== EXECUTE || events.result[i] !== 1) continue;
    executions.set(id(events.tx[i], events.incarnation[i]), i);
    const other = last.get(events.tx[i]);
    if (other === undefined || events.incarnation[other] <= events.incarnation[i]) last.set(events.tx[i], i);
  }
  const lanes = Array.from({ length: workers }, () => []); // indices of spans by start, those around others first
  const what = new Array(total).fill(null);
  const aborts = [];
  let duration = 0;
  let begin = Infinity; // of what is drawn: workers may take long to wake
  for (let i = 0; i < total; i++) {
    duration = Math.max(duration, events.end[i]);
    if (events.kind[i] === ABORT)
      aborts.push({
        time: events.start[i], worker: events.worker[i], tx: events.tx[i], incarnation: events.incarnation[i], other: events.other[i],
        otherIncarnation: events.other_incarnation[i], key: key(events.key[i]), stands: events.result[i] === 1,
      });
    what[i] = events.kind[i] === EXECUTE ? execution(i) : BY_KIND[events.kind[i]] ?? null;
    if (what[i] === null) continue;
    lanes[events.worker[i]]?.push(i);
    if (what[i] !== "idle") begin = Math.min(begin, events.start[i]);
  }

  function execution(i) {
    if (events.result[i] === 0) return "cut";
    if (last.get(events.tx[i]) !== i) return "aborted";
    return events.incarnation[i] === 0 ? "first" : "again";
  }

  return {
    lanes,
    aborts,
    duration,
    begin: Math.min(begin, duration),
    start: events.start,
    end: events.end,
    tx: events.tx,
    what,
    at: (i) => ({
      start: events.start[i], end: events.end[i], tx: events.tx[i], incarnation: events.incarnation[i], worker: events.worker[i],
      other: events.other[i], key: key(events.key[i]), what: what[i],
    }),
    abortsOf: (tx, incarnation) => aborts.filter((abort) => abort.tx === tx && abort.incarnation === incarnation),
    executionOf: (tx, incarnation) => executions.get(id(tx, incarnation)) ?? null,
    lastOf: (tx) => last.get(tx) ?? null,
  };
}
