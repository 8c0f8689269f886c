"""Checking a state in a process of its own: a damaged file can crash whoever reads it (LMDB maps it).

The process writes JSON lines on its standard output: {"finding": [table, row hex, reason]}, {"progress": [what, done,
of]}, and in the end {"summary": {...}} or {"error": [class, message]}. One that dies without an end has met damage.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, NamedTuple, Optional

from .. import errors
from ..disk import directory
from ..disk.environment import (
    data_file,
    open_environment,
    open_tables,
    translated,
)
from ..disk.place import by_descriptor, held
from ..disk.truncation import refuse_if_truncated
from ..errors import StateCorrupt, StorageError
from .examine import Finding, examine

FINDINGS = 100
"""How many are reported; more are only counted."""

# Before anything is imported: of the path, not of the working directory, which python -c puts first.
_BOOT = (
    "import sys; sys.path[:] = filter(None, sys.path); import json; sys.path[:] = json.loads(sys.argv[1]); "
    "from ioi_storage.checking.process import main; main(*sys.argv[2:])"
)
_PAUSE = 0.1  # seconds between two reports of progress


class Checked(NamedTuple):
    """summary: numbers about the state, and how many `findings` there are, which may be more than are here."""

    findings: list[Finding]
    summary: dict[str, Any]


def check(
    path: str | os.PathLike[str],
    *,
    deep: bool = False,
    on_finding: Optional[Callable[[Finding], None]] = None,
    on_progress: Optional[Callable[[str, int, int], None]] = None,
) -> Checked:
    """Find all that is wrong with the state at `path`; no findings: it is whole. Works beside a live engine.

    deep: not the newest version alone but every kept one, and that every row is accounted for. on_finding(finding) as
    they come; on_progress(what, done, of). Raises StateMissing, and what keeps a state from being judged: UnknownTree,
    FormatMismatch, RollbackUnfinished, StorageIOError."""
    final = os.path.realpath(path)
    directory.refuse_if_missing(final)
    with translated(f"opening the state at {final}"):
        directory.refuse_if_linked(final, final, read_only=True)
    with ExitStack() as until_started:
        with translated(f"opening the state at {final}"):
            fd = until_started.enter_context(held(final))
        command = [sys.executable, "-c", _BOOT, json.dumps(sys.path), final, str(fd), "deep" if deep else "newest"]
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, pass_fds=[fd]
        )
    findings: list[Finding] = []
    summary: Optional[dict[str, Any]] = None
    at = "opening it"

    def found(finding: Finding) -> None:
        findings.append(finding)
        if on_finding is not None:
            on_finding(finding)

    assert child.stdout is not None and child.stderr is not None
    try:
        for line in child.stdout:
            if not line.endswith(b"\n"):
                break  # it died while it wrote
            (kind, value), *_ = json.loads(line).items()
            if kind == "finding":
                table, row, reason = value
                found(Finding(table, None if row is None else bytes.fromhex(row), reason))
            elif kind == "progress":
                at = value[0]
                if on_progress is not None:
                    on_progress(*value)
            elif kind == "error":
                raise _error(*value)
            else:
                summary = value
        _, said = child.communicate()
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
        child.stderr.close()
    if summary is None:
        if child.returncode >= 0:
            raise StorageError(f"the process that checks failed while it looked at: {at}\n{said.decode(errors='replace')}")
        end = signal.Signals(-child.returncode).name
        found(Finding(None, None, f"reading it crashed the process that checks ({end}) while it looked at: {at}"))
        summary = {"deep": deep, "findings": len(findings)}
    return Checked(findings, summary)


def _error(name: str, message: str) -> StorageError:
    return errors.named(name)(message)


# ---- in the process ----


def main(path: str, held: str, depth: str) -> None:
    here = by_descriptor(int(held))  # one directory for all that is opened of it
    parent, last, what, count = os.getppid(), 0.0, "", 0

    def say(kind: str, value: Any) -> None:
        sys.stdout.write(json.dumps({kind: value}) + "\n")
        sys.stdout.flush()

    def report(finding: Finding) -> None:
        nonlocal count
        count += 1
        if count <= FINDINGS:
            say("finding", (finding.table, None if finding.row is None else finding.row.hex(), finding.reason))

    def progress(now: str, done: int, of: int) -> None:
        nonlocal last, what
        if now != what or time.monotonic() > last + _PAUSE:
            last, what = time.monotonic(), now
            if os.getppid() != parent:
                raise SystemExit(1)
            say("progress", (now, done, of))

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's
    try:
        try:
            refuse_if_truncated(data_file(here), shown=data_file(path))
            env, _ = open_environment(here, read_only=True, shown=path)
            summary = examine(env, open_tables(env, create=False), depth == "deep", report, progress)
        except StateCorrupt as error:
            report(Finding(error.table, error.row, error.why))
            summary = {"deep": depth == "deep", "findings": count}
        say("summary", summary)
    except StorageError as error:
        say("error", (type(error).__name__, str(error)))
