"""What the workloads that are made from a seed have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any, ClassVar, Iterator, Mapping

from ioi_shm.memory import free_memory

from ioi_exec import InputError, ResourceError
from ioi_stress.vm import encoding
from ioi_stress.workload import Block
from ioi_stress.workloads.draws import Draws, chosen
from ioi_stress.workloads.parameters import (
    NUMBER,
    TEXT,
    check_fields,
    exact,
    parameter,
    values_of,
)

VMS = {"native": "ioi_stress.vm:NativeProgram", "python": "ioi_stress.vm:Program", "payments": "payments", "signed": "payments"}
"""What the parameter vm says, and what the engine takes."""

ACCOUNTS_MAX = encoding.NUMBER_MAX
_COPIES = 3  # of a value: in the workload, in what the store is made from, and in the store


def runs_on_parameter(*choices: str) -> Any:
    say = {
        "native": "native: programs in C",
        "python": "python: the same programs in Python",
        "payments": "payments: transfers on the engine's own VM",
        "signed": "signed: the same with ed25519 signatures (ioi-exec[signed])",
    }
    return parameter(
        choices[0],
        named="vm",
        kind=TEXT,
        metavar="VM",
        choices=choices,
        help="; ".join(say[choice] for choice in choices),
    )


def cost_us_parameter(default: float | None, help: str) -> Any:
    return parameter(default, kind=NUMBER, metavar="US", most=600_000_000, help=help)


def cost_parameter(what: str) -> Any:
    return parameter(
        "burn", kind=TEXT, metavar="KIND", choices=("burn", "sleep"), help=f"how {what}: burn computes, sleep waits"
    )


def value_bytes_parameter(help: str) -> Any:
    return parameter(32, most=1 << 20, help=help)


def check_room(workload: str, keys: int, value_bytes: int) -> None:
    """Raises ResourceError for a state whose values find no room in memory, before they are made: the kernel would end
    this process, or another."""
    needed, free = _COPIES * keys * value_bytes, free_memory()
    if needed > free:
        raise ResourceError(
            f"{workload}: a state of {keys:,} values of {value_bytes:,} bytes takes about {needed >> 20:,} MiB of memory, of "
            f"which {free >> 20:,} MiB are free: give fewer of them, or smaller ones"
        )


class RunsOn:
    """The VM of a workload whose parameter vm chooses it."""

    runs_on: str

    @property
    def vm(self) -> str:
        return VMS[self.runs_on]

    @property
    def vm_args(self) -> dict[str, bool] | None:
        return {"signed": True} if self.runs_on == "signed" else None


@lru_cache(8)
def cost_operation(kind: str, microseconds: float) -> bytes:
    """The operation that takes so long, to the nanosecond."""
    return encoding.cost(kind, round(exact(microseconds) * 1000))


@dataclass(frozen=True, kw_only=True)
class Seeded:
    """A workload that is made from a seed.

    name, summary, example, details: of the class; what it is called, in one line what it shows, a command line that chooses
    it, and what else its --help says.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    example: ClassVar[str]
    details: ClassVar[str] = ""

    block_size: int = parameter(10_000, least=1, most=200_000, help="transactions in a block")
    block_count: int = parameter(1, named="blocks", least=1, most=1_000_000, help="blocks")
    seed: int = parameter(1, help="of all random choices", most=(1 << 63) - 1)

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def parameters(self) -> Mapping[str, Any]:
        return values_of(self)

    def _draws(self, purpose: str, block: int) -> Draws:
        return Draws(self.seed, self.name, purpose, block)

    def _wrong(self, why: str) -> InputError:
        return InputError(f"{self.name}: {why}")


@dataclass(frozen=True, kw_only=True)
class Made(RunsOn, Seeded, ABC):
    """One of programs or payments. Subclasses say what one block's transactions are."""

    runs_on: str = runs_on_parameter("native", "python")
    cost_us: float | None = cost_us_parameter(
        None, "microseconds each transaction takes beside its reads and writes (default: 10)"
    )
    cost: str = cost_parameter("it takes them")
    value_bytes: int = value_bytes_parameter("bytes of a value that programs write")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.cost_us is None:
            object.__setattr__(self, "cost_us", 0.0 if self.vm == "payments" else 10.0)

    def genesis(self) -> Mapping[bytes, bytes]:
        """The state before the first block. Raises ResourceError if memory has no room for it."""
        check_room(self.name, self._values, self.value_bytes)
        return self._state()

    @property
    @abstractmethod
    def _values(self) -> int:
        """How many values of `value_bytes` the state has before the first block."""

    @abstractmethod
    def _state(self) -> Mapping[bytes, bytes]:
        """The state before the first block, for which there is room."""

    def blocks(self) -> Iterator[Block]:
        memory: dict[int, int] = {}
        for number in range(self.block_count):
            first = number * self.block_size
            fails = chosen(self._failures, first, self.block_size, self._draws("fails", number))
            yield Block(self._block(number, fails, memory))

    @abstractmethod
    def _block(self, number: int, fails: list[bool], memory: dict[int, int]) -> list[bytes]:
        """The transactions of a block. fails: which of them fail. memory: empty at first, kept from block to block."""

    @property
    def _transactions(self) -> int:
        return self.block_size * self.block_count

    @property
    def _failures(self) -> Fraction:
        """The share of transactions that are told to fail."""
        return Fraction(0)

    def _cost(self) -> bytes:
        assert self.cost_us is not None
        return cost_operation(self.cost, self.cost_us)

    def _transaction(self, number: int, before: list[bytes], after: list[bytes], fails: bool) -> bytes:
        """A program: operations, what it costs, other operations, perhaps a failure. number: counted over all blocks."""
        return encoding.transaction(
            number, b"".join((*before, self._cost(), *after, encoding.revert() if fails else b""))
        )

    def _value(self, number: int) -> bytes:
        """What a key holds at genesis: its number, in digits."""
        return (b"%0*d" % (self.value_bytes, number))[: self.value_bytes]


@dataclass(frozen=True, kw_only=True)
class FailingWorkload(Made):
    """One in which a given share of transactions fails."""

    failure_rate: float = parameter(
        0.0,
        kind=NUMBER,
        metavar="SHARE",
        most=1,
        help="share of transactions that fail, exactly, after they did everything else",
    )

    @property
    def _failures(self) -> Fraction:
        return exact(self.failure_rate)
