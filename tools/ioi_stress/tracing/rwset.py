"""A recorded block as declared transactions, which the workload `rwset` replays: what each read, wrote and took."""

from __future__ import annotations

import json
from typing import TextIO

import numpy as np

from ioi_exec.block.record import Record
from ioi_stress.notation.keys import text
from ioi_stress.tracing.timeline import Ints, keys_by_tx
from ioi_stress.vm.encoding import COST_MAX_NS


def write_rwset(record: Record, work: Ints, stream: TextIO, number: int) -> None:
    """In the format of `ioi_stress.workloads.rwset_file.FORMAT`: one block, begin_block and end_block left out. A deletion becomes a
    write. work: nanoseconds by transaction."""
    names = [text(key) for key in record.keys]
    costs = np.minimum(work, COST_MAX_NS).tolist()
    (reads, read_at), (writes, write_at) = (
        keys_by_tx(rows, record.transactions) for rows in (record.reads, record.writes)
    )
    stream.write(json.dumps({"block": number}) + "\n")
    for tx in range(record.transactions):
        line = {
            "reads": [names[key] for key in reads[read_at[tx] : read_at[tx + 1]]],
            "writes": [names[key] for key in writes[write_at[tx] : write_at[tx + 1]]],
            "cost_ns": costs[tx],
        }
        stream.write(json.dumps(line) + "\n")
