"""The page: its files, and what only it asks. Everything in it comes from this server, and nothing in it is made of HTML that somebody sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aiohttp import web

from ioi_exec.errors import InputError, VersionMissing
from ioi_exec.files.strict_json import Malformed, hex_bytes
from ioi_exec.machine import ExecutionMachine
from ioi_exec.node.history import history
from ioi_exec.node.http.server import json_answer, on_engine
from ioi_exec.node.recordings import Recording, Recordings

_FOLDER = Path(__file__).parent.parent / "page"
_KINDS = {".css": "text/css", ".html": "text/html", ".js": "text/javascript", ".svg": "image/svg+xml"}

# A script of another place, one within the page, and one that makes HTML of text are each refused by the browser.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
_NOTHING = "default-src 'none'; frame-ancestors 'none'"  # of what is no page
_ALWAYS = {
    "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Page:
    def __init__(self, machine: ExecutionMachine, recordings: Recordings) -> None:
        """recordings: of the machine's blocks."""
        self._machine = machine
        self._recordings = recordings
        self._files = {path.name: (path.read_bytes(), _KINDS[path.suffix]) for path in _FOLDER.iterdir() if path.suffix in _KINDS}

    def register(self, app: web.Application) -> None:
        router = app.router
        router.add_get("/", self._index)
        router.add_get("/page/{name}", self._file)
        router.add_get("/v1/lanes/{height}", self._lanes)
        router.add_get("/v1/accesses/{height}/{index}", self._accesses)
        router.add_get("/v1/history/{key}", self._history)
        app.on_response_prepare.append(_made_safe)

    async def _index(self, request: web.Request) -> web.Response:
        return self._sent("index.html")

    async def _file(self, request: web.Request) -> web.Response:
        return self._sent(request.match_info["name"])

    def _sent(self, name: str) -> web.Response:
        if name not in self._files:
            raise VersionMissing("the page has no such file")
        body, kind = self._files[name]
        headers = {"Content-Security-Policy": _POLICY, "Cache-Control": "no-cache"}
        return web.Response(body=body, content_type=kind, charset="utf-8", headers=headers)

    async def _lanes(self, request: web.Request) -> web.Response:
        recording = self._recording(request)
        return json_answer(await on_engine(request, recording.lanes))

    async def _accesses(self, request: web.Request) -> web.Response:
        recording, index = self._recording(request), _number("the index", request.match_info["index"])
        found = await on_engine(request, recording.accesses, index)
        if found is None:
            raise VersionMissing(f"the block of height {recording.height} has {recording.transactions} transactions, and none of the index {index}")
        return json_answer(found)

    async def _history(self, request: web.Request) -> web.Response:
        try:
            key = hex_bytes(request.match_info["key"], "the key")
        except Malformed as error:
            raise InputError(str(error)) from None
        at = request.query.get("from")
        return json_answer(await on_engine(request, self._changes, key, None if at is None else _number("from", at)))

    def _changes(self, key: bytes, at: int | None) -> dict[str, Any]:
        found = history(self._machine, key, at)
        changes = [
            {"height": change.height, "value": None if change.value is None else change.value.hex(), "writers": self._writers(change.height, key)}
            for change in found.changes
        ]
        return {"key": key.hex(), "changes": changes, "next": found.next, "oldest": found.oldest}

    def _writers(self, height: int, key: bytes) -> list[int] | None:
        recording = self._recordings.at(height)
        return None if recording is None else recording.writers(key)

    def _recording(self, request: web.Request) -> Recording:
        text = request.match_info["height"]
        found = self._recordings.newest() if text == "latest" else self._recordings.at(_number("the height", text))
        if found is None:
            which = "no block" if text == "latest" else f"the block of height {text} is not"
            raise VersionMissing(f"{which} among those whose execution was recorded: there are as many as --recordings says, since the start")
        return found


def _number(what: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise InputError(f"{what} is {text[:40]!r}: give a whole number")
    return int(text)


async def _made_safe(request: web.Request, answer: web.StreamResponse) -> None:
    """Whatever the server answers, errors among it."""
    answer.headers.setdefault("Content-Security-Policy", _NOTHING)
    answer.headers.update(_ALWAYS)
