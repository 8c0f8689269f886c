"""The limits of one block. What a transaction may write is checked as it writes, the rest before anything executes."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import Any, ClassVar, Mapping

from ioi_exec.arguments import MAX_INT64, integer, shown, wrong_type
from ioi_exec.errors import InputError
from ioi_exec.gas import GasSchedule

STALL_SECONDS_MAX = 100_000_000  # three years: twenty times that, in nanoseconds, still has 63 bits

# Those that can decide a receipt: part of the consensus, so the state remembers them from `create`.
CONSENSUS_LIMITS = ("key_bytes", "value_bytes", "tx_keys", "tx_write_bytes", "output_bytes", "checkpoint_depth")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Upper limits, all inclusive. The first six can decide a receipt, so every node of a chain must use the same; a state keeps
    those it was created with, and is opened with others only where these are not set. The others only decide whether this engine
    takes a block at all. (dataclasses.replace sets them all.)

    Raises InputTypeError or InputError for values that make no sense.
    """

    key_bytes: int = 256
    """Bytes of a key that is written. The store's own limit lies below LMDB's 511."""
    value_bytes: int = 1 << 20
    """Bytes of a value that is written: 1 MiB, so that one value never dominates a commit."""
    tx_keys: int = 65_536
    """Different keys in the write set of one transaction (deletions count, undone writes do not)."""
    tx_write_bytes: int = 16 << 20
    """Bytes of keys and values in the write set of one transaction: each key once, with its last value."""
    output_bytes: int = 1 << 20
    """Bytes a transaction may return as its output."""
    checkpoint_depth: int = 64
    """Checkpoints open at the same time in one transaction."""
    tx_bytes: int = 1 << 20
    """Bytes of one transaction as it arrives."""
    block_transactions: int = 200_000
    """Transactions in one block."""
    block_bytes: int = 256 << 20
    """Bytes of all transactions of one block."""
    stall_seconds: float = 60.0
    """Seconds without any progress after which the block runs again, one by one in a clean worker with twenty times as long for
    each transaction; one that takes longer stops the block (VMFault). Never decides a result, only whether there is one."""
    arena_bytes: int | None = None
    """Most bytes of shared memory the workers may reserve; None: what memory and the cgroup have free."""
    cache_bytes: int = 256 << 20
    """Most bytes of shared memory for committed values that workers find again from block to block, some 160 of them a small
    key and value; taken as needed, while memory is free. 0: none. A matter of speed alone."""

    traceback_bytes: int | None = None
    """Most bytes of the traceback that the receipt of a failed transaction has, some 50 us each; 0: none. None: 8,192 at workers=0,
    of the first 100 in a block; none with workers. For people: no result depends on it."""
    gas: GasSchedule | None = None
    """What transactions cost, of the state: give it to `create(gas=...)`. None: they are not metered."""

    _given: ClassVar[frozenset[str]]  # no field, so not of the class but of each: which fields its maker set

    def __new__(cls, *_: object, **given: object) -> Limits:
        self = super().__new__(cls)
        object.__setattr__(self, "_given", frozenset(given))
        return self

    def __post_init__(self) -> None:
        if self.gas is not None and not isinstance(self.gas, GasSchedule):
            raise wrong_type("gas", self.gas, "an ioi_exec.GasSchedule, or None")
        for field in fields(self):
            if field.name == "gas":
                continue
            value = getattr(self, field.name)
            if field.name == "stall_seconds":
                if isinstance(value, bool) or not isinstance(value, (int, float)):
                    raise wrong_type("Limits.stall_seconds", value, "seconds as a number")
                if not 0 < value <= STALL_SECONDS_MAX:
                    most = f"above 0, at most {STALL_SECONDS_MAX}"
                    raise InputError(f"Limits.stall_seconds is {shown(value)}: give a number of seconds {most}")
            elif not (field.name in ("arena_bytes", "traceback_bytes") and value is None):
                least = 0 if field.name in ("cache_bytes", "traceback_bytes") else 1
                object.__setattr__(self, field.name, integer(f"Limits.{field.name}", value, least, MAX_INT64))
        for name in ("value_bytes", "output_bytes", "tx_bytes"):
            if getattr(self, name) >= 1 << 31:
                raise InputError(f"Limits.{name} is {getattr(self, name)}: values of 2 GiB and more cannot be stored")

    def consensus(self) -> dict[str, int]:
        """The limits that can decide a receipt, as the state remembers them."""
        values = asdict(self)
        return {name: values[name] for name in CONSENSUS_LIMITS}

    def of_state(self, consensus: Mapping[str, Any], gas: GasSchedule | None) -> Limits:
        """These limits for a state that remembers some: those are the state's. InputError if one was set here to another value."""
        for name, ours in self.consensus().items():
            if name in self._given and ours != consensus[name]:
                raise InputError(
                    f"Limits.{name} is {ours}, and the state was created with {consensus[name]}: it can decide a receipt, so it stays "
                    "what it was. Leave it out, or create another state"
                )
        if "gas" in self._given and self.gas != gas:
            raise InputError("Limits.gas is not the schedule that the state was created with: it decides receipts. Leave it out")
        return replace(self, gas=gas, **{name: consensus[name] for name in CONSENSUS_LIMITS})

    def of_transaction(self) -> tuple[int, int, int, int, int, int, tuple[int, ...] | None]:
        """The limits the C core checks while a transaction executes, as it takes them."""
        u32 = (1 << 32) - 1
        return (
            min(self.key_bytes, u32),
            min(self.value_bytes, u32),
            min(self.tx_keys, u32),
            self.tx_write_bytes,
            min(self.checkpoint_depth, u32),
            self.output_bytes,
            None if self.gas is None else self.gas.of_transaction(),
        )

    @classmethod
    def remembered(cls, consensus: Mapping[str, Any]) -> Limits:
        """The default limits, with those a state remembers."""
        return cls(**{name: consensus[name] for name in CONSENSUS_LIMITS if name in consensus})
