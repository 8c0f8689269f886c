"""What must hold of a state: no acknowledged commit is lost, none comes from nowhere, and every root is the true one."""

from __future__ import annotations

from ioi_exec import ExecutionMachine
from ioi_exec.base import storage_errors
from ioi_storage import check

from ioi_stress.chaos.messages import Executed, Opened
from ioi_stress.chaos.report import Defect, Report
from ioi_stress.chaos.truth import Truth


class Judge:
    """acknowledged: the newest version whose commit the engine has confirmed. asked: a later one it was told to commit, of which
    nothing is known yet."""

    def __init__(self, truths: list[Truth], report: Report) -> None:
        self._truths = truths
        self._report = report
        self.acknowledged = 0
        self.asked: int | None = None

    def executed(self, found: Executed, truth: Truth) -> None:
        """Before it is committed. Raises Defect."""
        for what, ours, theirs in (
            ("version", truth.version, found.version),
            ("state root", truth.state_root.hex(), found.state_root.hex()),
            ("receipts root", truth.receipts_root.hex(), found.receipts_root.hex()),
            ("number of failed transactions", truth.failed, found.failed),
        ):
            if ours != theirs:
                raise Defect("diverged", f"block {truth.version}: the {what} is {theirs}; one by one it is {ours}")
        self._report.verified += 1

    def committed(self, version: int) -> None:
        if version != self.asked:
            raise Defect("corrupt", f"the commit of version {self.asked} was acknowledged as version {version}")
        self._acknowledge(version)

    def opened(self, found: Opened) -> None:
        """The state was opened again, whatever had happened. Raises Defect."""
        if found.version < self.acknowledged:
            self._lost(found.version)
        newest = self.acknowledged if self.asked is None else self.asked
        if found.version > newest:
            raise Defect("corrupt", f"the state came back at version {found.version}; nothing after version {newest} was to be committed")
        self._check_root(found.version, found.root)
        if found.version > self.acknowledged:
            self._report.unacknowledged += 1
            self._acknowledge(found.version)
        self.asked = None

    def check(self, path: str, *, deep: bool) -> None:
        """Nobody has it open. Raises Defect."""
        with storage_errors():
            checked = check(path, deep=deep)
        if deep:
            self._report.deep_checks += 1
        else:
            self._report.checks += 1
        if checked.findings:
            shown = "; ".join(f"{each.table}: {each.reason}" for each in checked.findings[:3])
            raise Defect("corrupt", f"check found {checked.summary['findings']} things wrong with {path}: {shown}")

    def versions(self, machine: ExecutionMachine) -> None:
        """The state as it is at the end, read version by version. Raises Defect."""
        if machine.version < self.acknowledged:
            self._lost(machine.version)
        for version in range(machine.oldest, machine.version + 1):
            info = machine.info_at(version)
            self._check_root(version, info.state_root)
            if version and info.receipts_root != self._truths[version].receipts_root:
                raise Defect("corrupt", f"version {version} of the state has another receipts root than was committed")
            self._report.read_again += 1

    def _check_root(self, version: int, root: bytes) -> None:
        if root != self._truths[version].state_root:
            raise Defect(
                "corrupt", f"version {version} of the state has the root {root.hex()}, committed was {self._truths[version].state_root.hex()}"
            )

    def _lost(self, version: int) -> None:
        raise Defect("lost commit", f"version {self.acknowledged} was acknowledged, and the state came back at version {version}")

    def _acknowledge(self, version: int) -> None:
        self.acknowledged = version
        self.asked = None
        self._report.committed += 1
        self._report.transactions += self._truths[version].transactions
