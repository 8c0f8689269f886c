"""What stands behind `state` where transactions execute one by one, and what an executor may expect of it."""

from __future__ import annotations

import gc
import weakref
from contextlib import suppress
from typing import Any, Callable, Iterator

import pytest
from ioi_shm import Plain, exact_bytes

LIMITS = (8, 8, 4, 100, 2, 10)
BASE = {b"a": b"1", b"b": b"2"}


class Over(Exception):
    pass


class Leave(BaseException):
    pass


def ranged(low: bytes | None, high: bytes | None, reverse: bool) -> Iterator[tuple[bytes, bytes]]:
    return iter(sorted(BASE.items(), reverse=reverse))


def plain(fetch: Callable[[bytes], Any] = BASE.get, range_: Callable[..., Any] = ranged) -> Plain:
    return Plain(LIMITS, fetch, range_, Over, Leave)


@pytest.mark.parametrize(
    "use", [lambda s: s.get(b"a"), lambda s: s.exists(b"a"), lambda s: next(s.scan())], ids=["get", "exists", "scan"]
)
def test_what_reading_the_base_raises_is_kept_and_the_vm_leaves(use: Callable[[Any], Any]) -> None:
    def bad(*_: Any) -> Any:
        raise OSError("the disk")

    back = plain(bad, bad)
    state = back.begin()
    state.put(b"k", b"v")
    for _ in range(2):  # and again, whatever the VM caught
        with pytest.raises(Leave):
            use(state)
    for other in (lambda: state.put(b"k", b"w"), lambda: state.get(b"k"), lambda: state.checkpoint().__enter__()):
        with pytest.raises(Leave):
            other()
    assert back.cut and isinstance(back.broken, OSError)
    back.end()
    with pytest.raises(RuntimeError, match="worth nothing"):
        back.keep(True)
    back.begin()
    assert not back.cut and back.broken is None
    back.end()
    assert back.keep(True) == ([], b"")


@pytest.mark.parametrize("value", [1, "text", bytearray(b"x"), type("Sub", (bytes,), {})(b"x")])
def test_a_base_that_gives_anything_but_bytes_is_broken(value: Any) -> None:
    back = plain(lambda key: value, lambda *_: [(b"a", value)])
    for use in (lambda s: s.get(b"a"), lambda s: next(s.scan())):
        with pytest.raises(Leave):
            use(back.begin())
        assert isinstance(back.broken, TypeError)


def test_only_what_has_ended_and_was_kept_is_in_the_block() -> None:
    back = plain()
    state = back.begin()
    state.put(b"k", b"v")
    state.delete(b"a")
    with pytest.raises(RuntimeError, match="has not ended"):
        back.keep(True)
    back.end()
    assert sorted(back.keep(True)[0]) == [b"a", b"k"]
    back.begin().put(b"lost", b"x")
    state = back.begin()
    assert (state.get(b"k"), state.get(b"a"), state.get(b"lost")) == (b"v", None, None)
    back.end()
    back.keep(True)
    assert back.batch() == [(b"a", None), (b"k", b"v")]


def test_a_state_that_is_used_in_the_middle_of_a_use_is_refused() -> None:
    """As a finalizer of the VM may, which runs whenever something is allocated."""
    errors = []

    def reentering(*_: Any) -> Any:
        for use in (lambda: state.put(b"k", b"v"), lambda: state.scan(), lambda: next(running)):
            with pytest.raises(RuntimeError, match="in the middle of another use") as caught:
                use()
            errors.append(caught.value)
        return None

    back = plain(reentering)
    state = back.begin()
    running = state.scan()
    assert state.get(b"z") is None and len(errors) == 3 and not back.cut
    assert list(running) == sorted(BASE.items())


def test_scans_of_the_base_are_closed_when_the_state_ends() -> None:
    open_ = 0

    def counted(*_: Any) -> Iterator[tuple[bytes, bytes]]:
        nonlocal open_
        open_ += 1
        try:
            yield from sorted(BASE.items())
        finally:
            open_ -= 1

    back = plain(range_=counted)
    state = back.begin()
    kept = [state.scan(), state.scan(), state.scan()]
    next(kept[0])
    next(kept[1])
    assert open_ == 2  # the third was not asked yet
    kept[1].close()
    assert open_ == 1
    back.end()
    assert open_ == 0
    with pytest.raises(RuntimeError, match="after its transaction ended"):
        next(kept[0])


def test_what_a_vm_keeps_is_collected() -> None:
    class Kept:
        def __call__(self, key: bytes) -> None:
            return None

    kept: Any = Kept()
    kept.back = plain(kept)
    kept.state = kept.back.begin()
    kept.scan, kept.checkpoint = kept.state.scan(), kept.state.checkpoint()
    next(kept.scan)
    kept.checkpoint.__enter__()
    kept.state.put(b"k", b"v")
    gone = weakref.ref(kept)
    del kept
    gc.collect()
    assert gone() is None


def test_a_finalizer_that_goes_on_with_a_scan_counts_for_its_limit() -> None:
    """Garbage is collected where the next pair is made (CPython before 3.12), between two lines of the VM."""
    pairs = {b"%02d" % i: b"v" for i in range(50)}
    threshold = gc.get_threshold()
    gc.disable()
    try:
        for count in range(1, 60):  # one of them is the first to be made beyond the threshold
            back = plain(pairs.get, lambda low, high, reverse: iter(sorted(pairs.items())))
            scan = back.begin().scan(limit=2)
            taken: list[tuple[bytes, bytes]] = []

            class Late:
                def __del__(self, scan: Iterator[tuple[bytes, bytes]] = scan, taken: list[tuple[bytes, bytes]] = taken) -> None:
                    with suppress(RuntimeError):  # in the middle of another use
                        taken.extend(scan)

            late: Any = Late()
            late.itself = late
            del late
            gc.set_threshold(gc.get_count()[0] + count)
            gc.enable()
            taken.extend(scan)
            gc.disable()
            gc.set_threshold(*threshold)
            gc.collect()
            back.end()
            assert len(taken) == 2
    finally:
        gc.set_threshold(*threshold)
        gc.enable()


def test_exact_bytes() -> None:
    class Liar(bytes):
        def __len__(self) -> int:
            return 0

        def __bytes__(self) -> bytes:
            return b"lie"

    given = b"bytes"
    assert exact_bytes(given) is given
    exact = exact_bytes(Liar(b"true"))
    assert type(exact) is bytes and exact == b"true"
    with pytest.raises(TypeError, match="is str, not bytes"):
        exact_bytes("text")  # type: ignore[arg-type]
