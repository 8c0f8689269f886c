"""Traces: both formats say the same, every mistake is named by its line, and what is declared is what happens."""

from __future__ import annotations

import io
import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ioi_exec import ExecutionMachine, InputError, Limits, Record
from ioi_exec.block.record import EVENT, READ, WRITE
from ioi_stress.tracing.rwset import write_rwset
from ioi_stress.vm import encoding
from ioi_stress.workloads import make
from ioi_stress.workloads.rwset_file import Accesses, read_rwset

JSON_LINES = """{"block": 17}
{"reads": ["alice", "bob"], "writes": ["bob"], "cost_ns": 12000}
{"writes": ["carol, \\u00e9\\"; x"]}

{"block": "18"}
{"cost_ns": "5"}
{"reads": ["bob"]}
"""
CSV = """block,tx,access,key,cost_ns
17,0xab,read,alice,12000
17,0xab,R,bob,
17,0xab,write,bob,12000
17,0xac,Write,"carol, é""; x",
18,0xab,,,5

18,0xac,r,bob,
"""


def declared(text: str, name: str = "t") -> list[list[tuple[list[str], list[str], int | None]]]:
    return [[(each.reads, each.writes, each.cost_ns) for each in block] for block in read_rwset(text.encode(), name)]


def test_both_formats_say_the_same() -> None:
    expected = [
        [(["alice", "bob"], ["bob"], 12000), ([], ['carol, é"; x'], None)],
        [([], [], 5), (["bob"], [], None)],
    ]
    assert declared(JSON_LINES) == declared(CSV) == declared("\ufeff" + CSV.replace("\n", "\r\n")) == expected


def test_columns_in_another_order_and_without_blocks() -> None:
    assert declared("key,access,tx\na,read,1\nb,w,1\nc,read,2\n") == [[(["a"], ["b"], None), (["c"], [], None)]]
    assert read_rwset(b"tx,access,key\n\n1,r,a\n", "t") == [[Accesses(3, ["a"])]]


def test_adds(tmp_path: Path) -> None:
    text = '{"reads": ["a"], "adds": ["c", "d"]}\n{"adds": ["c"]}\n'
    read = read_rwset(text.encode(), "t")
    assert [(each.reads, each.writes, each.adds) for each in read[0]] == [(["a"], [], ["c", "d"]), ([], [], ["c"])]
    as_rows = read_rwset(b"tx,access,key\n1,r,a\n1,add,c\n1,A,d\n2,a,c\n", "t")
    assert [(each.reads, each.writes, each.adds) for each in as_rows[0]] == [(["a"], [], ["c", "d"]), ([], [], ["c"])]
    workload = trace(tmp_path, text, value_bytes=9)
    with ExecutionMachine.create(None, workload.vm, genesis=workload.genesis(), workers=2, pin=False) as machine:
        (block,) = workload.blocks()
        result = machine.execute(block.txs, record=True)
        assert dict(result.writes) == {b"c": bytes(8) + b"\2", b"d": bytes(8) + b"\1"}
        assert result.record is not None
        out = io.StringIO()
        write_rwset(result.record, np.zeros(3, np.int64), out, 0)
    assert [(each.reads, each.writes, each.adds) for each in read_rwset(out.getvalue().encode(), "t")[0]] == [
        (["a"], [], ["c", "d"]), ([], [], ["c"])
    ]  # fmt: skip


def test_a_recorded_add_that_needs_another_is_a_read_and_a_write() -> None:
    reads = np.array([(0, 0, -1, True), (1, 0, 0, True), (2, 0, -1, True)], READ)
    writes = np.array([(0, 0, False, True), (1, 0, False, True)], WRITE)  # the last was refused
    out = io.StringIO()
    write_rwset(Record(np.array([], EVENT), reads, writes, [b"k"], 1, 3), np.zeros(4, np.int64), out, 0)
    assert [json.loads(line) for line in out.getvalue().splitlines()[1:]] == [
        {"reads": [], "writes": [], "adds": ["k"], "cost_ns": 0},
        {"reads": ["k"], "writes": ["k"], "cost_ns": 0},
        {"reads": [], "writes": [], "cost_ns": 0},
    ]


def test_a_key_over_several_lines() -> None:
    assert declared('tx,access,key\n1,r,"a\nb"\n2,r,c\n') == [[(["a\nb"], [], None), (["c"], [], None)]]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "t:1: it is empty"),
        ('{"block": 1}\n', "t: there is no transaction"),
        ("tx,access,key\n", "t: there is no transaction"),
        ('{"reads": ["a"]}\n{"reads": "a"}\n', "t:2: reads must be a list of texts"),
        ('{"reads": ["a", 1]}\n', "t:1: reads must be a list of texts"),
        ('{"writes": [""]}\n', "t:1: a key is empty"),
        ('{"reads": ["\\ud800"]}\n', "t:1: the key '.ud800' is no text"),
        ('\n{"read": ["a"]}\n', "t:2: unknown field 'read' .known: reads, writes, adds, cost_ns."),
        ("{}\n", "t:1: it says nothing"),
        ('{"cost_ns": -1}\n', "t:1: cost_ns must not be negative"),
        ('{"cost_ns": 1.5}\n', "t:1: '1.5' is no integer"),
        ('{"cost_ns": 600000000001}\n', "t:1: cost_ns is too large: at most 600000000000"),
        ('{"block": null}\n', "t:1: block must be a number or text"),
        ('{"block": 1, "reads": []}\n', "t:1: unknown field 'reads'"),
        ('{"reads": ["a"]\n', "t:1: it is not JSON"),
        ('{"reads": ["a\n', "t:1: it is not JSON: Unterminated string starting at column 12"),
        ('{"reads": ["a"]}\n["b"]\n', "t:2: a line must be an object"),
        ("tx,access,key,gas\n", "t:1: unknown column 'gas' in the first row .known: tx, access, key, cost_ns, block."),
        ("tx,access\n", "t:1: the first row names no column 'key'"),
        ("tx,access,key,tx\n", "t:1: the first row names a column twice"),
        ("tx,access,key\n1,read,a\n1,read\n", "t:3: 2 columns: the first row names 3"),
        ("tx,access,key\n1,reads,a\n", "t:2: access 'reads': give read, write or add"),
        ("tx,access,key\n1,,a\n", "t:2: access '': give read, write or add"),
        ("tx,access,key\n1,read,\n", "t:2: a key is empty"),
        ("tx,access,key\n1,r,a\n2,r,a\n1,w,a\n", "t:4: transaction '1' was there before"),
        ("block,tx,access,key\n1,1,r,a\n2,1,r,a\n1,2,r,a\n", "t:4: block '1' was there before"),
        (
            "tx,access,key,cost_ns\n1,r,a,5\n1,r,b,\n1,r,c,6\n",
            "t:4: cost_ns 6: a row of this transaction before says 5",
        ),
        ("tx,access,key,cost_ns\n1,r,a,5.0\n", "t:2: cost_ns '5.0' is no decimal number"),
        ('tx,access,key\n1,r,"a\n', "t:2: unexpected end of data"),
    ],
)
def test_mistakes_are_named_by_their_line(text: str, says: str) -> None:
    with pytest.raises(InputError, match=f"^{says}"):
        read_rwset(text.encode("utf-8", "surrogatepass"), "t")


def test_bytes_that_are_no_text() -> None:
    with pytest.raises(InputError, match="t:2: it is not UTF-8"):
        read_rwset(b"tx,access,key\n1,r,\xff\n", "t")
    with pytest.raises(InputError, match="t:1: it is not UTF-8"):
        read_rwset(b'{"reads": ["\xff"]}\n', "t")


def trace(tmp_path: Path, text: str, **parameters: Any) -> Any:
    (tmp_path / "trace").write_text(text)
    return make("rwset", file=str(tmp_path / "trace"), **parameters)


@pytest.mark.parametrize("vm", ["native", "python"])
def test_what_is_declared_is_what_happens(tmp_path: Path, vm: str) -> None:
    workload = trace(tmp_path, JSON_LINES, vm=vm, cost_us=3, cost="sleep", value_bytes=4)
    assert workload.genesis() == {b"alice": b"0000", b"bob": b"0001"}
    first, second = (block.txs for block in workload.blocks())
    carol = 'carol, é"; x'.encode()
    kinds = {encoding.READ: "r", encoding.WRITE: "w", encoding.SLEEP: "s"}
    seen = [
        [(kinds[each.code], each.key.name or each.number) for each in encoding.decode(tx)]
        for txs in (first, second)
        for tx in txs
    ]
    assert seen == [
        [("r", b"alice"), ("r", b"bob"), ("s", 12000), ("w", b"bob")],
        [("s", 3000), ("w", carol)],
        [("s", 5)],
        [("r", b"bob"), ("s", 3000)],
    ]
    with ExecutionMachine.create(None, workload.vm, genesis=workload.genesis(), workers=0) as machine:
        for block in workload.blocks():
            result = machine.execute(block.txs)
            assert all(receipt.ok for receipt in result.receipts)
            machine.commit(result)
        assert [key for key, _ in machine.scan()] == [b"alice", b"bob", carol]
        assert machine.get(b"bob") not in (b"0001", None)


def test_parameters_name_the_file_and_what_was_in_it(tmp_path: Path) -> None:
    workload = trace(tmp_path, CSV)
    assert workload.parameters["sha256"] == sha256(CSV.encode()).hexdigest()
    assert json.dumps(workload.parameters) and workload.parameters["file"] == str(tmp_path / "trace")


def test_block_size_takes_precedence(tmp_path: Path) -> None:
    assert [len(block.txs) for block in trace(tmp_path, CSV, block_size=3).blocks()] == [3, 1]
    assert [len(block.txs) for block in trace(tmp_path, CSV).blocks()] == [2, 2]


def test_long_keys(tmp_path: Path) -> None:
    long = "\u00e9" * 200
    workload = trace(tmp_path, json.dumps({"reads": ["a" * 255, long]}))
    assert list(workload.genesis()) == [b"a" * 255, b"sha256/" + sha256(long.encode()).hexdigest().encode()]


def test_a_transaction_that_is_too_long(tmp_path: Path) -> None:
    lines = [{"reads": ["x"]}, {"reads": ["y%0200d" % i for i in range(6000)]}]
    with pytest.raises(InputError, match=r"trace:2: as a program it has 1224009 bytes: at most 1048576"):
        trace(tmp_path, "\n".join(map(json.dumps, lines)))


def test_a_block_that_is_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ioi_stress.workloads.rwset.Limits", lambda: Limits(block_transactions=5))
    text = '{"cost_ns": 1}\n{"block": 2}\n' + '{"cost_ns": 1}\n' * 6
    with pytest.raises(InputError, match="trace:3: a block of 6 transactions begins here: at most 5;"):
        trace(tmp_path, text)
    assert [len(block.txs) for block in trace(tmp_path, text, block_size=5).blocks()] == [5, 2]


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(FileNotFoundError):
        make("rwset", file="no such file")
