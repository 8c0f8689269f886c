"""Gas: what is metered, and what running out of it means, wherever a block is executed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ioi_exec import (
    ExecutionMachine,
    GasSchedule,
    InputError,
    InputTypeError,
    LimitExceeded,
    Limits,
    Receipt,
    Revert,
    StateExists,
    StateView,
    TxContext,
)
from ioi_exec.cli import main

SCHEDULE = GasSchedule(flat=100, get=10, put=20, delete=5, scan=7, read_byte=1, written_byte=2, tx_limit=1_000)


class Spender:
    """A transaction is JSON: the limit it asks for, then calls."""

    def decode(self, tx: bytes) -> Any:
        return json.loads(tx)

    def gas_limit(self, tx: Any) -> Any:
        return tx[0]

    def execute(self, tx: Any, state: StateView, ctx: TxContext) -> bytes | None:
        given: Any = None
        for name, *arguments in tx[1:]:
            if name == "charge":
                ctx.charge(*arguments)
            elif name == "left":
                given = ctx.gas_left
            elif name == "scan":
                given = [key.decode() for key, _ in state.scan(prefix=arguments[0].encode())]
            elif name == "revert":
                raise Revert("no")
            elif name == "swallow":
                try:
                    ctx.charge(10**9)
                except BaseException:
                    state_says = "nothing"
                    try:
                        state.put(b"swallowed", b"")
                    except BaseException as error:
                        state_says = str(error)
                    return state_says.encode()
            elif name == "kept":
                with state.checkpoint():
                    state.put(b"inside", b"")
                    ctx.charge(10**9)
            else:
                given = getattr(state, name)(*(argument.encode() for argument in arguments))
                given = given.decode() if isinstance(given, bytes) else given
        return json.dumps(given).encode()


def tx(limit: Any, *calls: list[Any]) -> bytes:
    return json.dumps([limit, *calls]).encode()


CASES: list[tuple[bytes, int, int, int]] = [  # transaction, code, wanted, used
    (tx(500), 0, 500, 100),
    (tx(10**30), 0, 1_000, 100),
    (tx(99), 11, 99, 99),
    (tx(500, ["get", "a"]), 0, 500, 100 + 10 + 3),
    (tx(500, ["get", "none"]), 0, 500, 110),
    (tx(500, ["exists", "a"]), 0, 500, 110),
    (tx(112, ["get", "a"]), 11, 112, 112),
    (tx(500, ["put", "key", "12345"]), 0, 500, 100 + 20 + 2 * 8),
    (tx(500, ["delete", "key"]), 0, 500, 100 + 5 + 2 * 3),
    (tx(500, ["scan", "s"]), 0, 500, 100 + 3 * 7 + 2 * (2 + 1)),
    (tx(500, ["scan", "no such"]), 0, 500, 107),
    (tx(500, ["charge", 3], ["left"]), 0, 500, 103),
    (tx(500, ["put", "late", "x"], ["charge", 400]), 11, 500, 500),
    (tx(500, ["put", "late", "x"], ["revert"]), 1, 500, 100 + 20 + 2 * 5),
    (tx(500, ["swallow"]), 11, 500, 500),
    (tx(500, ["kept"]), 11, 500, 500),
    (tx(500, ["charge", -1]), 2, 500, 100),
    (tx(500, ["charge", "much"]), 2, 500, 100),
    (tx("much"), 2, 1_000, 100),
    (tx(-1), 2, 1_000, 100),
    (b"no JSON", 2, 1_000, 100),
    (tx(500, ["put", "", "x"]), 2, 500, 100 + 20 + 2),
]
GENESIS = {b"a": b"123", b"s1": b"x", b"s2": b"y"}


@pytest.mark.parametrize(("workers", "sequential"), [(0, False), (1, False), (4, False), (1, True)])
def test_costs(workers: int, sequential: bool) -> None:
    with ExecutionMachine.create(None, Spender, genesis=GENESIS, gas=SCHEDULE, workers=workers, pin=False) as machine:
        result = machine.execute([case[0] for case in CASES], sequential=sequential)
        found = [(receipt.code, receipt.gas_wanted, receipt.gas_used) for receipt in result.receipts]
        assert found == [case[1:] for case in CASES]
        assert all(receipt.error == "out of gas" and receipt.output == b"" for receipt in result.receipts if receipt.code == 11)
        assert result.receipts[11].output == b"397"
        machine.commit(result)
        assert dict(machine.scan()) == {**GENESIS}, "what ran out or failed wrote nothing, and the key was deleted again"


def test_without_a_schedule_nothing_is_metered_and_roots_are_what_they_were() -> None:
    txs = [tx(1, ["get", "a"], ["charge", 10**9]), tx(None, ["left"]), tx(0, ["put", "b", "1"])]
    roots = set()
    for gas in (None, GasSchedule(), replace(SCHEDULE, tx_limit=10**12)):
        asks = [tx(10**12, *json.loads(one)[1:]) for one in txs] if gas else txs
        with ExecutionMachine.create(None, Spender, genesis=GENESIS, gas=gas, workers=0) as machine:
            result = machine.execute(asks)
            if gas is None:
                assert [receipt.gas_used + receipt.gas_wanted for receipt in result.receipts] == [0, 0, 0]
                assert result.receipts[1].output == b"null"
                assert result.state_root.hex() == "8a08d625da5c2a1603f9553d94206bb230ae69a1913a971b4f87079e7b78f4e2"
                assert result.receipts_root.hex() == "df7f1e761170852e7fd4c91e51ce83bd45e8bfcd0f9bc02d87a34480989365d3"
            roots.add((result.state_root, result.receipts_root))
    assert len({state for state, _ in roots}) == 1 and len(roots) == 3, "gas is part of the receipts root, as in CometBFT"


def test_the_state_remembers_its_schedule(tmp_path: Path) -> None:
    path = tmp_path / "state"
    ExecutionMachine.create(path, Spender, genesis=GENESIS, gas=SCHEDULE, workers=0).close()
    ExecutionMachine.create(path, Spender, genesis=GENESIS, gas=SCHEDULE, workers=0).close()
    with pytest.raises(StateExists, match="another schedule of gas"):
        ExecutionMachine.create(path, Spender, genesis=GENESIS, workers=0)
    with pytest.raises(InputError, match="schedule"):
        ExecutionMachine.open(path, limits=Limits(gas=GasSchedule(get=1)), vm=Spender)
    with ExecutionMachine.open(path, vm=Spender, workers=0) as machine:
        assert machine.info.gas == machine.limits.gas == SCHEDULE
        assert machine.execute([tx(500)]).receipts[0] == Receipt(0, b"null", 500, 100)


def test_the_commands_know_the_schedule(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "genesis.json").write_text('{"accounts": {}}')
    (tmp_path / "gas.json").write_text('{"flat": 3, "block_limit": 1000}')
    (tmp_path / "wrong.json").write_text('{"flat": 3, "gets": 1}')
    state, genesis, dump = str(tmp_path / "state"), str(tmp_path / "genesis.json"), str(tmp_path / "dump")
    assert main(["init", state, "--genesis", genesis, "--gas", str(tmp_path / "wrong.json")]) == 2
    assert "has no 'gets'" in capfd.readouterr().err
    (tmp_path / "wrong.json").write_text('{"flat": null}')
    assert main(["init", state, "--genesis", genesis, "--gas", str(tmp_path / "wrong.json")]) == 2
    assert "wrong.json: GasSchedule.flat is NoneType" in capfd.readouterr().err
    assert main(["init", state, "--genesis", genesis, "--gas", str(tmp_path / "gas.json"), "--json"]) == 0
    shown = json.loads(capfd.readouterr().out)["gas"]
    assert (shown["flat"], shown["block_limit"], shown["tx_limit"]) == (3, 1000, str(2**63 - 1))
    assert main(["dump", state, "-o", dump]) == 0 and main(["load", str(tmp_path / "loaded"), dump]) == 0
    capfd.readouterr()
    assert main(["info", str(tmp_path / "loaded"), "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["gas"] == shown


@pytest.mark.parametrize("wrong", [{"get": -1}, {"get": 2**32}, {"tx_limit": 0}, {"flat": 5, "tx_limit": 4}, {"flat": 5, "block_limit": 4}])
def test_schedules_that_make_no_sense(wrong: dict[str, int]) -> None:
    with pytest.raises(InputError):
        GasSchedule(**wrong)
    with pytest.raises(InputTypeError):
        GasSchedule(get="much")  # type: ignore[arg-type]
    with pytest.raises(InputTypeError):
        ExecutionMachine.create(None, gas=3)  # type: ignore[arg-type]


@pytest.mark.parametrize("workers", [0, 1])
def test_a_block_beyond_its_limit_is_refused(workers: int) -> None:
    with ExecutionMachine.create(None, Spender, gas=GasSchedule(flat=10, block_limit=25), workers=workers, pin=False) as machine:
        assert machine.execute([tx(20), tx(15, ["charge", 5])]).receipts[1].gas_used == 15
        with pytest.raises(LimitExceeded, match="with transaction 2 it has used 30 gas, at most 25"):
            machine.execute([tx(20), tx(20), tx(20), tx(20)])
        assert machine.version == 0
