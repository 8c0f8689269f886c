"""What of the newest committed state lies in shared memory, where workers read it without LMDB: kept true from commit to commit.

cache.h in shm/core says how it is made and why reading it takes no lock. Here stands what makes it true. It carries the stand
(ioi_storage.stand) of the state that it is of, and any write takes that away until all of it is there; so whatever else
happened, a rollback, a commit that failed or that another process made, shows as a stand that is not the store's, and then it
is emptied and filled with what the table of latest values lacks. Staged blocks, and sandboxes with what is committed in them,
never touch it.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import ioi_storage
from ioi_storage import Stand, Writes
from ioi_storage.disk.descriptors import Descriptors

if TYPE_CHECKING:
    from ioi_shm import Arena, Cache
    from ioi_shm.cache import SharedCache

log = logging.getLogger("ioi_exec")

Newest = Mapping[bytes, "bytes | None"]
Pairs = list[tuple[bytes, "bytes | None"]]
GetMulti = Callable[[Sequence[bytes]], "list[bytes | None]"]


class CommittedCache:
    """Of one machine's store. Made when a block first asks for it; most: bytes it may take."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._shared: SharedCache | None = None
        self._files = Descriptors()
        self._pid = os.getpid()
        # Writes that it had no room for and that the table of latest values lacks: the version and the value of each key.
        self._spilled: dict[bytes, tuple[int, bytes | None]] = {}
        self._stand: Stand | None = None  # as of the last `fit`, and the newest version in the table of latest values then
        self._flat = 0

    @property
    def handle(self) -> tuple[int, int] | None:
        """The descriptor and the size that a worker maps; None: there is none."""
        shared = self._made()
        return None if shared is None else (shared.fd, shared.size)

    @property
    def bytes_taken(self) -> int:
        """Of memory that it has taken."""
        return 0 if self._shared is None else self._shared.cache.reserved

    def fit(self, store: ioi_storage.Store) -> Newest | None:
        """Make it of the newest state. What a block on that must find besides: newest writes by key. None: there is no cache.

        No worker may be in a block."""
        shared = self._made()
        if shared is None:
            return None
        stand, flat = store.stand, store.flat
        if not shared.cache.is_of(stand.packed()):
            shared.cache.clear()
            lagging = Writes.of(store.lagging().items())
            refused = shared.write(lagging.blob, lagging.ends, stand.version, flat)
            self._spilled = {key: (stand.version, value) for key, value in refused}
            shared.cache.stamp(stand.packed())
        elif self._spilled and flat > self._flat:
            self._spilled = {key: spilled for key, spilled in self._spilled.items() if spilled[0] > flat}
        self._stand, self._flat = stand, flat
        return {key: value for key, (_, value) in self._spilled.items()}

    def lookup(self, store: ioi_storage.Store, getmulti: GetMulti) -> Lookup | None:
        """The newest state, through the cache and, for what that lacks, `getmulti`. None: there is no cache."""
        shared = self._made()
        if shared is None:
            return None
        if shared.cache.is_of(store.stand.packed()):
            self._stand = store.stand  # how far the table is by now costs a look at the disk, and a block here does not read it
        else:
            self.fit(store)
        return Lookup(self, shared.cache, getmulti)

    def keep(self, pairs: Pairs) -> None:
        """Keep what was read of the state that `fit` was called for."""
        shared = self._shared
        assert shared is not None and self._stand is not None and shared.cache.is_of(self._stand.packed())
        writes = Writes.of(pairs)  # those that had no room lie under the blocks of workers all the same, while they lag
        shared.write(writes.blob, writes.ends, 0, self._flat)
        shared.cache.stamp(self._stand.packed())

    def record(self, arena: Arena) -> tuple[bytes, bytes, bytes, bytes, bytes]:
        """The record of such a block, before that is promoted: what it read may lie here."""
        assert self._shared is not None
        return arena.record(self._shared.cache)

    def promote(self, arena: Arena) -> None:
        """Keep what the workers fetched for a block that is done, which was laid out after `fit`."""
        shared = self._shared
        assert shared is not None and self._stand is not None and arena.base == self._stand.packed()
        shared.promote(arena, self._flat)
        shared.cache.stamp(arena.base)

    def committed(self, parent: Stand, stand: Stand, changes: Writes) -> None:
        """On `parent` the store has committed these changes, and is at `stand`."""
        shared = self._made() if self._shared is not None else None
        if shared is None or not shared.cache.is_of(parent.packed()):
            return  # of another state: the next block fills it anew
        refused = shared.write(changes.blob, changes.ends, stand.version, self._flat)
        if self._spilled:
            for key, _ in changes:
                self._spilled.pop(key, None)
        self._spilled.update((key, (stand.version, value)) for key, value in refused)
        shared.cache.stamp(stand.packed())

    def give_up(self, why: str) -> None:
        """Workers do without from the next block on. No worker may be in a block."""
        log.warning("blocks read the committed state without a cache, which a worker cannot map: %s", why)
        self.close()

    def close(self) -> None:
        """Idempotent."""
        self._shared, self._most = None, 0
        self._files.close()

    def _made(self) -> SharedCache | None:
        from ioi_shm._core import CACHE_LEAST
        from ioi_shm.cache import SharedCache

        if self._pid != os.getpid():  # in a forked child: the memory is the parent's
            self._shared, self._most = None, 0
        if self._shared is None and self._most >= CACHE_LEAST:
            try:
                self._shared = SharedCache(self._most, partial(self._files.add, os.memfd_create))
            except OSError as error:
                log.warning("blocks read the committed state without a cache, which cannot be made: %s", error)
                self.close()
        return self._shared


class Lookup:
    """Reading one committed state in this process, for a block."""

    def __init__(self, committed: CommittedCache, cache: Cache, getmulti: GetMulti) -> None:
        self.cache = cache
        self._committed = committed
        self._getmulti = getmulti
        self._read: Pairs = []

    def getmulti(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The values of keys that the cache lacks, ascending."""
        values = self._getmulti(keys)
        self._read += zip(keys, values)
        return values

    def keep(self) -> None:
        """After the block: what was read goes into the cache."""
        if self._read:
            self._committed.keep(self._read)
