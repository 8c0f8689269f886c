"""Which VM the operator gave for a state. A state says itself which VM it belongs to, but whoever made it said that, and
importing is running: what a state says is only compared with what the operator gave. That is, in this order,

    vm=, --vm      of this call
    remembered     what the program gave in this process when it created or opened the state at this path
    noted          what the command line was given for this path, kept outside the state's directory:
                   $XDG_STATE_HOME/ioi-exec/vms/HASH.json (default ~/.local/state)

A note holds the state's path, the VM's name and arguments, and the file that the name was imported from. So another state
put in the same place runs the operator's VM or nothing, and so does a module of the same name that lies in another working
directory. A state that was moved or copied has no note: giving its VM once makes one.
"""

from __future__ import annotations

import json
import logging
import os
import pwd
import secrets
import stat
import sys
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Iterable

from ioi_exec.errors import VMError
from ioi_exec.vm.loading import LoadedVM, VMSpec, import_origin, load_vm

log = logging.getLogger("ioi_exec")

_NOTE_BYTES = 1 << 20
_remembered: dict[str, dict[str, _Given]] = {}
"""By path and VM, the last one given last."""


@dataclass(frozen=True)
class _Given:
    """vm: its version counts for nothing. origin: the file it must be imported from; None: any that is found."""

    vm: VMSpec
    origin: str | None


def remember(path: str | os.PathLike[str], vm: VMSpec) -> None:
    """For `open` of this path later in this process."""
    of_path = _remembered.setdefault(os.path.realpath(path), {})
    of_path.pop(_key(vm), None)
    of_path[_key(vm)] = _Given(vm, None)


def note(path: str | os.PathLike[str], vm: VMSpec, *, upgrade: bool = False) -> None:
    """For every later command of this user; of a VM that is built in there is no note, and none from before is left. Where it
    cannot be written a warning says so, and nothing else is lost. upgrade: to a VM beside the one that there is a note of."""
    final = os.path.realpath(path)
    file = _note_file(final, vm if upgrade else None)
    if vm.built_in or vm.args is None:
        with suppress(OSError):
            os.unlink(file)
        return
    origin = import_origin(vm.name)
    beside = f"{file}.{secrets.token_hex(8)}"
    try:
        os.makedirs(os.path.dirname(file), 0o700, exist_ok=True)
        with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w") as out:
            json.dump({"state": final, "vm": vm.to_json(), "origin": origin}, out)
        os.replace(beside, file)
    except OSError as error:
        with suppress(OSError):
            os.unlink(beside)
        log.warning("that %s belongs to the VM %s cannot be noted (%s): give --vm to each command that executes", final, vm, error)


def is_noted_here(path: str | os.PathLike[str]) -> bool:
    """Whether the state at this path has a VM of this user's own, so far as commands were told, that lies in the working
    directory. For any other one that directory has nothing, and may have been downloaded."""
    final = os.path.realpath(path)
    first = _note_file(final)
    try:
        beside = [name for name in os.listdir(os.path.dirname(first)) if name.startswith(os.path.basename(first)[:-5])]
    except OSError:
        return False
    found = [_read_note(os.path.join(os.path.dirname(first), name), final) for name in beside if name.endswith(".json")]
    here = os.path.join(os.getcwd(), "")
    return any(noted is not None and noted.origin is not None and noted.origin.startswith(here) for noted in found)


def vm_given_for(path: str | None, said: VMSpec, beside: Iterable[VMSpec] = ()) -> LoadedVM:
    """The VM of a state that says it belongs to `said`, imported because the operator gave it for the state at this path.
    beside: others that the state has at other heights, which may have been given too.

    Raises VMError if nobody gave one; VMMismatch if another one was given."""
    if said.built_in:
        return _checked(load_vm(said.name, said.args), said)
    given = None if path is None else _given(path, said, {_key(vm) for vm in beside})
    if given is None and said.args is None or given is not None and given.vm.args is None:
        raise VMError(f"the state was created with an instance of {said.name}: pass an equal one as vm=")
    if given is None:
        raise VMError(
            f"the state at {path} says that it belongs to the VM {said}, which nobody has given for it here, and nothing is imported "
            f"because a state says so: if this is your VM, say so once with --vm {said.name}, or pass it as vm="
        )
    said.check_same_but_version(given.vm)
    found = import_origin(given.vm.name)
    loaded_already = given.vm.name.partition(":")[0] in sys.modules
    if given.origin not in (None, found) and not (found is None and loaded_already):
        now = "is not found now" if found is None else f"would be imported from {found} now"
        right = "" if found is None else ", or if this one is right too, say so once with --vm"
        raise VMError(
            f"the VM {given.vm.name} of {path} was imported from {given.origin} when it was given, and {now}: go to the directory "
            f"where it was given{right}"
        )
    return _checked(load_vm(given.vm.name, given.vm.args), said)


def _given(path: str, said: VMSpec, beside: set[str]) -> _Given | None:
    """What was given for this path: the VM that is asked for, if that was, else another one, but none of `beside`."""
    told = [*reversed(_remembered.get(path, {}).values())]
    told += [noted for noted in (_noted(path, said), _noted(path)) if noted is not None]
    others = (given for given in told if _key(given.vm) not in beside)
    return next((given for given in told if _key(given.vm) == _key(said)), next(others, None))


def _key(vm: VMSpec) -> str:
    return f"{vm.name} {json.dumps(vm.args or None, sort_keys=True)}"


def _checked(loaded: LoadedVM, said: VMSpec) -> LoadedVM:
    said.check_same(loaded.spec)
    return loaded


def _note_file(path: str, vm: VMSpec | None = None) -> str:
    """vm: of its own file, beside the state's first."""
    base = os.environ.get("XDG_STATE_HOME", "")
    if not os.path.isabs(base):  # as that specification has it
        home = os.path.expanduser("~")
        if not os.path.isabs(home):  # then any directory one works in could have brought notes along
            home = pwd.getpwuid(os.geteuid()).pw_dir
        base = os.path.join(home, ".local", "state")
    beside = "" if vm is None else "-" + sha256(_key(vm).encode("utf-8", "backslashreplace")).hexdigest()[:16]
    return os.path.join(base, "ioi-exec", "vms", sha256(os.fsencode(path)).hexdigest() + beside + ".json")


def _noted(path: str, vm: VMSpec | None = None) -> _Given | None:
    """The note about the state at this path; vm: of its upgrade to this one."""
    return _read_note(_note_file(path, vm), path)


def _read_note(name: str, path: str) -> _Given | None:
    """What it says of the state at `path`; one that this user alone could not have written, or that is damaged, is none."""
    try:
        with open(os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)) as file:
            about = os.fstat(file.fileno())
            if not stat.S_ISREG(about.st_mode) or about.st_uid != os.geteuid() or about.st_mode & 0o022:
                log.warning("%s is not taken for a note: it is another user's, or others may write it", name)
                return None
            found: Any = json.loads(file.read(_NOTE_BYTES))
        if found["state"] != path or not (found["origin"] is None or isinstance(found["origin"], str)):
            return None
        return _Given(VMSpec.said(found["vm"]), found["origin"])
    except (OSError, ValueError, TypeError, LookupError, RecursionError):
        return None
