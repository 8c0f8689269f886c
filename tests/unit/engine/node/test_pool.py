"""What waits for a block, across commits."""

from __future__ import annotations

from typing import Any

import pytest
from node_chains import Chain, Make

from ioi_exec import Revert
from ioi_exec.node import pool as pool_module


class Once:
    """Lets every transaction wait once; what begins with "even" only at even heights."""

    asked: list[bytes] = []

    def check(self, tx: bytes, state: Any, ctx: Any) -> None:
        self.asked.append(tx)
        if state.get(tx) is not None:
            raise Revert("it waits already", code=8)
        if tx.startswith(b"even") and ctx.height % 2:
            raise Revert("not now", code=5)
        state.put(tx, b"1")

    def execute(self, tx: bytes, state: Any, ctx: Any) -> None: ...


@pytest.fixture
def once(make: Make) -> Chain:
    Once.asked.clear()
    return make(vm=Once, genesis={}).begin()


def test_it_is_known_what_waits_whether_the_node_asks_again_or_not(once: Chain) -> None:
    check = once.application.check_tx
    assert check(b"a").ok and check(b"b").ok and check(b"c").ok
    once.decide(b"b")
    assert [check(tx).code for tx in (b"a", b"b", b"c")] == [8, 0, 8]
    once.decide(b"a", b"b")
    assert [check(tx).code for tx in (b"a", b"b", b"c")] == [0, 0, 8]


def test_the_node_hears_what_checking_again_came_to(once: Chain) -> None:
    check = once.application.check_tx
    once.decide()
    assert check(b"even").ok and check(b"a").ok
    once.decide()
    Once.asked.clear()
    assert [check(tx, again=True).code for tx in (b"even", b"a")] == [5, 0]
    assert Once.asked == [b"even", b"a"]  # once each
    assert check(b"a", again=True).ok  # asked twice it says the same
    once.decide()
    assert check(b"even").ok  # what was refused does not wait any more


def test_what_the_node_no_longer_has_does_not_wait(once: Chain) -> None:
    check = once.application.check_tx
    assert check(b"a").ok and check(b"b").ok
    once.decide()
    assert check(b"b", again=True).ok and check(b"c").ok  # not a
    once.decide()
    assert [check(tx).code for tx in (b"a", b"b", b"c")] == [0, 8, 8]


def test_what_is_not_known_is_checked(once: Chain) -> None:
    """As after a restart of the application alone."""
    assert once.application.check_tx(b"a", again=True).ok
    assert once.application.check_tx(b"a").code == 8


@pytest.mark.parametrize("limit, most", [("WAITING_MOST", 3), ("WAITING_BYTES", 6)])
def test_it_has_a_bound(once: Chain, monkeypatch: pytest.MonkeyPatch, limit: str, most: int) -> None:
    monkeypatch.setattr(pool_module, limit, most)
    for number in range(9):
        assert once.application.check_tx(b"%02d" % number).ok
    pool = once.application._pool
    assert list(pool._waiting.values()) == [b"06", b"07", b"08"] and pool._bytes == 6
