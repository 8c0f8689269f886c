"""What must hold of a state: no acknowledged commit is lost, none comes from nowhere, and every root is the true one."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import Iterator

from ioi_storage import Store, check

from ioi_exec import Error, ExecutionMachine, StateCorrupt
from ioi_exec.state.base import storage_errors
from ioi_stress.chaos.messages import Executed, Opened
from ioi_stress.chaos.report import Defect, Report
from ioi_stress.chaos.truth import Truth


class Judge:
    """acknowledged: the newest version whose commit the engine has confirmed. asked: a later one it was told to commit, of which
    nothing is known yet. rolling: the version that it was told to go back to, and may have reached.
    keep: how many versions must be there; None: all."""

    def __init__(self, truths: list[Truth], report: Report, keep: int | None) -> None:
        self._truths = truths
        self._keep = keep
        self._report = report
        self.acknowledged = 0
        self.asked: int | None = None
        self.rolling: int | None = None

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
        self._check_version(found.version)
        self._check_root(found.version, found.root)
        if found.version == self.rolling:
            self._report.rolled_back += self.acknowledged - self.rolling
            self.acknowledged, self.rolling = self.rolling, None
        if found.version > self.acknowledged:
            self._report.unacknowledged += 1
            self._acknowledge(found.version)
        self.asked = None

    def check(self, path: str, *, deep: bool) -> None:
        """Nobody has it open. Raises Defect."""
        with _error_is_a_defect(), storage_errors():
            checked = check(path, deep=deep)
        if deep:
            self._report.deep_checks += 1
        else:
            self._report.checks += 1
        if checked.findings:
            shown = "; ".join(f"{each.table}: {each.reason}" for each in checked.findings[:3])
            raise Defect("corrupt", f"check found {checked.summary['findings']} things wrong with {path}: {shown}")

    def versions(self, path: str) -> None:
        """The state as it is at the end, read version by version. Raises Defect."""
        with _error_is_a_defect(), ExecutionMachine.open(path, read_only=True, workers=0) as machine:
            self._check_version(machine.version)
            needed = 0 if self._keep is None else max(0, machine.version - self._keep + 1)
            if machine.oldest > needed:
                raise Defect("corrupt", f"the oldest version of the state is {machine.oldest}; those from {needed} on were to be kept")
            for version in range(machine.oldest, machine.version + 1):
                info = machine.info_at(version)
                self._check_root(version, info.state_root)
                if version and info.receipts_root != self._truths[version].receipts_root:
                    raise Defect("corrupt", f"version {version} of the state has another receipts root than was committed")
                self._report.read_again += 1

    def rolled_back(self, found: Opened) -> None:
        """The engine says so. Raises Defect."""
        if found.version != self.rolling:
            raise Defect("corrupt", f"rolled back to version {self.rolling}, the state is at version {found.version}")
        self.opened(found)

    def finish_rollback(self, path: str) -> None:
        """One that has begun may have been ended half-way, and then opening the state finishes it. Raises Defect."""
        with _error_is_a_defect(), storage_errors(), Store.open(path) as store:
            self.opened(Opened(store.version, store.root))

    def whole_or_absent(self, path: str, version: int) -> bool:
        """Whether there is a state, which then is whole and at this version: its making was ended by a fault. Raises Defect."""
        if not os.path.lexists(path):
            return False
        self.check(path, deep=False)
        with _error_is_a_defect(), ExecutionMachine.open(path, read_only=True, workers=0) as machine:
            self.made(Opened(machine.version, machine.root), version)
        return True

    def made(self, found: Opened, version: int) -> None:
        """A state was made, or restored, that is to be at this version. Raises Defect."""
        if found.version != version:
            raise Defect("corrupt", f"a state was made at version {found.version}, and not at {version}")
        self._check_root(found.version, found.root)

    def _check_root(self, version: int, root: bytes) -> None:
        committed = self._truths[version].state_root
        if root != committed:
            raise Defect("corrupt", f"version {version} of the state has the root {root.hex()}, committed was {committed.hex()}")

    def _check_version(self, version: int) -> None:
        if version == self.rolling:
            return
        if version < self.acknowledged:
            raise Defect("lost commit", f"version {self.acknowledged} was acknowledged, and the state came back at version {version}")
        newest = self.acknowledged if self.asked is None else self.asked
        if version > newest:
            raise Defect("corrupt", f"the state came back at version {version}; nothing after version {newest} was to be committed")

    def _acknowledge(self, version: int) -> None:
        self.acknowledged = version
        self.asked = None
        self._report.committed += 1
        self._report.transactions += self._truths[version].transactions


@contextmanager
def _error_is_a_defect() -> Iterator[None]:
    """Nobody attacks while the judge reads."""
    try:
        yield
    except Error as error:
        kind = "corrupt" if error.exit_status == StateCorrupt.exit_status else "refused without cause"
        raise Defect(kind, f"reading the state at rest: {type(error).__name__}: {error}") from error
