"""What a soak looks at, and how much of each may grow in an hour."""

from __future__ import annotations

from dataclasses import dataclass

ROLES = ("engine", "workers", "helpers", "reader")
"""The processes of an engine, and one that reads the state beside it."""
ALL = ""
_MIB = float(1 << 20)
_PAGE = 4096.0 / _MIB


@dataclass(frozen=True)
class Quantity:
    """name: as in JSON. unit: what its values are in. group: which are drawn together. role: whose it is; a role's values have the lives
    of its processes. more, share: what may grow in an hour, in the unit, and as a share of the level; None: it is drawn and not judged.
    step: the least it can change by."""

    name: str
    label: str
    unit: str
    group: str
    role: str = ALL
    more: float | None = None
    share: float = 0.0
    step: float = 0.0

    def allowance(self, level: float, times: float) -> float:
        """Units an hour."""
        assert self.more is not None
        return times * (self.more + self.share * level)


def _of_roles(kind: str, label: str, unit: str, more: float, share: float, step: float) -> tuple[Quantity, ...]:
    whole = Quantity(kind, label, unit, label, ALL, 2 * more, share, step)
    return (whole, *(Quantity(f"{kind}_{role}", f"{label}, {role}", unit, label, role, more, share, step) for role in ROLES))


QUANTITIES: tuple[Quantity, ...] = (
    *_of_roles("memory", "memory", "MiB", 1.0, 0.01, _PAGE),
    *_of_roles("descriptors", "descriptors", "", 2.0, 0.0, 1.0),
    Quantity("processes", "processes", "", "processes and threads", more=4.0, step=1.0),
    Quantity("threads", "threads", "", "processes and threads", more=4.0, step=1.0),
    Quantity("file", "file of the state", "MiB", "file", more=2.0, share=0.05, step=_PAGE),
    Quantity("slots", "reader slots", "", "reader slots", more=4.0, step=1.0),
    Quantity("commit", "durable commit", "ms", "durable commit", share=0.5, more=0.0),
    Quantity("mapped", "resident pages of files", "MiB", "resident pages of files"),
    Quantity("load", "load of the machine", "", "load of the machine"),
)
"""memory: pages that are the processes' own or in shared memory, those that several map counted once (PSS). Pages of files are not in it:
the kernel takes them back, and there are no more of them than the file has."""
