"""What a client does with a chain, whichever it is: `ioi-exec dev`, or CometBFT over `ioi-exec serve`."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest

from ioi_exec.kit.envelope import seal
from ioi_exec.node.client import Client, NodeError, NotInABlock, Rejected
from ioi_exec.node.dev_keys import account

SIGNED_VM = '''
from ioi_exec import Revert
from ioi_exec.kit import seal, unseal


class Notes:
    """Signed notes: what a sender wrote last."""

    def decode(self, tx, chain_id):
        return unseal(tx, chain_id)

    def check(self, tx, state, ctx):
        if tx[1] == b"unwanted":
            raise Revert("unwanted", code=6)

    def execute(self, tx, state, ctx):
        sender, text = tx
        if text == b"fail":
            raise Revert("as it was told", code=9)
        state.put(sender, text)
        ctx.emit("note", sender=sender, size=len(text))
        return text.upper()

    def query(self, path, data, state):
        if path != "note":
            raise Revert("there is only note")
        return state.get(data) or b""
'''


def play(url: str) -> None:
    """The chain is of the VM above, and simulates."""
    client, ada = Client(url), account("test", 0)

    def sealed(text: bytes) -> bytes:
        return seal(ada.secret, client.chain_id, text)

    simulated = client.simulate(sealed(b"hello"))
    assert (simulated.ok, simulated.output) == (True, b"HELLO") and client.get(ada.public) is None
    done = client.send(sealed(b"hello"))
    assert done.outcome == simulated and done.height == client.height or done.height < client.height
    assert done.outcome.events == (("note", (("sender", ada.public.hex()), ("size", "5"))),)
    assert client.wait(done.hash) == done and client.get(ada.public) == client.query("note", ada.public) == b"hello"

    failed = client.send(sealed(b"fail"))
    assert (failed.outcome.code, failed.outcome.error, failed.outcome.output) == (9, "as it was told", b"")
    assert client.simulate(sealed(b"fail")).code == 9
    with pytest.raises(Rejected, match="code 6, unwanted"):
        client.submit(sealed(b"unwanted"))
    with pytest.raises(Rejected, match="signature"):
        client.submit(seal(ada.secret, "another chain", b"hello"))
    with pytest.raises(NotInABlock):
        client.wait(sha256(b"never").digest(), 0)
    with pytest.raises(NodeError, match="there is only note"):
        client.query("other")

    client.send(sealed(b"again"))  # so that a header has the app hash after the block above
    proven_to(client, done.height, ada.public, b"hello")
    proven_to(client, done.height, b"absent", None)


def proven_to(client: Client, height: int, key: bytes, value: bytes | None) -> None:
    header: dict[str, Any] = client.call("block", height=str(height + 1))["block"]["header"]
    assert client.prove(key, height, bytes.fromhex(header["app_hash"])) == value
    with pytest.raises(Exception, match="another app hash"):
        client.prove(key, height, bytes(32))
