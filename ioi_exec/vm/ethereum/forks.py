"""The rules of Ethereum mainnet by fork, as the specification has them: a package each, from Frontier on."""

from __future__ import annotations

import pkgutil
from dataclasses import dataclass, field, fields
from functools import cached_property, lru_cache
from importlib import import_module
from typing import Any

import ethereum.forks
from ethereum_types.numeric import U256, Uint

CHAIN_ID = 1
_CODES_REMEMBERED = 256

_remembered = lru_cache(maxsize=_CODES_REMEMBERED)


@dataclass(frozen=True)
class Fork:
    """name: of its package, as "spurious_dragon". order: 0 is Frontier. Its modules are imported as they are used."""

    name: str
    order: int
    criteria: Any = field(repr=False, compare=False)

    def _module(self, name: str) -> Any:
        return import_module(f"ethereum.forks.{self.name}.{name}")

    @cached_property
    def rules(self) -> Any:
        """How a transaction and a block are processed."""
        interpreter = self._module("vm.interpreter")
        # Of the code alone, and more than half of the time of a block where it is computed anew at every call.
        interpreter.get_valid_jump_destinations = _remembered(interpreter.get_valid_jump_destinations)
        return self._module("fork")

    @cached_property
    def state(self) -> Any:
        return self._module("state")

    @cached_property
    def trie(self) -> Any:
        return self._module("trie")

    @cached_property
    def vm(self) -> Any:
        return self._module("vm")

    @cached_property
    def blocks(self) -> Any:
        return self._module("blocks")

    @cached_property
    def transactions(self) -> Any:
        return self._module("transactions")

    @cached_property
    def delegation(self) -> Any:
        """Of accounts' code to others', from Prague on."""
        return self._module("vm.eoa_delegation")

    @cached_property
    def deposit_contract(self) -> bytes | None:
        """Whose logs become requests of a block; None before Prague."""
        if not hasattr(self.rules, "process_general_purpose_requests"):
            return None
        return bytes(self._module("requests").DEPOSIT_CONTRACT_ADDRESS)

    @cached_property
    def environment(self) -> frozenset[str]:
        """What its EVM knows of a block."""
        return frozenset(part.name for part in fields(self.vm.BlockEnvironment))

    @cached_property
    def header_fields(self) -> tuple[str, ...]:
        """Of a block's header, in the order of its encoding."""
        return tuple(part.name for part in fields(self.blocks.Header))

    @property
    def has_status(self) -> bool:
        """Whether a receipt says if its transaction succeeded: from Byzantium on. Before, it has the root of the state in between."""
        return "succeeded" in {part.name for part in fields(self.blocks.Receipt)}


@lru_cache(maxsize=None)
def forks() -> tuple[Fork, ...]:
    """All that the installed specification has and that mainnet has a date for, the oldest first."""
    found = []
    for module in pkgutil.iter_modules(ethereum.forks.__path__):
        criteria = import_module(f"ethereum.forks.{module.name}").FORK_CRITERIA
        if type(criteria).__name__ != "Unscheduled":
            found.append((criteria, module.name))
    return tuple(Fork(name, order, criteria) for order, (criteria, name) in enumerate(sorted(found, key=lambda one: one[0])))


@lru_cache(maxsize=None)
def fork_named(name: str) -> Fork:
    """Raises KeyError."""
    return {fork.name: fork for fork in forks()}[name]


def fork_of(number: int, timestamp: int) -> Fork:
    """The one that a block of mainnet is of."""
    return next(fork for fork in reversed(forks()) if fork.criteria.check(Uint(number), U256(timestamp)))
