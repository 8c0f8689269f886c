"""What a state remembers about the engine that made it, beside its tree and genesis root."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping

from ioi_exec.arguments import flag
from ioi_exec.block.preparation import checked_chain_id, checked_initial_height, checked_limits
from ioi_exec.errors import InputTypeError, StateError
from ioi_exec.gas import GasSchedule
from ioi_exec.limits import CONSENSUS_LIMITS, Limits
from ioi_exec.vm.interpreter import Interpreter
from ioi_exec.vm.loading import VMSpec

_FORMAT = 1


@dataclass(frozen=True)
class Identity:
    """vm: which virtual machine. initial_height: of the first block. limits: those that can decide a receipt.
    interpreter: what its VM executes under; None: it is in C, or the state was made before this was recorded.
    chain_id: of the chain it is a state of, which transactions may be signed for; "" if none.
    receipts: whether blocks are kept with their transactions and receipts. gas: what transactions cost, if they do."""

    vm: VMSpec
    initial_height: int
    limits: dict[str, int]
    interpreter: Interpreter | None = None
    chain_id: str = ""
    receipts: bool = False
    gas: GasSchedule | None = None

    def to_meta(self) -> dict[str, Any]:
        return {
            "format": _FORMAT,
            "vm": self.vm.to_json(),
            "initial_height": self.initial_height,
            "limits": self.limits,
            **({} if self.interpreter is None else {"interpreter": self.interpreter.to_json()}),
            **({"chain_id": self.chain_id} if self.chain_id else {}),
            **({"receipts": True} if self.receipts else {}),
            **({} if self.gas is None else {"gas": self.gas.to_json()}),
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
            interpreter = Interpreter.said(meta["interpreter"]) if "interpreter" in meta else None
            gas = GasSchedule.said(meta["gas"]) if "gas" in meta else None
            receipts = flag("receipts", meta.get("receipts", False))
            return cls(vm, initial_height, limits, interpreter, checked_chain_id(meta.get("chain_id")), receipts, gas)
        except (ValueError, InputTypeError) as error:
            raise StateError(f"the state was not made by ioi-exec: {error}") from error
        except (LookupError, TypeError) as error:
            raise StateError(f"the state was not made by ioi-exec: its description lacks {error}") from error
