"""The page of a node, in a real browser without a window: what it shows, and that nothing a chain says is more than text to it."""

from __future__ import annotations

import json
import random
from hashlib import sha256
from typing import Any, Iterator
from urllib.parse import quote

import pytest
from browser import Browser, Page
from made_recordings import made_block, recordings_of
from page_proofs import Case, cases
from page_vm import transaction

from ioi_exec.node.dev import Dev
from ioi_exec.node.dev_chain import DevChain
from ioi_exec.node.http.api import Api
from ioi_exec.node.http.guard import Guard
from ioi_exec.node.producer import Pace
from ioi_exec.node.recordings import Recordings

pytestmark = pytest.mark.long

HOSTILE = {"name": "<script>window.pwned = 1</script>", "text": "\u202eb\u2066\u0000\u0007\x1b[31m<img src=x onerror='window.pwned = 1'>\ufeff"}
MANY, BLOCK_OF_MANY = 20_000, 1_000_000


class Node:
    """A chain, and its server."""

    def __init__(self) -> None:
        self.recordings = Recordings()
        self.chain = DevChain("page_vm:Shouting", {b"counter": b"0"}, recorder=self.recordings, chain_id=HOSTILE["name"], workers=2, pin=False)
        self.dev = Dev(self.chain, Pace(None), ("127.0.0.1", 0), Guard(), self.recordings)

    @property
    def url(self) -> str:
        return self.dev.url

    def block(self, *txs: bytes) -> int:
        for tx in txs:
            assert self.chain.submit(tx).ok
        return self.chain.mine()


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    made = Node()
    with made.dev:
        yield made


@pytest.fixture
def tab(chromium: Browser, node: Node) -> Tab:
    return Tab(chromium, node.url)


class Tab:
    def __init__(self, chromium: Browser, url: str, width: int = 1280) -> None:
        self.page: Page = chromium.page(width)
        self.url = url
        self._shown = 0

    def show(self, *where: Any) -> str:
        """The view's text, once it is made."""
        self._shown += 1  # another address, so that the page is loaded anew
        self.page.open(f"{self.url}/?{self._shown}#/" + "/".join(quote(str(part), safe="") for part in where))
        return self.text()

    def text(self) -> str:
        self.until("document.querySelector('main h2') && !document.querySelector('main[aria-busy]')")
        self.page.drawn()
        shown: str = self.page.evaluate("document.querySelector('main').innerText")
        return shown

    def until(self, condition: str) -> None:
        """Waits in the browser, as long as a command may take."""
        self.page.evaluate(f"new Promise((done) => {{ const look = () => ({condition}) ? done(1) : setTimeout(look, 20); look(); }})")

    def press(self, text: str) -> None:
        self.page.evaluate(f"[...document.querySelectorAll('main button')].find((it) => it.textContent === {json.dumps(text)}).click()")

    def fill(self, identity: str, text: str) -> None:
        self.page.evaluate(f"document.getElementById({json.dumps(identity)}).value = {json.dumps(text)}; 1")

    def good(self) -> None:
        """Nothing was complained of, and nobody else was asked."""
        assert self.page.complaints == []
        assert all(request.startswith((f"{self.url}/", "about:")) for request in self.page.requests), self.page.requests

    def harmless(self) -> None:
        """Whatever stood in the data: no element but those the page makes, no character that is not seen."""
        self.good()
        assert self.page.evaluate("window.pwned === undefined && document.querySelectorAll('main :is(script, img, b, iframe, style)').length === 0")
        text = self.page.evaluate("document.body.textContent")
        assert not set(text) & set("\u202e\u2066\0\x07\x1b\ufeff")


def test_blocks_as_they_come(node: Node, tab: Tab) -> None:
    first = node.block(transaction(add="counter", n=1))
    assert f"{first}\n" in tab.show()
    tab.until("document.getElementById('live').textContent.startsWith('height')")
    second = node.block(transaction(add="counter", n=2))
    tab.until(f"document.querySelector('.rows .row')?.textContent.startsWith('{second}')")
    tab.page.evaluate("document.querySelector('.rows a').click()")
    tab.until(f"document.querySelector('main h2')?.textContent === 'Block {second}'")
    tab.good()
    assert {request.removeprefix(tab.url).partition("?")[0] for request in tab.page.requests} >= {"/", "/page/page.js", "/v1/status", "/v1/blocks"}


def test_a_node_that_is_away_for_a_while(node: Node, tab: Tab) -> None:
    height = node.block()
    tab.show()
    offline = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    tab.page.command("Network.emulateNetworkConditions", offline=True, **offline)
    tab.until("document.getElementById('live').textContent === 'the node does not answer'")
    tab.page.command("Network.emulateNetworkConditions", offline=False, **offline)
    tab.until(f"document.getElementById('live').textContent === 'height {height}'")


def test_going_back(node: Node, tab: Tab) -> None:
    node.block()
    before = node.chain.snapshot()
    height = node.block()
    assert tab.show().count("UTC") == height
    tab.until("document.getElementById('live').textContent.startsWith('height')")
    node.chain.revert(before)
    tab.until(f"document.querySelector('.rows .row')?.textContent.startsWith('{height - 1}')")
    tab.good()


def test_a_transaction(node: Node, tab: Tab) -> None:
    tx = transaction(add="counter", n=3)
    height = node.block(tx)
    text = tab.show("in", height, 0)
    assert f"Transaction 0 of block {height}" in text and sha256(tx).hexdigest() in text
    assert "Reads (1)" in text and "Writes (1)" in text and '"counter"' in text and "the state before the block" in text
    tab.page.evaluate("[...document.querySelectorAll('main a')].find((it) => it.textContent === '\"counter\"').click()")
    tab.until("document.querySelector('main h2')?.textContent === 'Key \"counter\"'")
    assert '"0"' in tab.text() and "genesis" in tab.text()
    tab.good()


def test_the_history_of_a_key_goes_on_further_back(node: Node, tab: Tab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ioi_exec.node.history.CHANGES_MOST", 2)
    heights = [node.block(transaction(add="rises", n=n)) for n in range(5)]
    tab.show("key", b"rises".hex())
    changes = "[...document.querySelectorAll('main tbody tr')].map((it) => it.firstChild.textContent)"
    for many in (2, 4, 5):
        tab.until(f"{changes}.length === {many}")
        assert tab.page.evaluate(changes) == [str(height) for height in heights[::-1][:many]]
        tab.press("further back")
    tab.good()


def test_what_is_wrong_with_the_node_is_told(node: Node, tab: Tab, monkeypatch: pytest.MonkeyPatch) -> None:
    described = Api._described
    for name in ("stopped", "not_reloaded"):
        monkeypatch.setattr(Api, "_described", lambda self: {**described(self), name: f"{name} for a reason"})
        tab.show()
        tab.until(f"document.getElementById('live').textContent.endsWith('{name} for a reason')")
    tab.good()


def test_what_a_chain_says_is_text(node: Node, tab: Tab) -> None:
    name, text = HOSTILE["name"], HOSTILE["text"]
    key = text.encode()
    height = node.block(
        transaction(emit=name, attributes={"a": text, "b": name}, output=name + text), transaction(fail=name + text),
        transaction(put=key.hex(), value=name.encode().hex()),
    )
    shown = tab.show("in", height, 0)
    assert name in shown and "\\u{202e}b\\u{2066}\\u{0}\\u{7}\\u{1b}[31m<img" in shown
    tab.harmless()
    tab.until("document.getElementById('live').textContent.startsWith('height')")
    assert name in tab.page.evaluate("document.getElementById('chain').textContent")
    assert name in tab.show("in", height, 1) and "failed" in tab.text()
    tab.harmless()
    assert name in tab.show("key", key.hex())
    tab.harmless()
    for address in (("key", name), ("tx", name), ("block", name), (name,), ("%",), ("check", "{}"), ("check", name), ("constructor",), ("key", "0")):
        assert "This cannot be shown" in tab.show(*address)
        assert tab.page.evaluate("window.pwned === undefined && document.querySelectorAll('main :is(script, img, b)').length === 0")


def test_a_large_value_is_cut(node: Node, tab: Tab) -> None:
    height = node.block(transaction(large=1 << 20))
    text = tab.show("key", b"large".hex())
    assert len(text) < 5000 and "more bytes" in text
    tab.press(tab.page.evaluate("document.querySelector('button.more').textContent"))
    assert 5000 < len(tab.text()) < 100_000
    assert len(tab.show("proof", b"large".hex(), height)) < 5000
    tab.fill("second", "http://127.0.0.1:1")
    tab.press("Make the link")
    tab.until("document.getElementById('verdict').textContent.includes('too long for a link')")
    height = node.block(transaction(emit="word", attributes={"text": "\u202e<b>"}, output="<i>", times=100_000))
    text = tab.show("in", height, 0)
    assert len(text) < 5000 and text.count("more") == 2 and "\\u{202e}<b>" in text
    tab.harmless()


def test_a_block_of_thousands(node: Node, tab: Tab) -> None:
    height = node.block(*(transaction(add=f"k{n}", n=n) for n in range(1200)))
    assert "1\u202f200" in tab.show("block", height) and tab.page.evaluate("document.querySelectorAll('main *').length") < 1000
    tab.page.evaluate("(() => { const it = document.querySelector('.scroll'); it.scrollTop = it.scrollHeight; })()")
    tab.until("document.querySelector('.rows').lastChild.textContent.startsWith('1199')")
    tab.page.evaluate("document.querySelector('.rows').lastChild.querySelector('a').click()")
    tab.until(f"document.querySelector('main h2')?.textContent === 'Transaction 1199 of block {height}'")
    tab.good()


def test_what_a_browser_refuses(tab: Tab) -> None:
    """The policy is in force: no HTML of text, no script within the page, nobody else is asked."""
    tab.show()
    assert "TrustedHTML" in tab.page.evaluate("(() => { try { document.body.innerHTML = '<b>x</b>'; return ''; } catch (error) { return error.message; } })()")
    assert tab.page.evaluate("fetch('http://localhost:1/').then(() => 'asked', () => 'refused')") == "refused"
    inline = "(() => { try { document.body.setAttribute('onclick', '1'); return ''; } catch (error) { return error.message; } })()"
    assert "TrustedScript" in tab.page.evaluate(inline)
    assert any("Content Security Policy" in complaint for complaint in tab.page.complaints)


def test_lanes_of_a_block(node: Node, tab: Tab) -> None:
    height = node.block(*(transaction(add=f"c{n % 3}", work=200, n=n) for n in range(40)))
    text = tab.show("lanes", "latest")
    assert f"Lanes of block {height}" in text and "parallel" in text
    assert int(tab.page.evaluate("document.querySelector('canvas').dataset.pieces")) >= 40
    tab.page.evaluate("document.querySelector('canvas').focus()")
    tab.page.command("Input.dispatchKeyEvent", type="keyDown", key="n", text="n")
    assert "incarnation" in tab.text()
    node.block()
    tab.until(f"[...document.querySelectorAll('main button')].some((it) => it.textContent === 'Show block {height + 1}')")
    tab.press(f"Show block {height + 1}")
    tab.until(f"document.querySelector('main h2').textContent === 'Lanes of block {height + 1}'")
    tab.good()


@pytest.fixture(scope="module")
def made() -> Iterator[Node]:
    """One whose recordings are made up: a block with aborts, whatever the machine does, and one of very many transactions."""
    it = Node()
    recordings_of(it.recordings, {7: made_block(40, aborts=[(3, 1), (5, 2)]), BLOCK_OF_MANY: made_block(MANY, aborts=[(n, n - 1) for n in range(9, MANY, 10)])})
    with it.dev:
        yield it


def test_aborts(chromium: Browser, made: Node) -> None:
    tab = Tab(chromium, made.url)
    text = tab.show("lanes", 7)
    assert "Aborts (2)" in text and "transaction 3 #0" in text and "transaction 1 #0" in text and '"k1"' in text
    canvas = "document.querySelector('canvas')"
    assert tab.page.evaluate(f"[{canvas}.dataset.aborts, {canvas}.dataset.arrows, {canvas}.dataset.pieces]") == ["2", "2", "42"]
    whole = tab.page.evaluate(f"{canvas}.dataset.view")
    tab.press("transaction 3 #0")
    tab.until(f"{canvas}.dataset.view !== '{whole}'")
    text = tab.text()
    assert "executed, and aborted later" in text and "transaction 1 (incarnation 0) wrote" in text
    tab.press("all")
    tab.until(f"{canvas}.dataset.view === '{whole}'")
    tab.page.evaluate(f"{canvas}.focus()")
    for key, changes in (("+", True), ("Home", False), ("ArrowRight", False), ("+", True), ("ArrowLeft", True)):
        tab.page.command("Input.dispatchKeyEvent", type="keyDown", key=key)
        tab.page.drawn()
        assert (tab.page.evaluate(f"{canvas}.dataset.view") != whole) == changes, key
    tab.page.command("Input.dispatchKeyEvent", type="keyDown", key="Home")
    tab.page.drawn()
    # A click: the first execution of transaction 0 is at the left end of the first lane.
    x, y = tab.page.evaluate(f"(() => {{ {canvas}.scrollIntoView(); const box = {canvas}.getBoundingClientRect(); return [box.x + 50, box.y + 26 + 17]; }})()")
    for kind in ("mousePressed", "mouseReleased"):
        tab.page.mouse(kind, x, y, button="left", clickCount=1)
    tab.until("document.getElementById('chosen').querySelector('a')?.textContent === '0'")
    tab.good()


def test_a_transaction_whose_block_was_not_recorded(chromium: Browser, made: Node) -> None:
    tx = transaction(add="counter", n=1)
    made.block(tx)
    tab = Tab(chromium, made.url)
    text = tab.show("tx", sha256(tx).hexdigest())
    assert "Transaction 0 of block" in text and "among those whose execution was recorded" in text


def test_very_many_transactions(chromium: Browser, made: Node) -> None:
    tab = Tab(chromium, made.url)
    text = tab.show("lanes", BLOCK_OF_MANY)
    assert "2\u202f000" in text and tab.page.evaluate("document.querySelectorAll('main *').length") < 1000
    assert int(tab.page.evaluate("document.querySelector('canvas').dataset.pieces")) > MANY
    tab.page.evaluate("(() => { const it = document.querySelector('.scroll'); it.scrollTop = it.scrollHeight; })()")
    tab.until(f"document.querySelector('.rows').textContent.includes('transaction {MANY - 1} #0')")
    tab.good()


@pytest.mark.parametrize("key", [b"counter", b"nothing"])
def test_a_proof(node: Node, tab: Tab, key: bytes) -> None:
    height = node.block(transaction(add="counter", n=key.hex()))
    right = node.chain.block(height).app_hash.hex()
    tab.show("proof", key.hex(), height)

    def verdict(app_hash: str) -> str:
        tab.fill("root", app_hash)
        tab.page.evaluate("document.getElementById('verdict').replaceChildren()")
        tab.press("Check")
        tab.until("document.getElementById('verdict').textContent !== ''")
        said: str = tab.page.evaluate("document.getElementById('verdict').innerText")
        return said

    assert verdict(right).startswith("Proven.") and verdict("0x" + right.upper()).startswith("Proven.")
    assert verdict("00" * 32).startswith("Not proven: the proof is of another app hash")
    assert "give an app hash" in verdict("12")
    claim = json.loads(tab.page.evaluate("document.getElementById('claim').value"))
    for changed, why in (
        ({**claim, "value": "31"}, "Not proven"), ({**claim, "value": None if claim["value"] else "31"}, "Not proven"),
        ({**claim, "key": "aa"}, "Not proven"), ({**claim, "tree": "iavl"}, "another tree"), ({**claim, "tree": "__proto__"}, "another tree"),
        ({**claim, "proof": {"ops": claim["proof"]["ops"][:1]}}, "Not proven"), ({**claim, "proof": None}, "this is no proof"),
        ({**claim, "key": "xyz"}, "not hex"), ([], "this is no proof"), (None, "this is no proof"),
    ):
        tab.fill("claim", json.dumps(changed))
        assert why in verdict(right), changed
    tab.fill("claim", "<script>")
    assert "no JSON" in verdict(right)
    tab.harmless()


def test_a_proof_is_checked_at_a_second_node(chromium: Browser, node: Node, tab: Tab) -> None:
    height = node.block(transaction(add="counter", n="second"))
    tab.show("proof", b"counter".hex(), height)
    tab.fill("second", "javascript:alert(1)")
    tab.press("Make the link")
    tab.until("document.getElementById('verdict').textContent.includes('http://')")
    second = node.url.replace("127.0.0.1", "localhost")  # another origin, with the same chain
    tab.fill("second", second)
    tab.press("Make the link")
    tab.until("document.querySelector('main a[target]')")
    link = tab.page.evaluate("document.querySelector('main a[target]').href")
    tab.good()
    there = Tab(chromium, second)
    there.page.open(link)
    assert "Proven." in there.text() and "as this node has it (localhost" in there.text()
    there.good()
    with Node().dev as other:  # a chain that never had this
        elsewhere = Tab(chromium, other.url)
        elsewhere.page.open(link.replace(second, other.url))
        assert "has no block of height" in elsewhere.text()


def test_the_browser_judges_proofs_as_python_does(tab: Tab) -> None:
    tab.show()
    for tree in ("jellyfish", "iavl"):
        judged = list(cases(tree, random.Random(1)))
        assert judged_by(tab.page, judged) == [case.holds() for case in judged]


def judged_by(page: Page, judged: list[Case]) -> list[bool]:
    found: list[bool] = page.evaluate(
        """(async (cases) => {
          const [{ fromHex }, { InvalidProof, verifyKey }] = await Promise.all([import("/page/bytes.js"), import("/page/proofs.js")]);
          const judged = [];
          for (const { hash, tree, key, value, ops } of cases) {
            const steps = ops.map(({ type, key, data }) => ({ type, key: fromHex(key), data: fromHex(data) }));
            judged.push(await verifyKey(fromHex(hash), tree, fromHex(key), fromHex(value), steps).then(() => true, (error) => {
              if (!(error instanceof InvalidProof)) throw error;
              return false;
            }));
          }
          return judged;
        })"""
        + f"({json.dumps([case.to_json() for case in judged])})"
    )
    return found


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_it_can_be_read(chromium: Browser, node: Node, scheme: str, width: int) -> None:
    """In either scheme, on a small screen, with a keyboard and by a screen reader, as far as rules can tell."""
    height = node.block(transaction(add="counter", n=f"{scheme} {width}"))
    tab = Tab(chromium, node.url, width)
    tab.page.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    for where in ((), ("block", height), ("in", height, 0), ("lanes", height), ("key", b"counter".hex()), ("proof", b"counter".hex(), height)):
        tab.show(*where)
        assert tab.page.evaluate("document.documentElement.scrollWidth") <= width, where
        assert tab.page.evaluate("document.querySelectorAll('h1').length === 1 && document.querySelectorAll('main h2').length === 1")
        unnamed = tab.page.evaluate(
            "[...document.querySelectorAll('input, select, textarea')].filter((it) => !it.labels.length && !it.getAttribute('aria-label')).length"
            " + [...document.querySelectorAll('a, button')].filter((it) => !it.textContent.trim()).length"
            " + [...document.querySelectorAll('canvas')].filter((it) => !it.getAttribute('aria-label')).length"
        )
        assert unnamed == 0, where
        assert min(tab.page.evaluate(_CONTRASTS)) >= 4.5, where
    tab.page.evaluate("location.hash = '#/key'")
    tab.until("document.activeElement?.id === 'main'")
    tab.good()


# Of every text with what is behind it (WCAG 2, 1.4.3).
_CONTRASTS = """(() => {
  const light = (colour) => {
    const [r, g, b] = colour.match(/[\\d.]+/g).map((it) => it / 255).map((it) => (it <= 0.04045 ? it / 12.92 : ((it + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const paper = light(getComputedStyle(document.body).backgroundColor);
  return [...document.querySelectorAll('body *')]
    .filter((it) => [...it.childNodes].some((node) => node.nodeType === 3 && node.data.trim()) && it.checkVisibility())
    .map((it) => light(getComputedStyle(it).color))
    .map((ink) => (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05));
})()"""
