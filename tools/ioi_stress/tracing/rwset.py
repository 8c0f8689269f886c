"""A recorded block as declared transactions, which the workload `rwset` replays: what each read, wrote and took."""

from __future__ import annotations

import json
from typing import TextIO

import numpy as np

from ioi_exec.block.record import Record
from ioi_stress.notation.keys import text
from ioi_stress.tracing.timeline import Ints, accesses, keys_by_tx
from ioi_stress.vm.encoding import COST_MAX_NS


def write_rwset(record: Record, work: Ints, stream: TextIO, number: int) -> None:
    """In the format of `ioi_stress.workloads.rwset_file.FORMAT`: one block, begin_block and end_block left out. A deletion becomes a
    write; an add that depends on another transaction a read and a write. work: nanoseconds by transaction."""
    names = [text(key) for key in record.keys]
    costs = np.minimum(work, COST_MAX_NS).tolist()
    kinds = [(what, *keys_by_tx(rows, record.transactions)) for what, rows in zip(("reads", "writes", "adds"), accesses(record))]
    stream.write(json.dumps({"block": number}) + "\n")
    for tx in range(record.transactions):
        line = {what: [names[key] for key in keys[at[tx] : at[tx + 1]]] for what, keys, at in kinds}
        if not line["adds"]:
            del line["adds"]
        stream.write(json.dumps({**line, "cost_ns": costs[tx]}) + "\n")
