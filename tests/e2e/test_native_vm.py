"""A VM in C that is not ours: compiled against the public header, loaded, run at every worker count."""

from __future__ import annotations

import random
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import ioi_shm
import pytest

from ioi_exec import (
    BlockHeader,
    ExecutionMachine,
    GasSchedule,
    Receipt,
    StateCorrupt,
    VMError,
)

SOURCES = Path(__file__).parent / "native"

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")


class CounterVM:
    def __init__(self, library: str, symbol: str = "ioi_vm_counter") -> None:
        self._library = library
        self._symbol = symbol

    def native(self) -> object:
        return ioi_shm.load_native_vm(self._library, self._symbol)


def compiled(name: str, folder: Path, headers: Path | None = None) -> str:
    made = folder / f"{name}.so"
    command = ["cc", "-shared", "-fPIC", "-std=gnu11", "-Wall", "-Werror", f"-I{headers or ioi_shm.include_dir()}", str(SOURCES / f"{name}.c")]
    subprocess.run([*command, "-o", str(made)], check=True)
    return str(made)


def headers(abi: int) -> Path | None:
    """Of an ABI as it was; None: today's."""
    return SOURCES / f"abi{abi}" if (SOURCES / f"abi{abi}").is_dir() else None


@pytest.fixture(scope="module", params=[1, 2, 3, 4])
def library(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> str:
    """Built against the headers of ABI 1 to 3, which go on working, and against today's."""
    made = compiled("counter", tmp_path_factory.mktemp("native"), headers(request.param))
    assert ioi_shm.native_info(ioi_shm.load_native_vm(made, "ioi_vm_counter"))["abi"] == request.param
    return made


@pytest.fixture(scope="module")
def careless(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The arguments of CounterVM."""
    return [compiled("careless", tmp_path_factory.mktemp("native")), "ioi_vm_careless"]


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_counts(library: str, workers: int) -> None:
    txs = [b"k%d" % (i % 7) for i in range(100)] + [b"!x", b"?y", b"z" * 300]
    with ExecutionMachine.create(None, CounterVM, vm_args=[library], genesis={b"k1": b"\x05"}, workers=workers, pin=False) as machine:
        assert machine.info.vm.version == "3"
        result = machine.execute(txs)
        machine.commit(result)
        seen = Counter(txs[:100])
        expected = {key: bytes([times + (5 if key == b"k1" else 0)]) for key, times in seen.items()} | {b"good": bytes([101])}
        assert dict(machine.scan()) == expected
    refused, undone, long = result.receipts[100:]
    assert (refused.code, refused.error, long.code, long.error) == (7, "refused", 7, "limit")
    assert undone.ok and undone.output == b"\x01" and undone.gas_used == 2


def test_a_library_that_is_none(library: str, tmp_path: Path) -> None:
    with pytest.raises(VMError, match="cannot be loaded"):
        ExecutionMachine.create(None, CounterVM, vm_args=[str(tmp_path / "missing.so")])
    with pytest.raises(VMError, match="no_such"):
        ExecutionMachine.create(None, CounterVM, vm_args=[library, "no_such"])


def test_a_forked_child_that_comes_back_first_is_heard_nowhere(careless: list[str]) -> None:
    with ExecutionMachine.create(None, CounterVM, vm_args=careless, genesis={b"k": b"v"}, workers=1, pin=False) as machine:
        result = machine.execute([b"k", b"fork", b"k"])
        assert [receipt.output for receipt in result.receipts] == [b"v", b"parent", b"v"] and result.stats.retries == 0


@pytest.mark.parametrize("workers", [0, 1])
def test_one_that_goes_on_where_it_was_to_stop_has_no_result(careless: list[str], tmp_path: Path, workers: int) -> None:
    """Where the committed state cannot be read there is no value, and not none."""
    value = b"the only value of the state"
    ExecutionMachine.create(tmp_path / "state", CounterVM, vm_args=careless, genesis={b"k": value}, workers=0).close()
    file = tmp_path / "state" / "data.mdb"
    whole = file.read_bytes()
    assert value in whole
    file.write_bytes(whole.replace(value, value.upper()))
    with ExecutionMachine.open(tmp_path / "state", vm=CounterVM, vm_args=careless, workers=workers, pin=False) as machine:
        with pytest.raises(StateCorrupt):
            machine.execute([b"other", b"k"])


def _ledger(marks: dict[bytes, bytes], tx: bytes, proposer: int, gas: GasSchedule | None) -> Receipt:
    """What ledger.c does, naively: the receipt; and `marks` as they are then."""
    of_payer = sorted(key for key in marks if key[:2] == b"m" + tx[1:2])
    output, writes, wanted = b"", dict[bytes, bytes | None](), gas.tx_limit if gas else 0
    used = steps = puts = 0
    if tx[:1] == b"+":
        writes[b"m" + tx[1:]] = tx[2:]
        puts = 1
    elif tx[:1] == b"$":
        writes[b"m" + tx[1:2] + bytes([200])] = bytes([200])
        output, puts = bytes([gas is None]), 1
        used, wanted = 10 * tx[2], min(wanted, 900)
    elif tx[:1] == b"-":
        writes, steps = dict.fromkeys(of_payer), len(of_payer) + 1
    else:
        seen = of_payer[::-1][:2] if tx[:1] == b"~" else of_payer
        steps = len(seen) if tx[:1] == b"~" and len(seen) == 2 else len(seen) + 1
        output = b"".join(marks[key] for key in seen) + bytes([proposer])
        if tx[:1] == b"r" and of_payer:
            writes[b"m" + tx[1:2] + b"\xff"] = b"\xff"
            puts = len(seen)
    if gas is None:
        used = 0
    else:
        deletes, pairs = (len(of_payer), len(of_payer)) if tx[:1] == b"-" else (0, len(output) - 1 if steps else 0)
        used += gas.flat + gas.scan * steps + gas.read_byte * 4 * pairs + puts * (gas.put + 4 * gas.written_byte)
        used += deletes * (gas.delete + 3 * gas.written_byte)
        if used > wanted:
            return Receipt(11, b"", wanted, wanted, "out of gas")
    for key, value in writes.items():
        if value is None:
            del marks[key]
        else:
            marks[key] = value
    return Receipt(0, output, wanted, used)


@pytest.mark.parametrize("gas", [None, GasSchedule(flat=3, put=40, delete=7, scan=5, read_byte=2, written_byte=1, tx_limit=150)])
@pytest.mark.parametrize("abi", [2, 3, 4])
@pytest.mark.parametrize("workers", [0, 1, 4])
def test_scans_memory_hints_results_and_gas_of_abi_2(
    tmp_path_factory: pytest.TempPathFactory, workers: int, abi: int, gas: GasSchedule | None
) -> None:
    rng = random.Random(20)
    args = [compiled("ledger", tmp_path_factory.mktemp("native"), headers(abi)), "ioi_vm_ledger"]
    marks = {b"m" + bytes([payer, n]): bytes([n]) for payer in range(3) for n in (1, 5, 9)}
    with ExecutionMachine.create(None, CounterVM, vm_args=args, genesis=marks, workers=workers, pin=False, gas=gas) as machine:
        for proposer in range(1, 5):
            txs = []
            for _ in range(120):
                kind, payer = rng.choice(b"++++-=~=~r$"), bytes([rng.randrange(3)])
                txs.append(bytes([kind]) + payer + (bytes([rng.randrange(20)]) if kind in b"+$" else b""))
            expected = [_ledger(marks, tx, proposer, gas) for tx in txs]
            header = BlockHeader(proposer=bytes([proposer] * 32))
            for sequential in (True, False):
                result = machine.execute(txs, header, sequential=sequential)
                assert list(result.receipts) == expected
            machine.commit(result)
            assert dict(machine.scan()) == marks | {b"out": b"".join(receipt.output for receipt in expected)}
    assert gas is None or {0, 11} == {receipt.code for receipt in expected}


def test_a_vm_of_abi_1_is_metered_too(tmp_path: Path) -> None:
    args = [compiled("counter", tmp_path, SOURCES / "abi1")]
    for workers in (0, 1):
        gas = GasSchedule(flat=1, get=10, put=100, written_byte=1, tx_limit=113)
        with ExecutionMachine.create(None, CounterVM, vm_args=args, gas=gas, workers=workers, pin=False) as machine:
            fits, not_quite = machine.execute([b"k", b"kk"]).receipts
            assert (fits.code, fits.gas_used) == (0, 113) and (not_quite.code, not_quite.gas_used) == (11, 113)


def test_an_abi_of_the_future_is_refused(tmp_path: Path) -> None:
    header = (Path(ioi_shm.include_dir()) / "ioi_vm.h").read_text()
    (tmp_path / "ioi_vm.h").write_text(header.replace("#define IOI_VM_ABI 4u", "#define IOI_VM_ABI 5u"))
    with pytest.raises(VMError, match="speaks ABI 5, this build 1 to 4"):
        ExecutionMachine.create(None, CounterVM, vm_args=[compiled("counter", tmp_path, tmp_path)])


def test_what_is_no_vm_is_refused(tmp_path: Path) -> None:
    source, made = tmp_path / "empty.c", tmp_path / "empty.so"
    source.write_text('#include "ioi_vm.h"\nconst ioi_vm empty = {.abi = IOI_VM_ABI, .name = "empty"};\n')
    subprocess.run(["cc", "-shared", "-fPIC", f"-I{ioi_shm.include_dir()}", str(source), "-o", str(made)], check=True)

    class Empty:
        def __init__(self, what: object) -> None:
            self.what = what

        def native(self) -> object:
            return self.what

    with pytest.raises(ValueError, match="the native VM has no execute"):
        ioi_shm.load_native_vm(str(made), "empty")
    for what, told in [
        (None, "is what ioi_shm.load_native_vm gives, and this is NoneType"),
        (5, "is what ioi_shm.load_native_vm gives, and this is int"),
    ]:
        with pytest.raises(VMError, match=told):
            ExecutionMachine.create(None, Empty(what), workers=0)
