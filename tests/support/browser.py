"""A real browser without a window, driven over the DevTools protocol through a pair of pipes."""

from __future__ import annotations

import fcntl
import json
import os
import selectors
import shutil
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Iterator

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PATIENCE = 300.0  # seconds, on a machine that is busy
ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-default-apps",
    "--disable-extensions",
    "--mute-audio",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)


def found() -> str | None:
    """A browser that speaks the protocol: the environment's CHROMIUM, or one on the path."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


@dataclass
class Page:
    """A tab, and all that was noticed in it: requests by address, errors and warnings of the console, exceptions,
    dialogs."""

    _browser: Browser
    _session: str
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def command(self, method: str, **parameters: Any) -> dict[str, Any]:
        return self._browser.command(method, parameters, self._session)

    def open(self, address: str, drawn: bool = True) -> None:
        """Returns when the page was loaded, and has drawn, which without scripts cannot be told."""
        loaded = self._browser.loaded
        before = loaded.count(self._session)
        self.command("Page.navigate", url=address)
        self._browser.wait(lambda: loaded.count(self._session) > before)
        if drawn:
            self.drawn()

    def drawn(self) -> None:
        """Waits until what was asked for has been drawn."""
        self.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))")

    def evaluate(self, expression: str) -> Any:
        answer = self.command("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def mouse(self, kind: str, x: float, y: float, **more: Any) -> None:
        self.command("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def heard(self, event: dict[str, Any]) -> None:
        method, about = event["method"], event["params"]
        if method == "Network.requestWillBeSent":
            self.requests.append(about["request"]["url"])
        elif method in ("Runtime.exceptionThrown", "Page.javascriptDialogOpening"):
            self.complaints.append(f"{method}: {about}")
        elif method == "Runtime.consoleAPICalled" and about["type"] in ("error", "warning", "assert"):
            self.complaints.append(f"{method}: {about}")
        elif method == "Log.entryAdded" and about["entry"]["level"] in ("error", "warning"):
            self.complaints.append(f"{method}: {about}")


class Browser:
    def __init__(self, write: int, read: int) -> None:
        self._write, self._read = write, read
        self._buffer = b""
        self._number = 0
        self._answers: dict[int, dict[str, Any]] = {}
        self._pages: dict[str, Page] = {}
        self.loaded: list[str] = []

    def page(self, width: int = 1280, height: int = 900) -> Page:
        target = self.command("Target.createTarget", {"url": "about:blank"})["targetId"]
        session = self.command("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        page = self._pages[session] = Page(self, session)
        for domain in ("Page", "Runtime", "Log", "Network"):
            page.command(f"{domain}.enable")
        page.command(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )
        return page

    def command(self, method: str, parameters: dict[str, Any], session: str | None = None) -> dict[str, Any]:
        self._number += 1
        number = self._number
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if session is not None:
            message["sessionId"] = session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._write, data) :]
        self.wait(lambda: number in self._answers)
        answer = self._answers.pop(number)
        assert "error" not in answer, (method, answer["error"])
        result: dict[str, Any] = answer["result"]
        return result

    def wait(self, until: Callable[[], bool]) -> None:
        """Takes messages until then."""
        end = time.monotonic() + PATIENCE
        with selectors.DefaultSelector() as selector:
            selector.register(self._read, selectors.EVENT_READ)
            while not until():
                assert selector.select(max(end - time.monotonic(), 0)), "the browser does not answer"
                data = os.read(self._read, 1 << 20)
                assert data, "the browser has ended"
                *messages, self._buffer = (self._buffer + data).split(b"\0")
                for message in map(json.loads, messages):
                    self._take(message)

    def _take(self, message: dict[str, Any]) -> None:
        if "id" in message:
            self._answers[message["id"]] = message
            return
        session = message.get("sessionId", "")
        if message["method"] == "Page.loadEventFired":
            self.loaded.append(session)
        if session in self._pages:
            self._pages[session].heard(message)


@contextmanager
def browser(program: str) -> Iterator[Browser]:
    """Its profile is one of its own, and gone afterwards."""
    profile = tempfile.mkdtemp(prefix="ioi-browser-")
    to_browser, commands = os.pipe()
    answers, from_browser = os.pipe()
    # The browser reads descriptor 3 and writes 4. dup2 would fail where these are the pipes' own numbers crosswise: so
    # far away first.
    reading, writing = (fcntl.fcntl(end, fcntl.F_DUPFD, 100) for end in (to_browser, from_browser))
    process = subprocess.Popen(
        [
            "bash",
            "-c",
            f'exec "$@" 3<&{reading} 4>&{writing} {reading}<&- {writing}>&-',
            "bash",
            program,
            *ARGUMENTS,
            f"--user-data-dir={profile}",
            "about:blank",
        ],
        pass_fds=(reading, writing),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(reading)
    os.close(writing)
    os.close(to_browser)
    os.close(from_browser)
    made = Browser(commands, answers)
    try:
        yield made
        made.command("Browser.close", {})
    finally:
        os.close(commands)
        os.close(answers)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        shutil.rmtree(profile, ignore_errors=True)


def address(path: Path) -> str:
    return path.resolve().as_uri()
