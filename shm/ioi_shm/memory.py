"""The memory under an arena: one memfd, sparse and sealed, whose pages are reserved before anything writes to them.

A memfd has no name to leak and is gone with its last process. It does not obey the size of /dev/shm, so nothing but
this file's own look at what is free stands between a block that asks too much and the kernel's out-of-memory killer.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import resource
from collections.abc import Callable
from pathlib import Path

from ioi_shm._core import ARENA_MAX, BLOCK_AT, Arena

SMALLEST_BYTES = 1 << 30
STEP_BYTES = 4 << 20
SPARE_BYTES = 64 << 20  # left to the rest of the machine
SEED = os.urandom(32)  # of the hashes of keys: one for all, so that a key is hashed once for an arena and a cache
_MAP_NORESERVE = getattr(mmap, "MAP_NORESERVE", 0x4000)  # named since Python 3.13


class ArenaExhausted(MemoryError):
    """There is no memory for the arena to grow into. The message says who allows how much."""


class SharedArena:
    """A fresh arena and the memfd it lives in.

    arena: the C object. fd, size: what a worker needs to map it. limit: most bytes ever reserved; None = what is free.
    """

    def __init__(self, initial_bytes: int = STEP_BYTES, limit: int | None = None) -> None:
        self._limit = limit
        self.fd = memory_file("ioi-arena", "workers share memory: allow it, or use workers=0")
        try:
            self.size = _mappable(ARENA_MAX)  # address space, not memory
            most = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
            if 0 <= most < self.size:
                self.size = most
            os.ftruncate(self.fd, self.size)
            fcntl.fcntl(self.fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
            self.reserved = 0
            self._reserve(max(min(initial_bytes, limit or initial_bytes), BLOCK_AT + mmap.PAGESIZE))
            self.arena = Arena(self.fd, self.size, self.reserved, SEED)
        except BaseException:
            os.close(self.fd)
            raise

    def grow_to(self, wanted: int) -> None:
        """Reserve at least `wanted` bytes. No worker may be in a block. Raises ArenaExhausted."""
        if wanted > self.reserved:
            self._reserve(wanted)
            self.arena.reserve(self.reserved)

    def close(self) -> None:
        """Give up this process's hold of the memory. Idempotent."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def _reserve(self, wanted: int) -> None:
        wanted = -(-wanted // mmap.PAGESIZE) * mmap.PAGESIZE
        more = wanted - self.reserved
        if self._limit is not None and wanted > self._limit:
            raise ArenaExhausted(
                f"the block needs more than {self._limit} bytes of shared memory, which is the limit: raise "
                "Limits.arena_bytes, or make the block smaller"
            )
        if wanted > self.size and self.size == resource.getrlimit(resource.RLIMIT_FSIZE)[0]:
            raise ArenaExhausted(
                f"the block needs {wanted} bytes of shared memory, and this process may write no file of more than {self.size}, shared "
                "memory included: raise the limit (ulimit -f), or use workers=0"
            )
        if wanted > ARENA_MAX:
            raise ArenaExhausted(
                f"the block needs {wanted} bytes of shared memory, and no block can have more than {ARENA_MAX}: make it smaller, or "
                "use workers=0"
            )
        room = free_memory()
        if wanted > self.size or more > room:
            raise ArenaExhausted(
                f"the block needs {more} more bytes of shared memory and {max(room, 0)} are free (memory and cgroup): "
                "free memory, or make the block smaller"
            )
        try:
            os.posix_fallocate(self.fd, self.reserved, more)
        except OSError as error:
            raise ArenaExhausted(f"the system refused {more} bytes of shared memory: {error}") from error
        self.reserved = wanted


def memory_file(name: str, otherwise: str, create: Callable[[str, int], int] = os.memfd_create) -> int:
    """A new memfd, by a number above 2. otherwise: what it is for, and what to do where the system forbids it, for the OSError.
    create: what makes it, of a name and flags; one whose number is above 2 stays where it is."""
    try:
        return above_standard(create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING))
    except PermissionError as error:
        raise OSError(error.errno, f"the system refuses memfd_create, by which {otherwise}") from error


def above_standard(fd: int) -> int:
    """The same file by a number above 2: a program that has closed its standard streams may open them again."""
    if fd > 2:
        return fd
    try:
        return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3)
    finally:
        os.close(fd)


def free_memory(root: Path = Path("/sys/fs/cgroup"), meminfo: Path = Path("/proc/meminfo")) -> int:
    """Bytes this process may still take: of the machine, and of its cgroup and those above it (v2 and v1)."""
    rooms = [room for room in (_machine_room(meminfo), *_cgroup_rooms(root)) if room is not None]
    return min(rooms, default=ARENA_MAX) - SPARE_BYTES


def _machine_room(meminfo: Path) -> int | None:
    try:
        for line in meminfo.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    return None


def _cgroup_rooms(root: Path) -> list[int]:
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        lines = []
    groups = {Path(line.split(":", 2)[2].lstrip("/") or ".") for line in lines if line.count(":") >= 2} | {Path(".")}
    rooms = []
    for group in groups:
        for folder, limit, usage in (
            (root, "memory.max", "memory.current"),
            (root / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
        ):
            for parent in (group, *group.parents):
                try:
                    most = int((folder / parent / limit).read_text())
                    rooms.append(most - int((folder / parent / usage).read_text()))
                except (OSError, ValueError):  # "max", or no such controller
                    continue
    return rooms


def _mappable(size: int) -> int:
    """The largest size up to this that can be mapped here: an address-space limit may be in force."""
    while size > SMALLEST_BYTES:
        try:
            mmap.mmap(-1, size, flags=mmap.MAP_SHARED | _MAP_NORESERVE, prot=mmap.PROT_READ).close()
            return size
        except (OSError, OverflowError, ValueError):
            size //= 2
    return SMALLEST_BYTES
