"""Restoring a state from the chunks of a snapshot, which may come from anybody, in any order, over days.

    .NAME.restoring/         beside NAME, its LOCK held by whoever works on it
        manifest             which state this is about; of another one nothing is taken
        chunk-0, chunk-1 ..  those that were checked against the root, each written, synced and renamed in
        state/               the state while it is built, begun anew each time
        built                the same as manifest: it is whole, and once it is in its place all the rest is only cleared away
    NAME                     renamed in

Killed at any moment, it goes on with the chunks that are there. Nothing is believed but what follows from the root, and so
nothing that lies here already, whoever seems to have made it: chunks are hashed when they are used, a state that was built
is built again unless it is in its place, where all of it is checked. A chunk that fails leaves nothing behind.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress

import lmdb

from ..checking.process import check
from ..disk import directory, lock, making
from ..disk.descriptors import Descriptors
from ..disk.environment import (
    Tables,
    data_file,
    open_environment,
    open_tables,
    translated,
)
from ..errors import BadChunk, RootMismatch, StorageError
from ..latest.snapshot import Snapshot
from ..latest.view import View
from ..trees.seam import Leaf, tree_named
from .chunks import CHUNK_LIMIT, Malformed, Pair, Part, Stub, read_chunk
from .manifest import Manifest
from .writer import Writer

Progress = Callable[[int, int], None]


class Restore:
    """A restore, begun or gone on with. A context manager: leaving it keeps what was restored so far for the next one.

        with Restore("state", manifest, root=trusted_root) as restore:
            for number in restore.missing():
                restore.offer(number, fetch(number))    # BadChunk: ask somebody else
            restore.finish()

    missing() is [0] until the top is there, then all others that are not."""

    def __init__(self, path: str | os.PathLike[str], manifest: Manifest, *, root: bytes) -> None:
        """root: trusted; 32 bytes. StateExists, StateInUse; RootMismatch if the manifest is of another root;
        StorageError if another snapshot is being restored there."""
        if len(root) != 32:
            raise ValueError(f"a root has 32 bytes, this one {len(root)}")
        if manifest.row.root != root:
            raise RootMismatch(f"the manifest is of the root {manifest.row.root.hex()}, not of {root.hex()}")
        self.path = os.path.realpath(path)
        self.manifest = manifest
        self._tree = tree_named(manifest.creation.tree)
        parent, name = os.path.split(self.path)
        self._directory = os.path.join(parent, f".{name}.restoring")
        self._state = os.path.join(self._directory, "state")
        self._stubs: list[bytes] | None = None
        self._done: set[int] = set()
        self._files = Descriptors()
        self._locked = False
        with translated(f"restoring the state at {self.path}"):
            if not os.path.isdir(parent):
                raise directory.no_directory(f"restore to {self.path}", parent)
            self._refuse_prepared()
            if os.path.exists(self.path) and not self._is_built:
                directory.refuse_if_taken(self.path)
            if not os.path.lexists(self._directory):
                os.mkdir(self._directory, 0o700)
            directory.sync(parent)
            try:
                lock.take(self._directory, self._files)
                self._locked = True
                self._resume()
            except BaseException:
                self.close()
                raise

    def close(self) -> None:
        """Idempotent; chunks stay."""
        self._locked = False
        self._files.close()

    def __enter__(self) -> Restore:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    # ---- chunks ----

    def missing(self) -> list[int]:
        """The numbers of the chunks still needed, ascending. Once it is empty, `finish`."""
        if self._is_built:
            return []
        if self._stubs is None:
            return [0]
        return [number for number in range(1, len(self._stubs) + 1) if number not in self._done]

    @property
    def chunks(self) -> int:
        """How many there are in all, chunk 0 too; before that is known, how many the manifest says."""
        return self.manifest.chunks if self._stubs is None else len(self._stubs) + 1

    def offer(self, number: int, data: bytes) -> None:
        """Check a chunk and keep it. One that is there already is left as it is.

        BadChunk: it is damaged, or part of another state; StorageError: chunk 0 was not offered before."""
        self._check_open()
        if number not in self._done:
            self._check(number, data)
            with translated(f"keeping chunk {number} of {self.path}", self._directory):
                self._write(f"chunk-{number}", data)
            self._done.add(number)

    def _check(self, number: int, data: bytes) -> None:
        if len(data) > CHUNK_LIMIT:
            raise BadChunk(f"chunk {number} has {len(data)} bytes, at most {CHUNK_LIMIT} are allowed")
        if number == 0:
            self._check_root(0, data, self.manifest.row.root)
            self._stubs = [part.hash for part in self._collected(0, data, self.manifest.row.root) if isinstance(part, Stub)]
            return
        if self._stubs is None:
            raise StorageError("chunk 0 says what the others must be: offer it first")
        if not 1 <= number <= len(self._stubs):
            raise BadChunk(f"there is no chunk {number}: this snapshot has the chunks 0 to {len(self._stubs)}")
        self._check_root(number, data, self._stubs[number - 1])

    def _collected(self, number: int, data: bytes, expected: bytes) -> list[Part]:
        """The parts of a chunk that was checked before, checked again."""
        parts: list[Part] = []
        self._check_root(number, data, expected, parts.append)
        return parts

    def _check_root(
        self, number: int, data: bytes, expected: bytes, each: Callable[[Part], object] = lambda part: None
    ) -> None:
        try:
            hash = read_chunk(self._tree, data, self.manifest.row.version, top=number == 0, each=each)
        except Malformed as error:
            raise BadChunk(f"chunk {number} is damaged: {error}; nothing of it was kept") from None
        if hash != expected:
            raise BadChunk(
                f"chunk {number} is damaged or of another state: its hash is {hash.hex()}, it should be {expected.hex()}; "
                "nothing of it was kept"
            )

    # ---- the directory ----

    @property
    def _is_built(self) -> bool:
        return os.path.exists(os.path.join(self._directory, "built"))

    def _refuse_prepared(self) -> None:
        """What was left here decides nothing, but it is written to: StorageError unless it is this user's own."""
        if not os.path.lexists(self._directory):
            return
        directory.refuse_if_others_may_write(self._directory)
        for entry in os.scandir(self._directory):
            if not (entry.is_file(follow_symlinks=False) or entry.name == "state" and entry.is_dir(follow_symlinks=False)):
                raise StorageError(f"{entry.path} is no plain file, and no restore made it: remove {self._directory}")

    def _check_open(self) -> None:
        if not self._locked:
            raise StorageError(f"the restore of {self.path} is closed: begin it again, which goes on with it")

    def _resume(self) -> None:
        directory.sync(self._directory)  # what died, or failed, after it had renamed a chunk in may not have done that
        known = os.path.join(self._directory, "built" if self._is_built else "manifest")
        encoded = self.manifest.encode()
        if not os.path.exists(known):
            self._write("manifest", encoded)
        with open(known, "rb") as file:
            if file.read(len(encoded) + 1) != encoded:
                raise StorageError(
                    f"another snapshot is being restored to {self.path}: finish that, or remove {self._directory} to give it up"
                )
        if self._is_built:
            if not os.path.exists(self._state) and self._is_in_place():
                return
            directory.refuse_if_taken(self.path)
            self._write("manifest", encoded)
            # What was built has been taken away since, or not put in its place yet. Then it is built anew, for who can put a
            # file here can put a state here: nothing but the chunks proves itself.
            os.unlink(known)
        for name in os.listdir(self._directory):
            number = name.removeprefix("chunk-")
            if number.isdecimal() and name == f"chunk-{int(number)}":
                self._done.add(int(number))
        if 0 in self._done:
            try:
                self._check(0, self._kept(0))
            except BadChunk:  # the disk changed it since
                self._drop(0)

    def _is_in_place(self) -> bool:
        """Whether the state at `path` is the one that was to be restored, down to its last row."""
        try:
            handle = making.open_made(self.path, read_only=True)
            try:
                view = View(handle)
                creation = view.look(Snapshot.creation)
                row = view.read(lambda snapshot: snapshot.version_row(self.manifest.row.version))
            finally:
                handle.close()
        except StorageError:
            return False
        # Nothing vouches for the number of keys in a manifest.
        found = row._replace(head=b"", keys=self.manifest.row.keys)
        return creation == self.manifest.creation and found == self.manifest.row and not check(self.path, deep=True).findings

    def _kept(self, number: int) -> bytes:
        with open(os.path.join(self._directory, f"chunk-{number}"), "rb") as file:
            return file.read(CHUNK_LIMIT + 1)

    def _drop(self, number: int) -> None:
        os.unlink(os.path.join(self._directory, f"chunk-{number}"))
        self._done.discard(number)

    def _write(self, name: str, data: bytes) -> None:
        """Whole and durable, or not there."""
        incoming = os.path.join(self._directory, "incoming")
        with suppress(FileNotFoundError):
            os.unlink(incoming)  # not written over: it may be another name of something else
        with open(incoming, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.rename(incoming, os.path.join(self._directory, name))
        directory.sync(self._directory)

    # ---- the end ----

    def finish(self, progress: Progress | None = None) -> None:
        """Build the state and put it at `path`, durable on return. progress(keys so far, keys in all).

        StorageError while chunks are missing; BadChunk if one no longer is what it was, which then is missing again."""
        self._check_open()
        if missing := self.missing():
            raise StorageError(f"{len(missing)} chunks are missing, first of them {missing[0]}: offer them first")
        state = self._state
        with translated(f"building the state at {self.path}", self._directory):
            if not self._is_built:
                shutil.rmtree(state, ignore_errors=True)
                os.mkdir(state, 0o700)
                env, _ = open_environment(state, read_only=False)
                try:
                    self._build(env, open_tables(env, create=True), progress)
                finally:
                    env.close()
                directory.sync(data_file(state))
                directory.sync(state)
                self._write("built", self.manifest.encode())
            if os.path.exists(state):
                directory.refuse_if_taken(self.path)
                os.rename(state, self.path)
            directory.sync(os.path.dirname(self.path))
            self._clear_away()
        self.close()

    def _clear_away(self) -> None:
        """What says that the state is built goes last, so that a crash here leaves that to the next restore."""
        for name in os.listdir(self._directory):
            if name not in ("built", lock.NAME):
                os.unlink(os.path.join(self._directory, name))
        for name in ("built", lock.NAME):
            os.unlink(os.path.join(self._directory, name))
        os.rmdir(self._directory)
        with suppress(OSError):  # what comes back after a crash is in nobody's way
            directory.sync(os.path.dirname(self.path))

    def _build(self, env: lmdb.Environment, tables: Tables, progress: Progress | None) -> None:
        writer = Writer(env, tables)
        try:
            head = writer.tree(self._tree.rebuild(self._parts(writer, progress), self.manifest.row.version))
        except ValueError as error:
            raise StorageError(f"the chunks do not make a tree, though each has its hash: {error}") from None
        row = self.manifest.row
        if head.root != row.root:
            reason = f"the chunks make a tree with the root {head.root.hex()}, not {row.root.hex()}"
            raise StorageError(f"{reason}, though each has its hash")
        writer.end(self.manifest.creation, row._replace(keys=writer.keys, head=head.pointer))

    def _parts(self, writer: Writer, progress: Progress | None) -> Iterator[Leaf | bytes]:
        """Everything in order; keys and values go to the writer in passing."""
        assert self._stubs is not None
        number = 0
        for part in self._collected(0, self._kept(0), self.manifest.row.root):
            if isinstance(part, Stub):
                number += 1
                for inside in self._checked_again(number):
                    if isinstance(inside, Pair):
                        writer.pair(inside.leaf.version, inside.leaf.key_hash, inside.key, inside.value)
                        yield inside.leaf
                    elif isinstance(inside, bytes):
                        yield inside
                if progress is not None:
                    progress(writer.keys, self.manifest.row.keys)
            elif isinstance(part, bytes):
                yield part

    def _checked_again(self, number: int) -> list[Part]:
        assert self._stubs is not None
        try:
            return self._collected(number, self._kept(number), self._stubs[number - 1])
        except BadChunk:
            self._drop(number)
            raise
