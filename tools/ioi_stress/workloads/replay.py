"""Blocks that were recorded: the block and genesis files of `ioi-exec`, one file a block; or a block of Ethereum with its pre-state."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from io import BytesIO
from typing import Any, ClassVar, Iterator, Mapping, Sequence

from ioi_exec import InputError, Limits
from ioi_exec.cli.options import vm_args_value
from ioi_exec.cli.streams import input_file
from ioi_exec.ethereum import VM
from ioi_exec.files import read_block, read_genesis
from ioi_exec.files.whole import read_whole
from ioi_stress.workload import Block
from ioi_stress.workloads import ethereum
from ioi_stress.workloads.base import VMS
from ioi_stress.workloads.parameters import (
    TEXT,
    TEXTS,
    check_fields,
    parameter,
    values_of,
)

_ETHEREUM = "ethereum"


@dataclass(frozen=True, kw_only=True)
class Replay:
    """The files are read, and refused by file and line, when it is made; what they held is part of `parameters`."""

    name: ClassVar[str] = "replay"
    summary: ClassVar[str] = "recorded blocks, one file a block, on the state they were executed on"
    example: ClassVar[str] = "replay block.jsonl --genesis genesis.json"
    details: ClassVar[str] = "Without --genesis it takes one file of `ioi-exec ethereum run`, which has its state with it."

    files: tuple[str, ...] = parameter(
        kind=TEXTS,
        metavar="FILE",
        positional=True,
        help="block files of ioi-exec, in the order of their blocks; - is standard input",
    )
    genesis_file: str | None = parameter(
        None, kind=TEXT, named="genesis", metavar="FILE", help="genesis file of ioi-exec: the state before the first block"
    )
    runs_on: str | None = parameter(
        None,
        named="vm",
        kind=TEXT,
        metavar="VM",
        help="payments; native or python: programs of ioi-stress; or package.module:Class of your own (default: payments; "
        "ethereum without --genesis)",
    )
    args_text: str | None = parameter(
        None,
        named="vm_args",
        kind=TEXT,
        metavar="JSON",
        help="arguments of the VM's class: an object by name, or a list",
    )
    _state: dict[bytes, bytes] = field(init=False, repr=False, compare=False)
    _blocks: list[Block] = field(init=False, repr=False, compare=False)
    _digest: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        check_fields(self)
        if self.runs_on is None:
            object.__setattr__(self, "runs_on", "payments" if self.genesis_file is not None else _ETHEREUM)
        state, blocks, digest = self._ethereum() if self.runs_on == _ETHEREUM else self._recorded()
        object.__setattr__(self, "_state", state)
        object.__setattr__(self, "_blocks", blocks)
        object.__setattr__(self, "_digest", digest)

    def _ethereum(self) -> tuple[dict[bytes, bytes], list[Block], str]:
        if self.genesis_file is not None or self.args_text is not None:
            raise InputError("replay: a block of Ethereum has its state with it, and its VM no arguments: give neither")
        if len(self.files) > 1:
            raise InputError(f"replay: {len(self.files)} files without --genesis: a block of Ethereum has its own state, so give one")
        try:
            state, block, digest = ethereum.read_block(self.files[0])
        except InputError as error:
            raise InputError(f"replay: {error}; without --genesis a file is taken for a block of Ethereum") from None
        return state, [block], sha256(digest).hexdigest()

    def _recorded(self) -> tuple[dict[bytes, bytes], list[Block], str]:
        if self.genesis_file is None:
            raise InputError("replay: the state before the first block is missing: give --genesis FILE")
        if (*self.files, self.genesis_file).count("-") > 1:
            raise InputError("replay: standard input (-) was given twice: it is one file")
        vm_args_value(self.args_text)  # refused here, not when it is first asked for
        payments, all_bytes = self.vm == "payments", sha256()

        def opened(file: str) -> tuple[BytesIO, str]:
            with input_file(file) as (stream, name):
                content = read_whole(stream, name)
            all_bytes.update(sha256(content).digest())
            return BytesIO(content), name

        state = read_genesis(*opened(self.genesis_file), accounts=payments)
        blocks = [read_block(*opened(file), Limits(), transfers=payments) for file in self.files]
        return state, [Block(block.txs, block.header) for block in blocks], all_bytes.hexdigest()

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Of the files the contents count too: sha256 is of the genesis file's SHA-256 and then each block file's."""
        return {**values_of(self), "sha256": self._digest}

    @property
    def vm(self) -> str:
        assert self.runs_on is not None
        return VM if self.runs_on == _ETHEREUM else VMS.get(self.runs_on, self.runs_on)

    @property
    def vm_args(self) -> Mapping[str, Any] | Sequence[Any] | None:
        return vm_args_value(self.args_text)

    @property
    def limits(self) -> Limits | None:
        return ethereum.vm_limits() if self.runs_on == _ETHEREUM else None

    def genesis(self) -> Mapping[bytes, bytes]:
        return self._state

    def blocks(self) -> Iterator[Block]:
        return iter(self._blocks)
