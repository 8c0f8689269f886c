"""Writing much in transactions of bounded size, which become smaller where there is little room."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import lmdb

from .environment import Begin, is_full

T = TypeVar("T")


def in_steps(
    items: Sequence[T],
    step: int,
    env: lmdb.Environment,
    begin: Begin,
    write: Callable[[lmdb.Transaction[bytes], Sequence[T], bool], int],
) -> Iterator[int]:
    """Each next() is one transaction, in which write(it, the next items, whether they are the last) writes at most `step` of them, and
    returns what that does. None at all is one step too. Where a disk is full, fewer are tried: pages that some leave free serve the next."""
    at, full = 0, None
    while True:
        part = items[at : at + step]
        try:
            with begin() as txn:
                done = write(txn, part, at + len(part) == len(items))
        except lmdb.PanicError as error:
            raise full or error from None  # it was the meta page that there was no room for
        except (lmdb.Error, OSError) as error:
            if len(part) <= 1 or not is_full(error, env.path()):
                raise
            step, full = len(part) // 4 or 1, error
            continue
        at, full = at + len(part), None
        yield done
        if at == len(items):
            return
