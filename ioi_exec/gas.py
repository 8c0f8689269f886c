"""Gas: what a transaction costs, and what a block may."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Iterable, Mapping

from ioi_exec.arguments import MAX_INT64, integer
from ioi_exec.errors import InputError, InputTypeError, LimitExceeded

COST_MAX = (1 << 32) - 1


@dataclass(frozen=True, kw_only=True)
class GasSchedule:
    """What the operations of a transaction cost: `ExecutionMachine.create(..., gas=GasSchedule(get=10))`. Fixed when a state is made, for
    it decides receipts. An attempt costs as much as a success; what a checkpoint undoes was paid for all the same.

    Raises InputTypeError or InputError for values that make no sense.
    """

    flat: int = 0
    """Each transaction, before anything else; also one that cannot be decoded."""
    get: int = 0
    """`get` and `exists`."""
    put: int = 0
    """`put`. `add` is a `get` and a `put` of `size` bytes."""
    delete: int = 0
    scan: int = 0
    """A step of a scan: each time it is asked for a pair, also the time it says that there is none. One that has come to its `limit` is not
    asked."""
    read_byte: int = 0
    """Each byte of a value that `get` gives, and of a key and a value that a scan gives."""
    written_byte: int = 0
    """Each byte of key and value of a `put`, of the key of a `delete`."""
    emit: int = 0
    """`ctx.emit`, beside a `written_byte` for each byte of the event as receipts have it."""
    tx_limit: int = MAX_INT64
    """Most gas of a transaction. A VM says what one may use with `gas_limit(tx)`, which counts where it is less."""
    block_limit: int | None = None
    """Most gas that the transactions of a block may have used together. None: no limit. No transaction may use more, whatever
    `tx_limit` is, so that each fits into a block. A block beyond it is refused (LimitExceeded)."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "block_limit" and value is None:
                continue
            limit = field.name in ("tx_limit", "block_limit")
            value = integer(f"GasSchedule.{field.name}", value, 1 if limit else 0, MAX_INT64 if limit else COST_MAX)
            object.__setattr__(self, field.name, value)
        if self.flat > self.most:
            raise InputError(f"GasSchedule.flat is {self.flat}, and a transaction may use at most {self.most}: none could be executed")

    @property
    def most(self) -> int:
        """That any transaction may use."""
        return self.tx_limit if self.block_limit is None else min(self.tx_limit, self.block_limit)

    def of_transaction(self) -> tuple[int, int, int, int, int, int, int, int, int]:
        """As the C core takes it."""
        return self.flat, self.get, self.put, self.delete, self.scan, self.read_byte, self.written_byte, self.emit, self.most

    def check_block(self, used: Iterable[int]) -> None:
        """used: by each transaction. Raises LimitExceeded if a block of these is invalid, and names the first that is too much."""
        total = 0
        for index, gas in enumerate(used):
            total += gas
            if self.block_limit is not None and total > self.block_limit:
                raise LimitExceeded(
                    f"the block is invalid: with transaction {index} it has used {total} gas, at most {self.block_limit} "
                    "(GasSchedule.block_limit). Leave out that one and those after it"
                )

    def to_json(self) -> dict[str, int | None]:
        return asdict(self)

    @classmethod
    def said(cls, value: object) -> GasSchedule:
        """From what a state or a file says: an object of some of the fields. Raises InputError, InputTypeError."""
        known = {field.name for field in fields(cls)}
        if not isinstance(value, Mapping):
            raise InputTypeError(f"the gas schedule is {type(value).__name__}: give an object with some of {', '.join(sorted(known))}")
        given: dict[str, Any] = dict(value)
        if unknown := sorted(str(name) for name in given.keys() - known):
            raise InputError(f"the gas schedule has no {unknown[0]!r}: it knows {', '.join(sorted(known))}")
        return cls(**given)
