"""`state` behaves the same whoever runs the VM, however it is called: at 0, 1 and 2 workers, one by one beside workers, and as a
third opinion in plain Python has it (third_opinion.py)."""

from __future__ import annotations

from typing import Any, Callable, Iterator

import effort
import pytest
from calling_vm import CallingVM, Liar, LyingInt, Small, Sub, context_shown, shown
from differential import difference, rngs
from random_calls import Caller
from third_opinion import ThirdOpinion

from ioi_exec import (
    BlockHeader,
    BlockResult,
    ExecutionMachine,
    LimitExceeded,
    Limits,
    VMFault,
)
from ioi_exec.block.preparation import block_context
from ioi_exec.execution.executor import Block, Outcome
from ioi_exec.state.base import CommittedState
from ioi_exec.vm.loading import load_vm

STATES = effort.amount("IOI_CALLING_STATES", sample=60, many=1000)
BLOCKS_PER_STATE = 8
WORKERS = (0, 1, 2)
GENESIS = {b"a": b"1", b"ab": b"2", b"b\xff": b"3", b"d": b""}
VARIANTS: tuple[dict[str, bool], ...] = ({}, {"decode": True}, {"ends": True}, {"decode": True, "ends": True})
LIMITS = (
    Limits(key_bytes=32, value_bytes=64, output_bytes=4000),
    Limits(key_bytes=32, value_bytes=64, tx_keys=2, tx_write_bytes=60, checkpoint_depth=2, output_bytes=4000),
    Limits(key_bytes=32, value_bytes=64, tx_write_bytes=12, output_bytes=4000),
)


class Everywhere:
    """One VM on equal states, wherever it can execute."""

    def __init__(
        self, executors: Callable[[], Any], vm: type, vm_args: dict[str, Any], limits: Limits, workers: tuple[int, ...], third: bool
    ) -> None:
        self.third = ThirdOpinion(load_vm(vm, vm_args), limits) if third else None
        self.machines = {
            count: ExecutionMachine.create(
                None, vm, genesis=GENESIS, vm_args=vm_args, workers=count, pin=False, limits=limits, executors=executors()
            )
            for count in workers
        }

    def check(self, txs: list[bytes], where: str) -> BlockResult:
        """AssertionError that says where a result differs; the state moves on."""
        results = {f"{workers} workers": machine.execute(txs) for workers, machine in self.machines.items()}
        results["one by one beside workers"] = self.machines[1].execute(txs, sequential=True)
        reference = results["0 workers"]
        base = self.machines[0]
        header = BlockHeader(height=base.version + 1)
        block = Block(txs, block_context(header, base.root))
        expected = Outcome(reference.writes, reference.receipts)
        if self.third is not None:
            expected = self.third.run(block, CommittedState(base._layers))
        for name, result in results.items():
            text = difference(expected, Outcome(result.writes, result.receipts))
            assert text is None, f"{where}, {name}, unlike expected: {text}\n{txs!r}"
            roots = result.state_root, result.receipts_root
            assert roots == (reference.state_root, reference.receipts_root), f"{where}, {name}"
        for workers, machine in self.machines.items():
            machine.commit(results[f"{workers} workers"])
        return reference

    def close(self) -> None:
        for machine in self.machines.values():
            machine.close()


@pytest.fixture
def everywhere(ioi_pools: Any) -> Iterator[Callable[..., Everywhere]]:
    made: list[Everywhere] = []

    def make(
        limits: Limits = LIMITS[0], vm: type = CallingVM, workers: tuple[int, ...] = WORKERS, third: bool = True, **vm_args: Any
    ) -> Everywhere:
        made.append(Everywhere(ioi_pools.executors, vm, vm_args, limits, workers, third))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.mark.sampled
def test_random_calls(everywhere: Callable[..., Everywhere]) -> None:
    seed = effort.seed(31)
    print(f"seed {seed}: IOI_SEED={seed} runs the same")
    failed = done = 0
    for name, rng in rngs(seed, STATES):
        each = everywhere(rng.choice(LIMITS), **rng.choice(VARIANTS))
        for number in range(BLOCKS_PER_STATE):
            caller = Caller(rng, wild=rng.choice((0.0, 0.5, 1.0)))
            result = each.check([caller.transaction() for _ in range(rng.choice((1, 5, 12)))], f"seed {name} block {number}")
            failed += result.receipts.failed
            done += len(result.receipts) - result.receipts.failed
        each.close()
    assert failed > done / 50 and done > failed, f"{failed} failed, {done} done: the programs are not what they should be"


class Keeper:
    """Keeps the state, a scan, a checkpoint and a method of each transaction, and uses those of the one before."""

    def __init__(self) -> None:
        self.kept: list[tuple[str, Callable[[], Any]]] = []

    def execute(self, tx: bytes, state: Any, ctx: Any) -> bytes:
        if ctx.tx_index == 0:
            self.kept.clear()
        seen = []
        for name, use in self.kept:
            try:
                seen.append(f"{name}: {use()}")
            except Exception as error:
                seen.append(f"{name}: {type(error).__name__} {error}")
        state.put(b"k", tx)
        running, ended, closed = state.scan(), state.scan(limit=1), state.scan()
        list(ended)
        closed.close()
        next(running)
        never, entered, left = state.checkpoint(), state.checkpoint(), state.checkpoint()
        entered.__enter__()
        with left:
            pass
        get = state.get
        self.kept = [
            ("get", lambda: state.get(b"k")), ("method", lambda: get(key=b"k")), ("put", lambda: state.put(b"k", b"stolen")),
            ("wrong", lambda: state.put(b"k", 1)), ("empty", lambda: state.delete(b"")), ("scan", lambda: state.scan()),
            ("wrong scan", lambda: state.scan(limit=-1)), ("running", lambda: next(running)), ("ended", lambda: next(ended)),
            ("closed", lambda: next(closed)), ("close", lambda: running.close()), ("checkpoint", lambda: state.checkpoint() and None),
            ("enter", lambda: never.__enter__()), ("exit", lambda: never.__exit__(None, None, None)),
            ("again", lambda: entered.__enter__()), ("undo", lambda: entered.__exit__(1, None, None)),
            ("left", lambda: left.__exit__(None, None, None)), ("shown", lambda: (repr(state), repr(running), repr(left))),
        ]
        if tx == b"fail":
            raise LookupError
        return "; ".join(seen).encode()


def test_what_is_kept_past_its_transaction(everywhere: Callable[..., Everywhere]) -> None:
    """In one process, for what another keeps is another's: at 0 workers, at 1, and by the third opinion."""
    txs = [b"first", b"second", b"fail", b"third"]
    each = everywhere(vm=Keeper, workers=(0, 1))
    outputs = [receipt.output.decode() for receipt in each.check(txs, "kept").receipts]
    assert outputs[0] == "" and outputs[1] == outputs[3] != ""
    for word in outputs[1].split("; "):
        assert word.partition(": ")[2].startswith(("RuntimeError the state was used after", "TypeError the value is int", "ValueError the limit", "None", "('<state")), word


class Deep:
    """Recurses as deep as it gets, with the state in its hands all the way."""

    def execute(self, tx: bytes, state: Any, ctx: Any) -> bytes:
        uses: dict[bytes, Callable[[int], Any]] = {
            b"get": lambda depth: state.get(b"%d" % (depth % 7)),
            b"put": lambda depth: state.put(b"%d" % (depth % 7), b"%d" % depth),
            b"scan": lambda depth: next(state.scan(), None),
            b"base": lambda depth: state.get(b"base %d" % depth),
            b"limit": lambda depth: self.refused(lambda: state.put(b"k" * 300, b"")),
            b"checkpoint": lambda depth: self.undone(state),
        }

        def deeper(depth: int) -> int:
            try:
                uses[tx](depth)
                return deeper(depth + 1)
            except RecursionError:
                return depth

        return b"%d" % deeper(0)

    def refused(self, call: Callable[[], Any]) -> None:
        try:
            call()
        except RecursionError:
            raise
        except Exception:
            pass

    def undone(self, state: Any) -> None:
        try:
            with state.checkpoint():
                state.put(b"u", b"u")
                raise LookupError
        except LookupError:
            pass


def test_the_depth_at_which_a_vm_ends_is_the_same(everywhere: Callable[..., Everywhere]) -> None:
    txs = [b"get", b"put", b"get", b"scan", b"base", b"limit", b"checkpoint", b"get"]
    receipts = everywhere(vm=Deep, third=False).check(txs, "deep").receipts
    assert all(receipt.ok and int(receipt.output) > 100 for receipt in receipts), list(receipts)


class Names(type):
    @property
    def __name__(cls) -> str:  # type: ignore[override]
        raise SystemExit("no name")


class Hostile(BaseException, metaclass=Names):
    """A fault that does not want to be told of."""

    def __str__(self) -> str:
        raise SystemExit("no text")

    @property
    def __class__(self) -> type:  # type: ignore[override]
        return KeyError


class HostileMemory(MemoryError, metaclass=Names):
    def __str__(self) -> str:
        raise Hostile


class Faulty:
    def execute(self, tx: bytes, state: Any, ctx: Any) -> None:
        if tx == b"hostile":
            raise Hostile
        if tx == b"memory":
            raise HostileMemory


@pytest.mark.parametrize("tx", [b"hostile", b"memory"])
def test_a_fault_that_cannot_be_shown_names_its_transaction(everywhere: Callable[..., Everywhere], tx: bytes) -> None:
    each = everywhere(vm=Faulty, third=False)
    for machine in each.machines.values():
        with pytest.raises(VMFault, match="transaction 1 stopped the block: Hostile") as caught:
            machine.execute([b"fine", tx, b"fine"])
        assert caught.value.tx_index == 1
        assert machine.execute([b"fine"]).receipts[0].ok


class Given:
    """What a VM is given, of whatever the block and its header were made."""

    def execute(self, tx: bytes, state: Any, ctx: Any) -> bytes:
        return b"%s %d %s" % (context_shown(ctx).encode(), len(tx), type(tx).__name__.encode())

    def end_block(self, state: Any, ctx: Any, receipts: Any) -> None:
        state.put(b"end", (context_shown(ctx) + shown(ctx.txs)).encode())


def test_blocks_and_headers_of_subclasses(everywhere: Callable[..., Everywhere]) -> None:
    each = everywhere(Limits(), vm=Given, third=False)
    header = BlockHeader(height=LyingInt(5), time_ns=Small.TWO, proposer=Sub(b"p"), extra=Liar(b"extra"))
    results = [machine.execute([Liar(b"liar"), Sub(b"sub"), b"bytes"], header) for machine in each.machines.values()]
    assert len({(result.state_root, result.receipts_root) for result in results}) == 1
    assert results[0].receipts[0].output.endswith(b"4 bytes") and results[0].receipts[0].output.split()[3:4] == [b"5"]
    limits = Limits(tx_bytes=3)
    with ExecutionMachine.create(None, Given, workers=0, limits=limits) as machine, pytest.raises(LimitExceeded):
        machine.execute([Liar(b"liar")])
