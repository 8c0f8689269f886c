"""A small disk that is a file: an ext4 image, loop-mounted. Needs root, and leaves nothing but the file behind."""

from __future__ import annotations

import ctypes
import errno
import os
import subprocess
from pathlib import Path

from ioi_exec import InputError

_CLONE_NEWNS = 0x20000
_FILLER = "filler"


def private_mounts() -> None:
    """From here on this process and its children have mounts of their own, gone with the last of them however it ends."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNS) != 0:
        raise InputError(f"a disk of its own needs root: {os.strerror(ctypes.get_errno())}. Leave out --disk")
    _run("mount", "--make-rprivate", "/")


class Disk:
    """image: the file. path: where it is mounted. again: the command that mounts it once more."""

    def __init__(self, folder: Path, mib: int) -> None:
        """Raises InputError where this is not possible."""
        self.image, self.path = folder / "disk.img", folder / "disk"
        with open(self.image, "wb") as file:
            file.truncate(mib << 20)
        _run("mkfs.ext4", "-q", "-O", "^has_journal", "-m", "0", str(self.image))
        self.path.mkdir()
        self.again = ("mount", "-o", "loop", str(self.image), str(self.path))
        _run(*self.again)

    def fill(self, spare: int) -> None:
        """Take all the room there is but `spare` bytes."""
        fd = os.open(self.path / _FILLER, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            step = 1 << 30
            while step >= 4096:
                try:
                    os.posix_fallocate(fd, os.fstat(fd).st_size, step)
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    step //= 2
            os.ftruncate(fd, max(os.fstat(fd).st_size - spare, 0))
        finally:
            os.close(fd)

    def make_room(self) -> None:
        (self.path / _FILLER).unlink(missing_ok=True)

    @property
    def outgrown(self) -> bool:
        """Whether hardly any room is left though nothing has taken it on purpose."""
        room = os.statvfs(self.path)
        return not (self.path / _FILLER).exists() and room.f_bavail * 8 < room.f_blocks

    def unmount(self) -> None:
        _run("umount", "-l", str(self.path))


def _run(*command: str) -> None:
    try:
        # Ctrl-C in a terminal goes to the whole group: not to these.
        done = subprocess.run(command, capture_output=True, text=True, start_new_session=True)
    except FileNotFoundError:
        raise InputError(f"a disk of its own needs the program {command[0]}: install it, or leave out --disk") from None
    if done.returncode != 0:
        raise InputError(f"a disk of its own cannot be made: {' '.join(command)}: {done.stderr.strip()}. Leave out --disk")
