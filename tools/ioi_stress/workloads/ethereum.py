"""A block of Ethereum mainnet on its pre-state: a file as `ioi-exec ethereum run` takes it, which also compares it with its header."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from io import BytesIO
from typing import Any, ClassVar, Iterator, Mapping

from ioi_exec import BlockResult, Diverged, Limits
from ioi_exec.cli.streams import input_file
from ioi_exec.ethereum import EVMS, check_installed
from ioi_stress.workload import Block
from ioi_stress.workloads.parameters import TEXT, check_fields, parameter, values_of


class OnEvm:
    """What workloads for the VM of Ethereum have alike. evm: one of EVMS."""

    evm: str

    @property
    def vm(self) -> str:
        return EVMS[self.evm]

    @property
    def vm_args(self) -> None:
        return None

    @property
    def limits(self) -> Limits:
        return vm_limits()


@dataclass(frozen=True, kw_only=True)
class Ethereum(OnEvm):
    """The file is read, and refused, when it is made; what it held is part of `parameters`. Needs `ioi-exec[ethereum]`."""

    name: ClassVar[str] = "ethereum"
    summary: ClassVar[str] = "a block of Ethereum mainnet on its pre-state"
    example: ClassVar[str] = "ethereum block.json.xz"
    details: ClassVar[str] = ""

    file: str = parameter(
        kind=TEXT, metavar="FILE", positional=True, help="a block with its pre-state, as ioi-exec ethereum run takes it; - is standard input"
    )
    evm: str = parameter(
        "specification", kind=TEXT, metavar="EVM", choices=tuple(EVMS), help="specification: in Python; revm: in Rust, where tools/revm-vm is installed"
    )
    _state: dict[bytes, bytes] = field(init=False, repr=False, compare=False)
    _block: Block = field(init=False, repr=False, compare=False)
    _digest: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        check_fields(self)
        check_installed(self.evm)
        state, block, digest = read_block(self.file)
        object.__setattr__(self, "_state", state)
        object.__setattr__(self, "_block", block)
        object.__setattr__(self, "_digest", digest.hex())

    @property
    def parameters(self) -> Mapping[str, Any]:
        return {**values_of(self), "sha256": self._digest}

    def genesis(self) -> Mapping[bytes, bytes]:
        return self._state

    def blocks(self) -> Iterator[Block]:
        yield self._block


def vm_limits() -> Limits:
    """Logs of a block of Ethereum may be larger than what the engine allows otherwise."""
    from ioi_exec.vm.ethereum import LIMITS

    return LIMITS


def read_block(file: str) -> tuple[dict[bytes, bytes], Block, bytes]:
    """The state it stands on, the block, and the file's SHA-256. Raises InputError."""
    check_installed()
    from ioi_exec.files.ethereum import FILE_BYTES, read_ethereum
    from ioi_exec.vm.ethereum import genesis, header

    with input_file(file) as (stream, name):
        content = stream.read(FILE_BYTES + 1)  # beyond which it is refused
    read = read_ethereum(BytesIO(content), name)
    return dict(genesis(read.prestate)), Block(read.transactions, header(read.block), partial(_confirmed, read)), sha256(content).digest()


def _confirmed(file: Any, result: BlockResult) -> str:
    """file: an EthereumFile."""
    from ioi_exec.ethereum.running import ran

    compared = ran(file, result).compared
    for one in compared:
        if not one.equal:
            raise Diverged(f"block {file.block.number}: {one.what} is {one.found}, and in its header {one.said}: ioi-exec ethereum run says more")
    said = [one.what.replace("_", " ") + (f" {str(one.said)[:16]}.." if one.what == "receipts_root" else "") for one in compared]
    return f"mainnet block {file.block.number:,}, found as in its header: {', '.join(said)}"
