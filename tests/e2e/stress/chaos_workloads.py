"""Workloads for chaos: honest ones, and ones whose virtual machine is a defect of its own."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path
from typing import ClassVar

import psutil

from ioi_exec import StateView, TxContext
from ioi_exec.vm.payments import account_key, encode_account, encode_transfer
from ioi_stress.chaos.processes import MARK
from ioi_stress.workload import Block, FixedWorkload


def processes_in(folder: Path) -> list[str]:
    """Those whose temporary directory lies there: engines of a campaign, and what they started."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("TMPDIR", "").startswith(f"{folder}/") and process.status() != psutil.STATUS_ZOMBIE:
                found.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return found


def payments(blocks: int = 3, size: int = 1_200) -> FixedWorkload:
    """Between accounts of which hardly any is met twice in a block: each writes enough for the store's upkeep process."""
    rng = random.Random(7)
    addresses = [rng.randbytes(32) for _ in range(4 * size)]
    nonces = dict.fromkeys(addresses, 0)

    def transfer() -> bytes:
        sender, recipient = rng.sample(addresses, 2)
        nonces[sender] += 1
        return encode_transfer(sender, recipient, 1, nonce=nonces[sender] - 1)

    genesis = {account_key(address): encode_account(1_000, 0) for address in addresses}
    return FixedWorkload("payments", "payments", genesis, [Block([transfer() for _ in range(size)]) for _ in range(blocks)])


class Ledger:
    """Every transaction reads and writes two keys of some."""

    version = "3"

    def decode(self, tx: bytes) -> list[bytes]:
        return [b"key-%d" % number for number in tx]

    def execute(self, tx: list[bytes], state: StateView, ctx: TxContext) -> bytes:
        total = sum(len(state.get(key) or b"") for key in tx)
        for key in tx:
            state.put(key, b"x" * ((total + ctx.tx_index) % 40 + 1))
        return b"%d" % total


class Leaky(Ledger):
    """Holds on to memory and to descriptors, where it is executed in parallel: the oracle is not to leak. By the time that passes, not
    by what is executed, of which a quick machine does more than a process may have descriptors."""

    held: ClassVar[list[object]] = []

    def __init__(self) -> None:
        self.since = time.monotonic()

    def execute(self, tx: list[bytes], state: StateView, ctx: TxContext) -> bytes:
        while MARK in os.environ and len(self.held) < 20 * (time.monotonic() - self.since):
            self.held.append((bytearray(b"x" * 50_000), os.open("/dev/null", os.O_RDONLY)))
        return super().execute(tx, state, ctx)


class Dice(Ledger):
    def execute(self, tx: list[bytes], state: StateView, ctx: TxContext) -> bytes:
        return super().execute(tx, state, ctx) + os.urandom(4)


class Murderer(Ledger):
    """In a worker it kills the engine."""

    def execute(self, tx: list[bytes], state: StateView, ctx: TxContext) -> bytes:
        if MARK in os.environ and ctx.height == 2:
            os.kill(psutil.Process().parents()[2].pid, signal.SIGKILL)  # beyond its template and the root
        return super().execute(tx, state, ctx)


class Forgetful(Ledger):
    """In a worker it says that memory is short."""

    def execute(self, tx: list[bytes], state: StateView, ctx: TxContext) -> bytes:
        if MARK in os.environ and ctx.height == 2:
            raise MemoryError
        return super().execute(tx, state, ctx)


def programs(vm: str = "Ledger", blocks: int = 4, size: int = 60) -> FixedWorkload:
    rng = random.Random(5)
    made = [Block([bytes((rng.randrange(9), rng.randrange(9))) for _ in range(size)]) for _ in range(blocks)]
    return FixedWorkload(vm, f"{__name__}:{vm}", {b"key-0": b"first"}, made)
