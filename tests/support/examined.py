"""A check of a state in the calling process."""

from __future__ import annotations

from pathlib import Path

from ioi_storage import Finding
from ioi_storage.checking.examine import examine
from ioi_storage.disk.environment import open_environment, open_tables


def examined(path: Path, deep: bool = True) -> list[Finding]:
    """In this process: quicker by the start of another."""
    findings: list[Finding] = []
    env, _ = open_environment(str(path), read_only=True)
    try:
        summary = examine(env, open_tables(env, create=False), deep, findings.append, lambda *progress: None)
    finally:
        env.close()
    assert summary["findings"] == len(findings)
    return findings
