"""What the supervisor and the engine under attack say to each other, pickled, through a pipe between parent and child.

All are small: a pipe takes them whole at once, so that neither side ever waits for one that is stopped, and half a message never
arrives. A block goes by a file.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Mapping

from ioi_exec import Limits
from ioi_exec.vm.loading import Args

TEXT_MOST = 4_000  # characters of an error or a traceback: beyond 16 KiB a message is sent in two parts


@dataclass(frozen=True)
class Slow:
    """Of a thousand transactions `share` sleep so many seconds; which ones, their bytes and `salt` decide."""

    share: int
    seconds: float
    salt: int


@dataclass(frozen=True)
class Opening:
    """How a machine is opened for a block. arena_bytes: of `Limits`."""

    arena_bytes: int | None = None
    slow: Slow | None = None


@dataclass(frozen=True)
class Open:
    """Close what is open, and open the state. vm: a name, or None: `vm_file` holds what `LoadedVM.payload` made."""

    path: str
    vm: str | None
    vm_args: Args | None
    vm_file: str
    limits: Limits
    workers: int | None
    pin: bool
    keep: int | None
    slow: Slow | None


@dataclass(frozen=True)
class Opened:
    version: int
    root: bytes


@dataclass(frozen=True)
class Make:
    """Make the state as `opening` will open it. genesis: a file with the pickled pairs. Answered by Opened."""

    opening: Open
    tree: str
    genesis: str


@dataclass(frozen=True)
class RollBack:
    """The state that is open. Answered by Opened."""

    version: int


@dataclass(frozen=True)
class Restore:
    """Make a state at `path` of a snapshot, or go on with that. Answered by Opened."""

    path: str
    snapshot: str
    root: bytes


@dataclass(frozen=True)
class Run:
    """Execute the block that is pickled, as (transactions, header), in `file`."""

    file: str


@dataclass(frozen=True)
class Executed:
    version: int
    state_root: bytes
    receipts_root: bytes
    failed: int
    mode: str
    retries: int
    seconds: Mapping[str, float]


@dataclass(frozen=True)
class Commit:
    """Make the block that was executed last durable."""


@dataclass(frozen=True)
class Committed:
    version: int


@dataclass(frozen=True)
class End:
    """Close everything and end."""


@dataclass(frozen=True)
class Ended:
    pass


@dataclass(frozen=True)
class Refused:
    """An error of ioi_exec. exit: the exit status the command line has for it. closed: the state must be opened again."""

    kind: str
    text: str
    exit: int
    closed: bool


@dataclass(frozen=True)
class Broken:
    """Any other exception: a defect of the engine."""

    text: str


@dataclass(frozen=True)
class WhichWorkers:
    """Asked and answered on a pipe of their own, while a block executes."""

    number: int


@dataclass(frozen=True)
class Workers:
    number: int
    pids: tuple[int, ...] = field(default=())
