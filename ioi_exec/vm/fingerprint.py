"""A digest of a VM's code, the same wherever its files lie: recorded with a state, which asks before it goes on with another code under
the same version.

In Python it is of the functions, class attributes and globals that the VM's class reaches (code.py), of its own package also where that is
installed. Neither docstrings nor lines count, nor the directories of its modules where a value names them. In C it is of the library
(library.py), and of what checks signatures in Python.

There is none of a VM that comes with the engine, whose version says all, nor of one whose code another process could not import: of a
script, a notebook, a module that pytest rewrites.
"""

from __future__ import annotations

import os
import re
import weakref
from hashlib import sha256
from typing import Callable

from ioi_shm import native_info

from ioi_exec.errors import VMError
from ioi_exec.vm import library
from ioi_exec.vm.code import Code, code_of, is_of_the_engine, own_modules
from ioi_exec.vm.interpreter import PYTHON
from ioi_exec.vm.loading import LoadedVM

_TEXT_MOST = 200
_of_classes: weakref.WeakKeyDictionary[type, str | None] = weakref.WeakKeyDictionary()  # before one that ran may have changed its globals
_of_libraries: dict[str, str] = {}  # by absolute path: a process loads the library at one only once


def fingerprint(vm: LoadedVM) -> str | None:
    """How it was made, and the digest: those made in different ways tell nothing. Raises VMError."""
    owner = type(vm.instance)
    if is_of_the_engine(owner.__module__):
        return None
    if vm.native is not None:
        return _of_library(vm)
    if owner not in _of_classes:
        _of_classes[owner] = _of_python(_code(owner))
    return _of_classes[owner]


def other_code(recorded: str | None, here: str | None) -> bool:
    """Whether two fingerprints say that the code is another."""
    return None not in (recorded, here) and recorded != here and str(recorded).rpartition(" ")[0] == str(here).rpartition(" ")[0]


def said_code(value: object) -> str:
    """What data says is a fingerprint. Raises ValueError."""
    if not isinstance(value, str) or not value.isprintable() or len(value) > _TEXT_MOST:
        raise ValueError("the fingerprint of its VM's code must be short text that can be printed")
    return value


def _code(cls: type, *methods: str) -> Code:
    return code_of(cls, *methods, package=cls.__module__.partition(".")[0], shorten=_without_places())


def _of_python(code: Code) -> str | None:
    if not code or not all(digest for digest, _ in code.values()):
        return None
    lines = [f"{name}\0{shown if digest == 'class' else digest}\n" for name, (digest, shown) in sorted(code.items())]
    return f"{PYTHON} {sha256(''.join(lines).encode('utf-8', 'surrogatepass')).hexdigest()}"


def _without_places() -> Callable[[str], str]:
    """Leaves the directories of modules of one's own out of a text."""
    files = [str(module.__file__) for _, module in own_modules() if getattr(module, "__file__", None)]
    places = {os.path.dirname(form(file)) for file in files for form in (os.path.abspath, os.path.realpath)} - {"/"}
    if not places:
        return str
    either = "|".join(map(re.escape, sorted(places, key=len, reverse=True)))
    pattern = re.compile(f"(?:{either})(?=[/'\"]|$)")
    return lambda text: pattern.sub(".", text)


def _of_library(vm: LoadedVM) -> str | None:
    file = native_info(vm.native)["library"]
    if file is None:
        return None
    path = os.path.abspath(os.fsdecode(file))
    if path not in _of_libraries:
        try:
            with open(path, "rb") as stream:
                _of_libraries[path] = library.digest(stream.read())
        except OSError as error:
            raise VMError(f"the library of the VM {vm.spec.name} cannot be read: {path}: {error.strerror}") from None
    verify = _of_python(_code(type(vm.instance), "verify")) if hasattr(vm.instance, "verify") else None
    return f"ELF{'' if verify is None else ' and ' + verify} {_of_libraries[path]}"
