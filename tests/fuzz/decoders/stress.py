"""What the stress tool reads: files of accesses, results, sweeps, policies."""

from __future__ import annotations

import csv
import io
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import fields
from functools import lru_cache
from pathlib import Path

from decoder import Decoder
from states import MEMORY

from ioi_exec import InputError, InputTypeError
from ioi_exec.policy import Policy
from ioi_stress.notation.policy_text import parse_policy, policy_text
from ioi_stress.results.comparison import compare
from ioi_stress.results.result import BlockMeasurement, Repetition, Result, Verification
from ioi_stress.sweeps.file import columns_of, read_rows
from ioi_stress.sweeps.rows import COLUMNS, as_text, parsed
from ioi_stress.workloads.rwset_file import read_rwset


def check_rwset(data: bytes) -> None:
    try:
        blocks = read_rwset(data, "file")
    except InputError:
        return
    assert blocks and all(blocks)
    lines = []
    for block in blocks:
        lines.append(json.dumps({"block": 0}))
        for each in block:
            cost = {} if each.cost_ns is None else {"cost_ns": each.cost_ns}
            lines.append(json.dumps({"reads": each.reads, "writes": each.writes, "adds": each.adds, **cost}))
    again = read_rwset("\n".join(lines).encode(), "file")
    plain = [[(each.reads, each.writes, each.adds, each.cost_ns) for each in block] for block in blocks]
    assert [[(each.reads, each.writes, each.adds, each.cost_ns) for each in block] for block in again] == plain


def rwsets() -> Iterator[bytes]:
    yield b'{"block": 17}\n{"reads": ["alice", "bob"], "writes": ["bob"], "cost_ns": 12000}\n\n{"block": "x"}\n{"reads": []}\n'
    yield b"block,tx,access,key,cost_ns\n17,0xab,read,alice,12000\n17,0xab,write,bob,\n18,1,,,\n18,2,R,\"a\"\"b\n\",5\n"
    yield b'{"adds": ["fees"]}\n'
    yield b"\xef\xbb\xbftx,access,key\r\n1,w,x\r\n"


def check_result(data: bytes) -> None:
    try:
        result = Result.from_json(data.decode("utf-8", "replace"), "file")
    except InputError:
        return
    assert result.ok in (True, False)
    written = json.dumps(result.to_json(), allow_nan=False)
    assert Result.from_json(written, "file") == result
    if len(data) % 16 == 0:  # it takes a hundred times as long as the rest
        try:
            json.dumps(compare(result, result).to_json())
        except InputError:
            pass


def results() -> Iterator[bytes]:
    def block(number: int) -> BlockMeasurement:
        seconds = {"prepare": 0.1, "execute": 0.5, "end_block": 0.0, "stage": 0.2, "receipts": 0.1, "total": 1.0}
        return BlockMeasurement(
            number, 10, 1, "parallel", "default", 2, 12, 11, 1, 0, 0, seconds, 0.25, [0.25, 0.5], dict(seconds), "ab", "cd", 4096
        )

    parameters = {"workload": {"name": "zipf", "parameters": {"s": 1.1}}, "run": {"workers": 2, "policy": {"name": "default"}}}
    result = Result(parameters, {"cpu": "x"}, [Repetition(n, [block(0), block(1)], 4096) for n in range(3)], Verification(True, 6, 6))
    yield json.dumps(result.to_json()).encode()
    yield json.dumps(Result(parameters, {}, [], Verification(), True, "it ended").to_json()).encode()
    yield b"[" * 3000


@lru_cache(maxsize=None)
def _file() -> Path:
    handle, name = tempfile.mkstemp(prefix="ioi-fuzz-", dir=MEMORY)
    os.close(handle)
    os.unlink(name)
    return Path(name)


def check_sweep(data: bytes) -> None:
    file = _file()
    try:
        file.write_bytes(data)
        columns, rows = read_rows(file)
    except InputError:
        return
    finally:
        file.unlink()
    assert set(COLUMNS) <= set(columns)
    for row in rows:
        for name, value in row.items():
            try:
                assert value != value or parsed(name, as_text(value)) == value
            except InputError:  # a control character, with which nothing is written
                continue


def sweeps() -> Iterator[bytes]:
    columns = columns_of(["s", "accounts"])
    row = {"workload": "zipf", "workers": "2", "policy": "default", "s": "1.1", "accounts": "100", "verified": "True", "mode": "parallel"}
    for extra in ({}, {"verified": ""}, {"s": "1e-5", "accounts": "word"}):
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(columns)
        for repetition in range(2):
            values = {**{name: "1" for name in columns}, **row, **extra, "repetition": str(repetition)}
            writer.writerow([values[name] for name in columns])
        yield out.getvalue().encode()


def check_policy(data: bytes) -> None:
    try:
        policy = parse_policy(data.decode("utf-8", "surrogateescape"))
    except (InputError, InputTypeError):
        return
    again = parse_policy(policy_text(policy))
    for field in fields(Policy):
        assert field.name == "name" or getattr(again, field.name) == getattr(policy, field.name)


def policies() -> Iterator[bytes]:
    yield from (b"default", b"paper,window=64", b"window=0,run=1", b"solo=off,estimates=no,validation=version", b"run=auto", b"small_block=5")


RWSET = Decoder("rwset", "InputError, or blocks of transactions that are read the same once written", check_rwset, rwsets)
RESULT = Decoder(
    "result", "InputError, or a result that is read the same once written, and can be compared", check_result, results, most=8192
)
SWEEP = Decoder("sweep", "InputError, or rows whose values are the same once written", check_sweep, sweeps)
POLICY = Decoder("policy", "InputError or InputTypeError, or a policy whose text makes the same choices", check_policy, policies)
