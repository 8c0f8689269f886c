"""What a state remembers about the engine that made it, beside its tree and genesis root."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Mapping

from ioi_exec.arguments import flag
from ioi_exec.block.preparation import checked_chain_id, checked_initial_height, checked_limits
from ioi_exec.errors import InputError, InputTypeError, StateError, VMMismatch
from ioi_exec.gas import GasSchedule
from ioi_exec.limits import CONSENSUS_LIMITS, Limits
from ioi_exec.vm.interpreter import Interpreter
from ioi_exec.vm.loading import VMSpec
from ioi_exec.vm.upgrades import Upgrade, said_recorded, said_upgrades

_FORMAT = 1


@dataclass(frozen=True)
class Identity:
    """vm: which virtual machine it was created with. initial_height: of the first block. limits: those that can decide a receipt.
    interpreter: what its VM executes under; None: it is in C, or the state was made before this was recorded.
    chain_id: of the chain it is a state of, which transactions may be signed for; "" if none.
    receipts: whether blocks are kept with their transactions and receipts. gas: what transactions cost, if they do.
    upgrades: VMs that took over since, or will, by height. code: the fingerprint of its VM's code, None as `Upgrade.code`."""

    vm: VMSpec
    initial_height: int
    limits: dict[str, int]
    interpreter: Interpreter | None = None
    chain_id: str = ""
    receipts: bool = False
    gas: GasSchedule | None = None
    upgrades: tuple[Upgrade, ...] = ()
    code: str | None = None

    @property
    def vms(self) -> tuple[Upgrade, ...]:
        """All of them by height, the first one with them."""
        return (Upgrade(self.initial_height, self.vm, self.interpreter, self.code), *self.upgrades)

    def index_at(self, height: int) -> int:
        """Which of `vms` executes the block of this height; a version belongs to the one that made it, genesis to the first."""
        return sum(each.height <= height for each in self.upgrades)

    def vm_at(self, height: int) -> VMSpec:
        return self.vms[self.index_at(height)].vm

    def last_upgrade(self, height: int) -> tuple[int, VMSpec] | None:
        """What has taken over by this height, and where; None: nothing has."""
        index = self.index_at(height)
        return (self.upgrades[index - 1].height, self.upgrades[index - 1].vm) if index else None

    def pending(self, committed: int) -> tuple[Upgrade, ...]:
        """Those that take over beyond this height."""
        return tuple(each for each in self.upgrades if each.height > committed)

    def upgraded(self, upgrade: Upgrade | None, committed: int) -> Identity:
        """With this one in the place of all that are pending."""
        past = tuple(each for each in self.upgrades if each.height <= committed)
        return replace(self, upgrades=past if upgrade is None else (*past, upgrade))

    def changed(self, index: int, upgrade: Upgrade) -> Identity:
        """With another description of one of `vms`."""
        if index == 0:
            return replace(self, vm=upgrade.vm, interpreter=upgrade.interpreter, code=upgrade.code)
        return replace(self, upgrades=(*self.upgrades[: index - 1], upgrade, *self.upgrades[index:]))

    def index_of(self, vm: VMSpec, height: int) -> int:
        """Which of `vms`, the one of the block of this height or a later one, the operator means. Raises VMMismatch."""
        now = self.index_at(height)
        try:
            self.vms[now].vm.check_same(vm)
            return now
        except VMMismatch as error:
            for index, each in enumerate(self.vms[now + 1 :], now + 1):
                with suppress(VMMismatch):
                    each.vm.check_same(vm)
                    return index
            if not self.upgrades:
                raise
            told = "; ".join(map(str, self.upgrades))
            raise VMMismatch(
                f"the block of height {height} belongs to the VM {self.vms[now].vm}, not to {vm}: open the state with that one. It was "
                f"created with {self.vm} and upgrades to {told}"
            ) from error

    def to_meta(self) -> dict[str, Any]:
        return {
            "format": _FORMAT,
            "vm": self.vm.to_json(),
            "initial_height": self.initial_height,
            "limits": self.limits,
            **self.vms[0].recorded(),
            **({"chain_id": self.chain_id} if self.chain_id else {}),
            **({"receipts": True} if self.receipts else {}),
            **({} if self.gas is None else {"gas": self.gas.to_json()}),
            **({"upgrades": [each.to_json() for each in self.upgrades]} if self.upgrades else {}),
        }

    @classmethod
    def from_meta(cls, meta: Mapping[str, Any]) -> Identity:
        """Raises StateError if the state was made by something else, or by a newer engine."""
        if meta.get("format") != _FORMAT:
            raise StateError(
                f"the state's engine format is {meta.get('format')!r}, this ioi-exec knows {_FORMAT}: "
                "use the release that made the state"
            )
        try:
            vm, initial_height = VMSpec.said(meta["vm"]), checked_initial_height(meta["initial_height"])
            limits = {name: meta["limits"][name] for name in CONSENSUS_LIMITS}
            checked_limits(Limits.remembered(limits))
            interpreter, code = said_recorded(meta)
            gas = GasSchedule.said(meta["gas"]) if "gas" in meta else None
            receipts = flag("receipts", meta.get("receipts", False))
            upgrades = said_upgrades(meta.get("upgrades", []))
            return cls(vm, initial_height, limits, interpreter, checked_chain_id(meta.get("chain_id")), receipts, gas, upgrades, code)
        except (ValueError, InputTypeError, InputError) as error:
            raise StateError(f"the state was not made by ioi-exec: {error}") from error
        except (LookupError, TypeError) as error:
            raise StateError(f"the state was not made by ioi-exec: its description lacks {error}") from error
