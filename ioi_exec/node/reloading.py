"""A VM whose files change while its chain goes on: imported anew, and in its place at a block's edge. For `ioi-exec dev` alone: every module of one's
own is imported anew, so what else uses them in the process would have both."""

from __future__ import annotations

import importlib
import logging
import os
import sys
import threading
from types import ModuleType
from typing import Callable

from ioi_exec.errors import Error, VMError
from ioi_exec.node.logs import told
from ioi_exec.node.sequencer import Sequencer
from ioi_exec.vm.code import own_modules
from ioi_exec.vm.fingerprint import fingerprint
from ioi_exec.vm.loading import Args, LoadedVM, load_vm

log = logging.getLogger("ioi_exec.node")

LOOK_SECONDS = 0.3

_Files = dict[str, tuple[int, int, int]]


class Reloader:
    """Looks at the files beside the VM's modules, from `start` to `stop`. error: why what is there now could not be taken, "" if it was."""

    def __init__(self, sequencer: Sequencer, vm: str, vm_args: Args | None, failed: Callable[[BaseException], None]) -> None:
        """vm: "package.module:Class", which is loaded. failed: is called where the chain cannot go on."""
        self.error = ""
        self._sequencer = sequencer
        self._vm, self._args = vm, vm_args
        self._failed = failed
        self._code = fingerprint(load_vm(vm, vm_args))
        self._folders = _folders()
        self._files = _files(self._folders)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reloader", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ending.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._ending.wait(LOOK_SECONDS):
            try:
                self._look()
            except BaseException as error:
                self._failed(error)
                return

    def _look(self) -> None:
        files = _files(self._folders)
        if files == self._files:
            return
        self._files = files  # what changes from here on is seen the next time
        before = dict(own_modules())
        try:
            loaded = self._imported_anew(before)
            code = fingerprint(loaded)
            if code == self._code and not self.error:
                _put_back(before)  # another file, or a comment
                return
            self.error = ""  # before anybody hears of it
            self._sequencer.reload(self._vm, self._args)
            self._code = code
            told(log, "the VM was reloaded: the next block is under the new code", vm=str(loaded.spec))
        except Error as error:
            _put_back(before)
            self.error = str(error)
            told(log, "the VM's files changed and cannot be taken: the chain goes on with what it has", logging.ERROR, error=self.error)
            self._sequencer.tell_reloaded(self.error)
        self._folders |= _folders()

    def _imported_anew(self, before: dict[str, ModuleType]) -> LoadedVM:
        for name in before:
            sys.modules.pop(name, None)
        importlib.invalidate_caches()
        try:
            loaded = load_vm(self._vm, self._args)
        except SystemExit as ended:
            raise VMError(f"importing {self._vm} ended with SystemExit: {ended.code}") from None
        if loaded.native is not None:
            raise VMError(f"{self._vm} is in C now: start anew")
        return loaded


def _put_back(before: dict[str, ModuleType]) -> None:
    for name, _ in list(own_modules()):
        sys.modules.pop(name, None)
    sys.modules.update(before)


def _folders() -> set[str]:
    return {os.path.dirname(os.path.abspath(module.__file__)) for _, module in own_modules() if module.__file__}


def _files(folders: set[str]) -> _Files:
    """What tells one content of each file of Python in them from another."""
    found: _Files = {}
    for folder in folders:
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.name.endswith(".py"):
                        about = entry.stat()
                        found[entry.path] = about.st_mtime_ns, about.st_size, about.st_ino
        except OSError:
            continue  # it is being replaced: the next look sees what became of it
    return found
