"""The processes of an engine, found by a mark in their environment, which they inherit whoever their parent is now."""

from __future__ import annotations

import os

import psutil

MARK = "IOI_STRESS_CHAOS"


def marked(mark: str) -> list[psutil.Process]:
    """The live processes of this user with the mark. (Linux shows the environment a process was started with.)"""
    wanted, found = f"{MARK}={mark}".encode(), []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/environ", "rb") as file:
                if wanted not in file.read().split(b"\0"):
                    continue
            process = psutil.Process(int(name))
            if process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (OSError, psutil.Error):
            continue  # gone, or another user's
    return found


def wait_dead(child: psutil.Process) -> None:
    """Until this child of ours, which was killed, is dead. How it ended stays for the one who started it to ask."""
    try:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    except ChildProcessError:
        pass  # asked already


def described(process: psutil.Process) -> str:
    try:
        return f"process {process.pid} ({process.status()}): {' '.join(process.cmdline())[:120]}"
    except psutil.Error:
        return f"process {process.pid}"
