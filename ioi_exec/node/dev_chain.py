"""A chain in this process: a machine, its application and the sequencer that decides its blocks. `ioi-exec dev` is one behind a socket, and the
fixture `ioi_chain` gives one to a test."""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import ExitStack
from pathlib import Path
from time import time_ns
from types import TracebackType
from typing import Any, Callable, Mapping

import ioi_storage

from ioi_exec.block.preparation import Genesis
from ioi_exec.block.receipt import Receipt
from ioi_exec.block.result import BlockResult
from ioi_exec.errors import InputError, StateExists, VMMismatch
from ioi_exec.files.strict_json import Malformed, parse
from ioi_exec.gas import GasSchedule
from ioi_exec.machine import ExecutionMachine
from ioi_exec.node.application import Application
from ioi_exec.node.block_header import address
from ioi_exec.node.dev_keys import DevKeys
from ioi_exec.node.home import CONSENSUS, STATE
from ioi_exec.node.ledger import Ledger, LedgerBlock
from ioi_exec.node.messages import PublicKey
from ioi_exec.node.records import Records
from ioi_exec.node.sequencer import Recorder, Sequencer
from ioi_exec.state.base import storage_errors
from ioi_exec.state.identity import Identity
from ioi_exec.state.opening import checked_upgrade
from ioi_exec.vm.loading import Args, load_vm
from ioi_exec.vm.payments import account_key, encode_account, payout_entry

CHAIN = "dev"
BALANCE = 10**12
"""Of each account of `payments`, where no genesis is given."""
NAMED = "dev.json"


class DevChain:
    """Blocks are made by `mine`, or by `send`. Close it, or use `with`.

    home: a directory, made where there is none; None: in memory. One home has one process. keys: of the validator, and of senders.
    """

    def __init__(
        self, vm: str | type | object = "payments", genesis: Genesis | None = None, *, vm_args: Args | None = None, chain_id: str = CHAIN,
        keys: DevKeys | None = None, home: Path | None = None, accept_vm: bool = False, clock: Callable[[], int] = time_ns,
        recorder: Recorder | None = None, tree: str = "jellyfish", gas: GasSchedule | None = None, **options: Any,
    ) -> None:
        """accept_vm: a home whose VM is of another version goes on with this one, from the next block on. tree, gas, options: as of
        ExecutionMachine.create. Raises what making or opening a machine raises, StateExists where the home is of another chain."""
        if options.get("keep") == 1:
            raise InputError("keep is 1, and a block's header says what the version before it was: give 2 or more")
        self.keys = DevKeys() if keys is None else keys
        if genesis is None and vm == "payments":
            genesis = self._accounts()
        with ExitStack() as opened:
            if home is not None:
                _claim(home, {
                    "chain_id": chain_id, "seed": self.keys.seed, "tree": tree, "gas": None if gas is None else gas.to_json(),
                    "genesis": _digest(genesis),
                })
            path = None if home is None else home / STATE
            if path is not None and _has_blocks(path):
                self.machine = _opened(path, vm, vm_args, accept_vm, options)
            else:
                self.machine = ExecutionMachine.create(
                    path, vm, tree, genesis, vm_args=vm_args, chain_id=chain_id, receipts=True, gas=gas, **options
                )
            opened.callback(self.machine.close)
            records = Records(None if home is None else home / CONSENSUS)
            opened.callback(records.close)
            self.application = Application(self.machine, records, record=recorder is not None, simulates=True)
            self.ledger = Ledger(self.machine, records)
            self.sequencer = Sequencer(self.machine, self.application, self.ledger, self.keys, clock=clock, recorder=recorder)
            opened.pop_all()

    def send(self, tx: bytes) -> Receipt:
        """Submit a transaction and make blocks of what waits until one has it; returns its receipt: of CheckTx, where that does not let it in."""
        checked = self.sequencer.submit(tx)
        if not checked.ok:
            return checked
        digest, mempool = hashlib.sha256(tx).digest(), self.sequencer.mempool
        while self.sequencer.mine(empty=False) is not None and mempool.get(digest) is not None:
            pass
        if (why := mempool.why_dropped(digest)) is not None:
            return Receipt(1, error=why)
        found = self.ledger.transaction(digest)
        assert found is not None, "a transaction was let in, is in no block and was not dropped"
        return found.receipt

    def submit(self, tx: bytes) -> Receipt:
        """What CheckTx says of it; one that is let in waits for `mine`."""
        return self.sequencer.submit(tx)

    def mine(self, blocks: int = 1) -> int:
        """Make so many blocks, the first of what waits; returns the height of the last."""
        height = self.height
        for _ in range(blocks):
            height = self.sequencer.mine() or height
        return height

    def simulate(self, *txs: bytes) -> BlockResult:
        """What a block of these would come to; nothing of it is kept."""
        return self.sequencer.simulate(txs)

    def snapshot(self) -> str:
        """For `revert`."""
        return self.sequencer.snapshot()

    def revert(self, snapshot: str) -> int:
        """Back to where `snapshot` was called, as often as one likes. What waits is dropped."""
        return self.sequencer.revert(snapshot)

    def block(self, height: int | None = None) -> LedgerBlock:
        """None: the newest."""
        return self.ledger.block(height)

    def get(self, key: bytes) -> bytes | None:
        """The value that a key has now."""
        return self.machine.get(key)

    @property
    def height(self) -> int:
        return self.ledger.height

    def close(self) -> None:
        self.application.close()

    def __enter__(self) -> DevChain:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _accounts(self) -> dict[bytes, bytes]:
        proposer = address(PublicKey(ed25519=self.keys.validator.public))
        accounts = {account_key(each.public): encode_account(BALANCE) for each in self.keys.accounts}
        return {**accounts, **dict([payout_entry(proposer, self.keys.validator.public)])}


def _digest(genesis: Genesis | None) -> str:
    pairs = sorted(genesis.items() if isinstance(genesis, Mapping) else genesis or ())
    return hashlib.sha256(b"".join(len(part).to_bytes(4, "big") + part for pair in pairs for part in pair)).hexdigest()


def _claim(home: Path, chain: dict[str, Any]) -> None:
    """Make a home of this chain, or find that it is one. Raises StateExists."""
    file = home / NAMED
    try:
        there = parse(file.read_bytes())
    except FileNotFoundError:
        if home.exists() and (not home.is_dir() or any(home.iterdir())):
            raise StateExists(f"{home} is no home of ioi-exec dev, and not empty: give --home a directory that is not there yet") from None
        home.mkdir(parents=True, exist_ok=True)
        beside = home / f"{NAMED}.new"
        beside.write_text(json.dumps(chain) + "\n")
        os.replace(beside, file)
        return
    except (Malformed, OSError) as error:
        raise StateExists(f"{file}: {error}: make a new home") from None
    for name, value in chain.items():
        if not isinstance(there, dict) or there.get(name) != value:
            raise StateExists(
                f"{home} is the home of a chain whose {name.replace('_', ' ')} is another one: give what it was made with, or another --home"
            )


def _has_blocks(path: Path) -> bool:
    if not path.exists():
        return False
    with storage_errors(), ioi_storage.Store.open(path, read_only=True) as store:
        return store.version > 0


def _opened(path: Path, vm: str | type | object, vm_args: Args | None, accept_vm: bool, options: dict[str, Any]) -> ExecutionMachine:
    try:
        return ExecutionMachine.open(path, vm=vm, vm_args=vm_args, accept_interpreter=accept_vm, accept_vm=accept_vm, **options)
    except VMMismatch as error:
        if not accept_vm:
            raise VMMismatch(f"{error}. With --accept-vm it takes over with the next block; one of another version begins with its `migrate`") from None
    with storage_errors(), ioi_storage.Store.open(path) as store:
        committed = store.latest.height
        store.set_meta(checked_upgrade(Identity.from_meta(store.meta), load_vm(vm, vm_args), committed + 1, committed, True).to_meta())
    return ExecutionMachine.open(path, vm=vm, vm_args=vm_args, accept_interpreter=True, **options)
