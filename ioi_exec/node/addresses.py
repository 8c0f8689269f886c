"""Where a node listens: settings as addresses, and sockets that listen there."""

from __future__ import annotations

import errno
import os
import socket
import stat
from pathlib import Path
from typing import Union

from ioi_exec.errors import InputError

Address = Union[Path, tuple[str, int]]


def address_of(listen: str, home: Path, setting: str) -> Address:
    """Of "unix://PATH", relative to home, or "tcp://HOST:PORT". setting: as errors call it. Raises InputError."""
    kind, _, rest = listen.partition("://")
    if kind == "unix" and rest and "\0" not in rest:
        return home / rest
    place = host_and_port(rest) if kind == "tcp" else None
    if place is not None:
        return place
    raise InputError(f"{setting} is {listen!r}: give unix://PATH or tcp://HOST:PORT")


def host_and_port(text: str) -> tuple[str, int] | None:
    """Of "HOST:PORT"; None: it is none."""
    host, _, port = text.rpartition(":")
    if not host or not (port.isascii() and port.isdigit() and int(port) < 1 << 16):
        return None
    return host.removeprefix("[").removesuffix("]"), int(port)


def shown(address: Address, listening: socket.socket) -> str:
    """As `address_of` takes it, with the port that the system chose."""
    if isinstance(address, Path):
        return f"unix://{address}"
    host, port = listening.getsockname()[:2]
    return f"tcp://[{host}]:{port}" if ":" in host else f"tcp://{host}:{port}"


def listening_at(address: Address, setting: str, most: int) -> socket.socket:
    """most: of those that may wait to be accepted. Raises InputError."""
    try:
        if isinstance(address, Path):
            return _listening_unix(address, setting, most)
        family, kind, proto, _, place = socket.getaddrinfo(*address, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listening = socket.socket(family, kind, proto)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(place)
            listening.listen(most)
        except BaseException:
            listening.close()
            raise
        return listening
    except (OSError, UnicodeError) as error:  # a host's name that cannot be one
        where = f"unix://{address}" if isinstance(address, Path) else "tcp://{}:{}".format(*address)
        number = getattr(error, "errno", None)
        why = "something listens there already" if number == errno.EADDRINUSE else getattr(error, "strerror", None) or str(error)
        raise InputError(f"{setting}: {where} cannot be listened at: {why}") from None


def _listening_unix(path: Path, setting: str, most: int) -> socket.socket:
    """A socket's file that nobody listens at any more is taken away: one that was killed left it."""
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if _is_left_over(path):
            path.unlink()
        elif path.exists() and not path.is_socket():
            raise InputError(
                f"{setting}: unix://{path} cannot be listened at: there is a file that is no socket; remove it, or give another path"
            )
        listening.bind(os.fspath(path))
        os.chmod(path, 0o600)
        listening.listen(most)
        return listening
    except BaseException:
        listening.close()
        raise


def _is_left_over(path: Path) -> bool:
    try:
        if not stat.S_ISSOCK(path.stat().st_mode):
            return False
    except FileNotFoundError:
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as trying:
        try:
            trying.connect(os.fspath(path))
        except ConnectionRefusedError:
            return True
    return False
