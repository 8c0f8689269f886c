"""ioi-exec keys, and ioi-exec tx send, simulate and wait, against a chain on a desk."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest
from client_plays import SIGNED_VM

from ioi_exec.node.dev import Dev
from ioi_exec.node.dev_chain import DevChain
from ioi_exec.node.dev_keys import account
from ioi_exec.node.http.guard import Guard
from ioi_exec.node.producer import Pace

Cli = Callable[..., Any]


class Words:
    """Any text is a transaction; "fail" fails."""

    def execute(self, tx: bytes, state: Any, ctx: Any) -> bytes:
        if tx == b"fail":
            raise ValueError("it was told to")
        state.put(tx, b"1")
        ctx.emit("word", size=len(tx))
        return tx


def started(vm: Any, **options: Any) -> Dev:
    return Dev(DevChain(vm, workers=0, **options), Pace(), ("127.0.0.1", 0), Guard())


@pytest.fixture
def words() -> Iterator[str]:
    with started(Words) as dev:
        yield dev.url


def test_text_is_sent_simulated_and_waited_for(cli: Cli, words: str) -> None:
    at = ("--node", words, "--json")
    simulated = cli("tx", "simulate", "hello", *at).object
    sent = cli("tx", "send", "hello", *at).object
    assert simulated == {name: value for name, value in sent.items() if name not in ("hash", "height", "index")}
    assert (sent["height"], sent["ok"], sent["output"], sent["events"]) == (1, True, b"hello".hex(), [{"name": "word", "attributes": {"size": "5"}}])
    assert cli("tx", "wait", sent["hash"], *at).object == sent
    assert cli("tx", "wait", "00" * 32, "--seconds", "0", *at, status=1).error["kind"] == "NotInABlock"
    assert cli("tx", "send", "fail", *at, status=1).object["error"].startswith("ValueError")
    assert cli("tx", "simulate", "--hex", b"fail".hex(), *at, status=1).object["code"] == 2
    assert cli("tx", "send", "-", *at, stdin="from a pipe").object["output"] == b"from a pipe".hex()
    hash = cli("tx", "send", "later", "--no-wait", *at).object["hash"]
    assert cli("tx", "wait", hash, *at).object["ok"]
    assert re.search(r"^event +word size=5$", cli("tx", "wait", sent["hash"], "--node", words).out, re.MULTILINE)


def test_signed(cli: Cli, tmp_path: Path) -> None:
    found: dict[str, Any] = {}
    exec(SIGNED_VM, found)
    public = cli("keys", "new", "ada.key", "--json").object["public_key"]
    assert cli("keys", "show", "ada.key", "--json").object == {"public_key": public}
    assert len(cli("keys", "show", "ada.key", "--secret", "--json").object["secret"]) == 64
    with started(found["Notes"], chain_id="signed") as dev:
        assert cli("tx", "send", "hi", "--key", "ada.key", "--node", dev.url, "--json").object["output"] == b"HI".hex()
        refused = cli("tx", "send", "hi", "--node", dev.url, "--json", status=1).error
        assert refused["kind"] == "Rejected" and "malformed" in refused["error"]


@pytest.mark.parametrize("signed", [False, True])
def test_payments(cli: Cli, signed: bool) -> None:
    assert cli("keys", "new", "first.key", "--seed", "test", "--account", "0", "--json").object["public_key"] == account("test", 0).public.hex()
    to, more = account("test", 1).public.hex(), ("--signed",) if signed else ()
    with started("payments", vm_args={"signed": True} if signed else None) as dev:
        for _ in range(2):  # the nonce is asked for
            paid = cli("tx", "send", "--pay", to, "--amount", 5, "--fee", 1, "--key", "first.key", *more, "--node", dev.url, "--json").object
            assert paid["ok"]
        failed = cli("tx", "send", "--pay", to, "--amount", 5, "--nonce", 7, "--key", "first.key", *more, "--node", dev.url, "--json", status=1)
        assert failed.object["error"] == "nonce"


def test_help_examples(cli: Cli, words: str) -> None:
    """Word for word but for where the node is; one that pays is for a chain of payments."""
    hash = ""
    for command in ("simulate", "send", "wait"):
        text = cli("tx", command, "--help").out
        shown = [shlex.split(line) for line in text.partition("\nexample:\n")[2].splitlines()]
        assert shown and all(given[:3] == ["ioi-exec", "tx", command] for given in shown)
        for given in shown:
            if "--pay" not in given:
                done = cli(*(hash if word == "$TX" else word for word in given[1:]), "--node", words, "--json").object
                hash = done.get("hash", hash)


@pytest.mark.parametrize(
    "arguments",
    [
        ("send",), ("send", "a", "--hex", "00"), ("send", "a", "--amount", "1"), ("send", "--pay", "00" * 32, "--amount", "1"), ("send", "a", "--key", "none"),
        ("send", "a", "--node", "nowhere"), ("wait", "00"), ("wait", "zz"), ("send", "--hex", "0"),
    ],
)
def test_wrong_use(cli: Cli, arguments: tuple[str, ...]) -> None:
    assert cli("tx", *arguments, "--json", status=2).error["error"]


def test_nobody_listens(cli: Cli) -> None:
    assert cli("tx", "send", "a", "--node", "http://127.0.0.1:1", "--json", status=1).error["kind"] == "NodeError"
