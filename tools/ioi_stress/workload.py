"""What a run executes: a state to begin with, blocks, and the virtual machine they are for."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Callable, Iterator, Mapping, Protocol, Sequence

from ioi_exec import BlockHeader, BlockResult, Limits


@dataclass(frozen=True)
class Block:
    """One block of a workload. header None: the engine's default. confirm: what its result is held against beside sequential execution: says
    in some words what it found; raises Diverged."""

    txs: Sequence[bytes]
    header: BlockHeader | None = None
    confirm: Callable[[BlockResult], str] | None = field(default=None, compare=False)


class Workload(Protocol):
    """Anything with these is a workload: those of `ioi_stress.workloads`, and one's own.

    The same to the byte from its parameters on any machine: nothing but integers of a seeded generator decides it. It may also have
    `limits`, which its VM needs: `limits_of`.
    """

    @property
    def name(self) -> str: ...

    @property
    def parameters(self) -> Mapping[str, Any]:
        """All that decides its bytes, the seed included, as JSON has it."""
        ...

    @property
    def vm(self) -> str | type | object:
        """As `ExecutionMachine.create` takes it."""
        ...

    @property
    def vm_args(self) -> Mapping[str, Any] | Sequence[Any] | None: ...

    def genesis(self) -> Mapping[bytes, bytes]:
        """The state before the first block."""
        ...

    def blocks(self) -> Iterator[Block]:
        """The blocks in order, from the first; every call begins anew."""
        ...


def vm_words(workload: Workload) -> list[str] | None:
    """The options of a command line that choose its VM; None if that has no name to import it by."""
    vm = workload.vm
    if not isinstance(vm, str):
        if not isinstance(vm, type) or "<locals>" in vm.__qualname__ or vm.__module__ == "__main__":
            return None
        vm = f"{vm.__module__}:{vm.__qualname__}"
    return ["--vm", vm, *(["--vm-args", json.dumps(workload.vm_args)] if workload.vm_args else [])]


def limits_of(workload: Workload) -> Limits:
    """The engine's, where it says nothing of them."""
    found: Limits = getattr(workload, "limits", None) or Limits()
    return found


def lacking(made: object) -> list[str]:
    """What it would need to be a Workload."""
    return [name for name in ("name", "parameters", "vm", "vm_args", "genesis", "blocks") if not hasattr(made, name)]


@dataclass(frozen=True)
class FixedWorkload:
    """A workload that is all there already: blocks read from files, a block that is being shrunk, a test's."""

    name: str
    vm: str | type | object
    state: Mapping[bytes, bytes]
    fixed: Sequence[Block]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    vm_args: Mapping[str, Any] | Sequence[Any] | None = None

    def genesis(self) -> Mapping[bytes, bytes]:
        return self.state

    def blocks(self) -> Iterator[Block]:
        return iter(self.fixed)
