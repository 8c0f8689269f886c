"""VMs that workers cannot import, or not at all: from functions, notebooks and scripts; and those that cannot travel."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from ioi_exec import (
    BlockHeader,
    EndContext,
    ExecutionMachine,
    Limits,
    Receipts,
    ResourceError,
    Revert,
    StateView,
    TxContext,
    VMError,
)
from ioi_exec.execution.executors import SharedPools


class ModuleLevel:
    def __init__(self, step: int = 1) -> None:
        self.step = step

    def execute(self, tx: bytes, state: StateView, ctx: TxContext) -> bytes:
        value = int(state.get(b"n") or b"0") + self.step
        state.put(b"n", b"%d" % value)
        return b"%d" % value


def outputs(machine: ExecutionMachine, n: int = 20) -> list[bytes]:
    result = machine.execute([b""] * n)
    assert result.receipts == machine.execute([b""] * n, sequential=True).receipts and result.failed == 0
    return [receipt.output for receipt in result.receipts]


def options(pools: SharedPools) -> dict[str, Any]:
    return dict(workers=2, pin=False, executors=pools.executors())


def test_instances_and_classes_of_a_test_module(pools: SharedPools) -> None:
    with ExecutionMachine.create(None, ModuleLevel(3), **options(pools)) as machine:
        assert outputs(machine) == [b"%d" % (3 * i) for i in range(1, 21)]
    with ExecutionMachine.create(None, ModuleLevel, vm_args={"step": 2}, **options(pools)) as machine:
        assert outputs(machine) == [b"%d" % (2 * i) for i in range(1, 21)]


def test_a_class_in_a_function_and_what_it_closes_over(pools: SharedPools) -> None:
    unit = 5

    class Mine(Revert):
        pass

    def helper(value: bytes | None) -> int:
        return int(value or b"0") + unit

    class Local(ModuleLevel):
        def execute(self, tx: bytes, state: StateView, ctx: TxContext) -> bytes:
            if tx == b"no":
                raise Mine("mine", code=77)
            state.put(b"n", b"%d" % helper(state.get(b"n")))
            return state.get(b"n") or b""

        def end_block(self, state: StateView, ctx: EndContext, receipts: Receipts) -> None:
            state.put(b"end", b"%d %d" % (len(ctx.txs), sum(receipt.ok for receipt in receipts)))

    with ExecutionMachine.create(None, Local, **options(pools)) as machine:
        assert outputs(machine) == [b"%d" % (5 * i) for i in range(1, 21)]
        result = machine.execute([b"", b"no", b""], BlockHeader())
        assert [(receipt.code, receipt.error) for receipt in result.receipts] == [(0, ""), (77, "mine"), (0, "")]
        assert dict(result.writes)[b"end"] == b"3 2"


def run_script(folder: Path, text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / "script.py").write_text(text)
    return subprocess.run(
        [sys.executable, *(arguments or ("script.py",))], cwd=folder, capture_output=True, text=True, timeout=120
    )


MAIN = """
from ioi_exec import ExecutionMachine

STEP = 4

class Main:
    def execute(self, tx, state, ctx):
        state.put(b"n", b"%d" % (int(state.get(b"n") or b"0") + STEP))

def main():
    with ExecutionMachine.create(None, Main, workers=2, pin=False) as machine:
        machine.commit(machine.execute([b""] * 10))
        print(machine.get(b"n").decode())

if __name__ == "__main__":
    main()
"""


def test_a_class_of_the_main_script(tmp_path: Path) -> None:
    done = run_script(tmp_path, MAIN)
    assert (done.returncode, done.stdout) == (0, "40\n"), done.stderr


FAILING = """
from ioi_exec import ExecutionMachine

class Fails:
    def execute(self, tx, state, ctx):
        raise ValueError("no")

for workers in (0, 1):
    with ExecutionMachine.create(None, Fails, workers=workers, pin=False) as machine:
        print(machine.execute([b"x"]).receipts[0].error)
"""


def test_errors_of_a_class_of_the_main_script_say_its_file(tmp_path: Path) -> None:
    assert run_script(tmp_path, FAILING).stdout.splitlines() == ["ValueError: no (script.py:6)"] * 2


def test_a_script_without_a_main_guard(tmp_path: Path) -> None:
    """Workers are fresh interpreters that do not run the script again."""
    done = run_script(tmp_path, MAIN.replace('if __name__ == "__main__":\n    main()', "main()"))
    assert (done.returncode, done.stdout) == (0, "40\n"), done.stderr


def test_a_class_typed_in_at_a_prompt(tmp_path: Path) -> None:
    done = run_script(tmp_path, "", "-c", MAIN.replace('if __name__ == "__main__":\n    main()', "main()"))
    assert (done.returncode, done.stdout) == (0, "40\n"), done.stderr


class Locked(ModuleLevel):
    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()


def test_a_vm_that_cannot_be_sent_is_an_error_with_a_way_out(pools: SharedPools) -> None:
    with ExecutionMachine.create(None, Locked(), **options(pools)) as machine:
        with pytest.raises(VMError, match="cannot be sent to workers.*workers=0"):
            machine.execute([b""])
        assert machine.version == 0
    with ExecutionMachine.create(None, Locked(), workers=0) as machine:
        assert machine.execute([b""]).failed == 0
    with ExecutionMachine.create(None, Locked, **options(pools)) as machine:  # a class: each worker builds its own
        assert outputs(machine)[-1] == b"20"


class OnlyHere(ModuleLevel):
    """Can be built in the process of the test, and nowhere else."""

    home = os.getpid()

    def __init__(self, home: int) -> None:
        super().__init__()
        if os.getpid() != home:
            raise RuntimeError("no database here")


@pytest.mark.parametrize("twice", [1, 2])
def test_a_vm_that_fails_to_load_in_workers(pools: SharedPools, twice: int) -> None:
    with ExecutionMachine.create(None, OnlyHere, vm_args={"home": os.getpid()}, **options(pools)) as machine:
        for _ in range(twice):
            with pytest.raises(VMError, match="a worker cannot load the VM .*OnlyHere.*no database here"):
                machine.execute([b""])
    with ExecutionMachine.create(None, ModuleLevel, **options(pools)) as machine:  # the pool is as good as new
        assert outputs(machine)[-1] == b"20"


def test_a_module_that_workers_cannot_import(pools: SharedPools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "only_once.py").write_text(
        f"import os\nif os.getpid() != {os.getpid()}: raise ImportError('not twice')\n"
        "from test_vms_from_anywhere import ModuleLevel\nclass Once(ModuleLevel): pass\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    with ExecutionMachine.create(None, "only_once:Once", **options(pools)) as machine:
        with pytest.raises(VMError, match="not twice"):
            machine.execute([b""])


CHATTY = """
import sys

print("imported")

class Chatty:
    def execute(self, tx, state, ctx):
        print("tx", ctx.tx_index, flush=True)
        sys.stderr.write("error output\\n")
        state.put(b"k", tx)

    def end_block(self, state, ctx, receipts):
        print("end", flush=True)
"""


def test_what_a_vm_prints_does_not_mix_with_results(tmp_path: Path) -> None:
    (tmp_path / "chatty.py").write_text(CHATTY)
    (tmp_path / "genesis.json").write_text('{"state": {}}')
    (tmp_path / "block.jsonl").write_text('{"tx": "00"}\n' * 5)
    init = run_script(tmp_path, "", "-m", "ioi_exec", "init", "state", "--vm", "chatty:Chatty", "--genesis", "genesis.json", "--json")
    assert init.returncode == 0, init.stderr
    done = run_script(tmp_path, "", "-m", "ioi_exec", "run", "state", "block.jsonl", "--json", "--workers", "2")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "tx 3" in done.stderr and "end" in done.stderr
    assert [json.loads(line)["transactions"] for line in lines if line != "imported"] == [5]


class Big:
    """Writes as many bytes as the transaction says."""

    def execute(self, tx: bytes, state: StateView, ctx: TxContext) -> bytes:
        state.put(b"k%d" % ctx.tx_index, bytes(int(tx)))
        return bytes(int(tx) // 10)


def test_too_little_shared_memory_is_an_error_and_more_is_enough(pools: SharedPools) -> None:
    txs = [b"100000"] * 100
    little, more = Limits(arena_bytes=2 << 20), Limits(arena_bytes=64 << 20)
    with ExecutionMachine.create(None, Big, limits=little, **options(pools)) as machine:
        root = machine.root
        for _ in range(2):
            with pytest.raises(ResourceError, match="more than 2097152 bytes of shared memory.*raise Limits.arena_bytes"):
                machine.execute(txs)
        assert (machine.version, machine.root) == (0, root)
        assert machine.execute(txs[:5]).failed == 0
        expected = machine.execute(txs, sequential=True)
    with ExecutionMachine.create(None, Big, limits=more, **options(pools)) as machine:
        result = machine.execute(txs)
        assert result.state_root == expected.state_root and result.receipts == expected.receipts


def test_a_block_that_outgrows_its_first_arena_many_times(pools: SharedPools) -> None:
    with ExecutionMachine.create(None, Big, **options(pools)) as machine:
        streamed: list[int] = []
        result = machine.execute([b"300000"] * 200, on_receipt=lambda i, receipt: streamed.append(i))
        assert result.stats.retries > 0 and result.stats.mode == "parallel"
        assert streamed == list(range(200))
        assert result.state_root == machine.execute([b"300000"] * 200, sequential=True).state_root
