"""What waits for a block, across commits."""

from __future__ import annotations

import threading
from pathlib import Path
from time import sleep
from typing import Any

import pytest
from abci_client import block
from node_chains import Chain, Make

from ioi_exec import Revert
from ioi_exec.node.messages import QueryRequest


class Once:
    """What begins with "even" may wait for an even height only."""

    asked: list[bytes] = []

    def check(self, tx: bytes, state: Any, ctx: Any) -> None:
        self.asked.append(tx)
        if tx.startswith(b"even") and ctx.height % 2:
            raise Revert("not now", code=5)

    def execute(self, tx: bytes, state: Any, ctx: Any) -> None: ...


@pytest.fixture
def once(make: Make) -> Chain:
    Once.asked.clear()
    return make(vm=Once, genesis={}).begin()


def test_it_is_known_what_waits_whether_the_node_asks_again_or_not(once: Chain) -> None:
    check, asked = once.application.check_tx, Once.asked
    assert check(b"a").ok and check(b"b").ok and check(b"c").ok
    once.decide(b"b")
    asked.clear()
    assert check(b"d").ok
    assert asked == [b"a", b"c", b"d"]  # those that wait, before it


def test_the_node_hears_what_checking_again_came_to(once: Chain) -> None:
    check, asked = once.application.check_tx, Once.asked
    once.decide()
    assert check(b"even").ok and check(b"a").ok
    once.decide()
    asked.clear()
    assert [check(tx, again=True).code for tx in (b"a", b"even", b"a")] == [0, 5, 0]
    assert asked == [b"even", b"a", b"even"]
    once.decide()
    assert check(b"even").ok  # what was refused may be sent anew


def test_what_the_node_no_longer_has_does_not_wait(once: Chain) -> None:
    check, asked = once.application.check_tx, Once.asked
    assert check(b"a").ok and check(b"b").ok
    once.decide()
    assert check(b"b", again=True).ok and check(b"c").ok  # not a
    once.decide()
    asked.clear()
    assert check(b"d").ok and asked == [b"b", b"c", b"d"]


def test_what_is_not_known_is_checked(once: Chain) -> None:
    """As after a restart of the application alone."""
    assert once.application.check_tx(b"a", again=True).ok
    assert once.application.check_tx(b"a").ok and Once.asked == [b"a"]


class Waits:
    """A transaction takes until there is a file."""

    def __init__(self, file: str) -> None:
        self.file = file

    def check(self, tx: bytes, state: Any, ctx: Any) -> None: ...

    def query(self, path: str, data: bytes, state: Any) -> bytes:
        return b"answer"

    def execute(self, tx: bytes, state: Any, ctx: Any) -> None:
        Path(f"{self.file}.begun").touch()
        while not Path(self.file).exists():
            sleep(0.01)
        state.put(b"a", tx)


def test_nothing_that_reads_or_checks_waits_for_a_block(make: Make, tmp_path: Path) -> None:
    file = tmp_path / "file"
    chain = make(tmp_path / "state", vm=Waits, vm_args=[str(file)], workers=1).begin()
    application, begun = chain.application, Path(f"{file}.begun")
    executing = threading.Thread(target=application.finalize_block, args=(block(1, b"x"),))
    executing.start()
    patience = threading.Timer(120, file.touch)  # whoever waits for the block fails then, and does not hang
    patience.start()
    while not begun.exists():
        sleep(0.01)
    assert application.check_tx(b"b").ok
    assert application.query(QueryRequest(b"a", "/store/state/key")).value == b"0"
    assert application.query(QueryRequest(b"a", "any")).value == b"answer"
    assert application.info().last_block_height == 0
    assert executing.is_alive()
    patience.cancel()
    file.touch()
    executing.join()
    application.commit()
    assert application.query(QueryRequest(b"a", "/store/state/key")).value == b"x"
