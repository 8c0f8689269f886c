"""What is simulated: one block of a workload, as programs on the state that the blocks before it leave."""

from __future__ import annotations

from dataclasses import replace
from typing import Iterator

from ioi_exec import InputError, Limits
from ioi_exec.block.record import Record
from ioi_stress import _simulation
from ioi_stress.notation.text import counted
from ioi_stress.plan import Plan
from ioi_stress.running.recording import record_block
from ioi_stress.simulation.costs import Costs
from ioi_stress.tracing.timeline import accesses, keys_by_tx
from ioi_stress.vm import encoding
from ioi_stress.workload import Workload
from ioi_stress.workloads.base import VMS

_PROGRAMS = (VMS["native"], VMS["python"])
_REPEAT = 5
_VALUE_BYTES = 32


def block_of(workload: Workload, number: int, costs: Costs) -> object:
    """Block `number` (from 0 on) of the workload, for `_simulation.play`. Programs are simulated as they are; whatever other VMs
    execute, and programs that scan or add, is recorded here first, and simulated as what each transaction finally read, wrote, added and took.

    Raises InputError if there is no such block, and the engine's errors where it has to be executed."""
    if workload.vm in _PROGRAMS:
        found = _programs(workload, number, costs)
        if found is not None:
            return found
    return _recorded(workload, number, costs)


def _programs(workload: Workload, number: int, costs: Costs) -> object | None:
    """None: some of them scan or add."""
    state, count = dict(workload.genesis()), 0
    for count, block in enumerate(workload.blocks()):
        prepared = _prepared(list(block.txs), state, costs)
        if prepared is None:
            return None
        if count == number:
            if not block.txs:
                raise InputError(f"block {number} of {workload.name} has no transactions: there is nothing to simulate")
            return prepared[0]
        for key, value in prepared[1].items():
            if value is None:
                state.pop(key, None)
            else:
                state[key] = value
    raise InputError(f"there is no block {number}: {workload.name} has {counted(count + 1, 'block')}, from 0 on")


def _recorded(workload: Workload, number: int, costs: Costs) -> object:
    recording = record_block(workload, number, Plan(workers=1, repeat=_REPEAT))
    record = recording.record
    txs = []
    for tx, ((reads, writes), took) in enumerate(zip(accessed(record), recording.work().tolist())):
        read = [encoding.read(encoding.key(name)) for name in reads]
        written = [encoding.write(encoding.key(name), _VALUE_BYTES) for name in writes]
        cost = min(max(0, took - costs.work), encoding.COST_MAX_NS)
        txs.append(encoding.transaction(tx, b"".join((*read, encoding.cost("burn", cost), *written))))
    prepared = _prepared(txs, {}, replace(costs, oversleep=0))
    assert prepared is not None, "made without scans and adds"
    return prepared[0]


def accessed(record: Record) -> Iterator[tuple[list[bytes], list[bytes]]]:
    """By transaction, without end_block: names of what it reads and of what it writes. An add that depends on no other transaction writes a
    value of its own, and who reads the sum reads all that is in it."""
    places = [keys_by_tx(rows, record.transactions) for rows in accesses(record)]
    added: dict[int, list[bytes]] = {}
    for tx in range(record.transactions):
        read, written, adds = (keys[at[tx] : at[tx + 1]] for keys, at in places)
        reads = [name for key in read for name in (_name(key), *added.get(key, ()))]
        for key in written:
            added.pop(key, None)
        own = [_name(key) + b"+%d" % tx for key in adds]
        for key, name in zip(adds, own):
            added.setdefault(key, []).append(name)
        yield reads, [*map(_name, written), *own]


def _name(key: int) -> bytes:
    return b"%08d" % key


def _prepared(txs: list[bytes], state: dict[bytes, bytes], costs: Costs) -> tuple[object, dict[bytes, bytes | None]] | None:
    most = Limits()
    limits = (most.key_bytes, most.value_bytes, most.tx_keys, most.tx_write_bytes, most.checkpoint_depth, most.output_bytes)
    return _simulation.prepare(txs, sorted(state.items()), limits, costs.oversleep)
