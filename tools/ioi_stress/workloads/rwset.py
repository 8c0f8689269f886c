"""Transactions declared as reads, writes and cost: anyone's trace, replayed as programs."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, ClassVar, Iterator, Mapping

from ioi_exec import InputError, Limits
from ioi_exec.cli.streams import input_file
from ioi_exec.files.whole import read_whole
from ioi_stress.notation.keys import of_text
from ioi_stress.vm import encoding
from ioi_stress.workload import Block
from ioi_stress.workloads.base import (
    RunsOn,
    check_room,
    cost_parameter,
    cost_us_parameter,
    runs_on_parameter,
    value_bytes_parameter,
)
from ioi_stress.workloads.parameters import (
    TEXT,
    check_fields,
    exact,
    parameter,
    values_of,
)
from ioi_stress.workloads.rwset_file import FORMAT, Accesses, read_rwset

_KEY_MAX = 255


@dataclass(frozen=True, kw_only=True)
class RWSet(RunsOn):
    """`rwset_file.FORMAT` says what the files are, and what becomes of them."""

    name: ClassVar[str] = "rwset"
    summary: ClassVar[str] = "a trace: transactions declared as what they read, what they write and what they cost"
    example: ClassVar[str] = "rwset trace.jsonl --cost sleep"
    details: ClassVar[str] = FORMAT

    file: str = parameter(
        kind=TEXT, metavar="FILE", positional=True, help="JSON lines or CSV (see below); - is standard input"
    )
    block_size: int | None = parameter(
        None,
        least=1,
        most=200_000,
        help="transactions in a block (default: as the file divides them; one block if it does not)",
    )
    runs_on: str = runs_on_parameter("native", "python")
    cost_us: float = cost_us_parameter(0.0, "microseconds of a transaction whose cost the file does not say")
    cost: str = cost_parameter("transactions take their time")
    value_bytes: int = value_bytes_parameter("bytes of every value")
    _state: dict[bytes, bytes] = field(init=False, repr=False, compare=False)
    _blocks: list[Block] = field(init=False, repr=False, compare=False)
    _digest: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        check_fields(self)
        with input_file(self.file) as (stream, name):
            content = read_whole(stream, name)
        blocks = read_rwset(content, name)
        if self.block_size is not None:
            flat = [transaction for block in blocks for transaction in block]
            blocks = [flat[at : at + self.block_size] for at in range(0, len(flat), self.block_size)]
        most = Limits().block_transactions
        for block in blocks:
            if len(block) > most:
                raise InputError(
                    f"{name}:{block[0].line}: a block of {len(block)} transactions begins here: at most {most}; "
                    "divide them with block lines, or give a block size"
                )
        read = dict.fromkeys(key for block in blocks for transaction in block for key in transaction.reads)
        check_room(self.name, len(read), self.value_bytes)
        object.__setattr__(self, "_state", {_key(key): self._value(i) for i, key in enumerate(read)})
        object.__setattr__(self, "_blocks", list(self._made(blocks, name)))
        object.__setattr__(self, "_digest", sha256(content).hexdigest())

    @property
    def parameters(self) -> Mapping[str, Any]:
        return {**values_of(self), "sha256": self._digest}

    def genesis(self) -> Mapping[bytes, bytes]:
        return self._state

    def blocks(self) -> Iterator[Block]:
        return iter(self._blocks)

    def _made(self, blocks: list[list[Accesses]], name: str) -> Iterator[Block]:
        most, default_ns, number = Limits().tx_bytes, round(exact(self.cost_us) * 1000), 0
        for block in blocks:
            txs = []
            for declared in block:
                cost_ns = default_ns if declared.cost_ns is None else declared.cost_ns
                reads = [encoding.read(encoding.key(_key(key))) for key in declared.reads]
                writes = [encoding.write(encoding.key(_key(key)), self.value_bytes) for key in declared.writes]
                adds = [encoding.add(encoding.key(_key(key)), self.value_bytes, 1) for key in declared.adds]
                txs.append(encoding.transaction(number, b"".join((*reads, encoding.cost(self.cost, cost_ns), *writes, *adds))))
                number += 1
                if len(txs[-1]) > most:
                    raise InputError(
                        f"{name}:{declared.line}: as a program it has {len(txs[-1])} bytes: at most {most}"
                    )
            yield Block(txs)

    def _value(self, number: int) -> bytes:
        return (b"%0*d" % (self.value_bytes, number))[: self.value_bytes]


def _key(text: str) -> bytes:
    raw = of_text(text)
    return raw if len(raw) <= _KEY_MAX else b"sha256/" + sha256(raw).hexdigest().encode()
