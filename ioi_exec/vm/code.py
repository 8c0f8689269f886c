"""What a VM's code is: of each function, class attribute and global it can reach, a digest that another process can compare.

From the VM's class on, through everything of one's own: what comes with Python or is installed belongs to the interpreter and
the declared dependencies. So a file that changed since it was imported, and a class or module that was configured after its
import, are found before a worker executes anything.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import logging
import os
import re
import site
import sys
import sysconfig
from enum import Enum
from importlib.machinery import SourceFileLoader, SourcelessFileLoader
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any, Callable, Iterator, Mapping

Code = Mapping[str, tuple[str, str]]
"""By name ("module:Class.method", "module.GLOBAL"): a digest, "" where it is not to be compared; and how the thing is shown."""

_PLAIN = (type(None), bool, int, float, complex, str, bytes, bytearray)
_OF_THE_ENGINE = ("ioi_exec", "ioi_shm", "ioi_start", "ioi_storage", "ioi_stress")
_NOT_CODE = {
    "__dict__", "__weakref__", "__doc__", "__module__", "__qualname__", "__annotations__", "__firstlineno__", "__static_attributes__",
    "__abstractmethods__", "_abc_impl", "__slotnames__", "__parameters__", "__orig_bases__", "__annotate__", "__annotate_func__",
    "__annotations_cache__", "__dataclass_params__", "__match_args__", "__hash__",
}
_SHOWN_MOST = 80
_DEPTH_MOST = 20  # of values inside values
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{4,}")


def code_of(cls: type, *methods: str, package: str = "", shorten: Callable[[str], str] = str) -> dict[str, tuple[str, str]]:
    """The code of a VM's class as this process has it; of these methods alone, if any are named. package: is one's own, also where it is
    installed. shorten: what is left of the text of a value."""
    walk = _Walk(package, shorten)
    if methods:
        for method in methods:
            walk.visit(f"{_named(cls)}.{method}", inspect.getattr_static(cls, method, None), not is_imported(cls))
    else:
        walk.visit(_named(cls), cls, False)
    return walk.found


def difference(here: Code, there: Code) -> str | None:
    """What two processes have otherwise, in words; None if nothing."""
    for name in sorted(here.keys() & there.keys()):
        (mine, shown), (other, shown_there) = here[name], there[name]
        if shown != shown_there:
            return f"{name} is {shown} here and {shown_there} there"
        if mine != other and mine and other:
            return f"{name} has other code there"
    for name in sorted(here.keys() ^ there.keys()):  # a consequence of the above, if there was any
        where, other_where = ("here", "there") if name in here else ("there", "here")
        return f"{name} is {(here.get(name) or there[name])[1]} {where} and missing {other_where}"
    return None


def own_modules() -> Iterator[tuple[str, ModuleType]]:
    """The modules of this process that neither come with Python nor are installed, with their files."""
    for name, module in list(sys.modules.items()):
        if name != "__main__" and isinstance(module, ModuleType) and is_own(name):
            yield name, module


@functools.lru_cache(maxsize=None)
def _installed() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    found = {paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")} | set(site.getsitepackages())
    return tuple(sorted(path.rstrip("/") + "/" for path in found))


def is_of_the_engine(module_name: str) -> bool:
    return module_name.partition(".")[0] in _OF_THE_ENGINE


def is_own(module_name: str) -> bool:
    """Whether a module is one's own: in a file outside Python's and the installed ones, or in no file as __main__ can be."""
    if is_of_the_engine(module_name) or module_name in sys.builtin_module_names:
        return False
    module = sys.modules.get(module_name)
    if module is None:
        return False
    file = getattr(module, "__file__", None)
    if file is None:
        return module_name == "__main__" or getattr(module, "__path__", None) is not None and not _frozen(module)
    return isinstance(file, str) and not file.startswith(_installed())


def _frozen(module: ModuleType) -> bool:
    origin = getattr(getattr(module, "__spec__", None), "origin", None)
    return origin in ("built-in", "frozen")


def _comparable(module_name: str) -> bool:
    """Whether another process that imports a module gets the same code objects: not where one here rewrote them (pytest), left out
    its asserts (-O), or where the code travels itself."""
    loader = getattr(getattr(sys.modules.get(module_name), "__spec__", None), "loader", None)
    return type(loader) in (SourceFileLoader, SourcelessFileLoader) and not sys.flags.optimize


class _Walk:
    """travels: whether the thing is not imported over there but comes along, and so is the same."""

    def __init__(self, package: str, shorten: Callable[[str], str]) -> None:
        self.found: dict[str, tuple[str, str]] = {}
        self._package = package
        self._shorten = shorten
        self._seen: set[int] = set()
        self._kept: list[object] = []  # what was seen, so that no other object takes its id

    def visit(self, name: str, value: Any, travels: bool) -> None:
        """Take note of a thing under its name, and of what it reaches."""
        if id(value) in self._seen and not isinstance(value, _PLAIN):
            return
        self._seen.add(id(value))
        self._kept.append(value)
        if isinstance(value, (staticmethod, classmethod, MethodType)):
            self.visit(name, value.__func__, travels)
        elif isinstance(value, property):
            for part in ("fget", "fset", "fdel"):
                if getattr(value, part) is not None:
                    self.visit(f"{name}.{part}", getattr(value, part), travels)
        elif isinstance(value, FunctionType):
            self._function(name, value, travels)
        elif isinstance(value, type):
            if self._is_own(value.__module__):
                self._class(value, not is_imported(value))
        elif isinstance(value, ModuleType) or any(value is other for other in _of_the_process()):
            pass  # what a function uses of a module is visited there
        elif callable(getattr(value, "__wrapped__", None)):
            self.visit(name, value.__wrapped__, travels)
        elif isinstance(value, functools.partial):
            self.visit(f"{name}.func", value.func, travels)
            self._note(name, (value.args, value.keywords), travels)
        else:
            self._note(name, value, travels)
            if self._is_own(type(value).__module__):
                self.visit(_named(type(value)), type(value), travels)

    def _is_own(self, module_name: str) -> bool:
        return is_own(module_name) or module_name.partition(".")[0] == self._package

    def _note(self, name: str, value: object, travels: bool) -> None:
        if travels:
            return
        text = self._shorten(_canonical(value, 0))
        shown = text if len(text) <= _SHOWN_MOST else text[:_SHOWN_MOST] + "..."
        self.found[name] = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32], shown

    def _class(self, cls: type, travels: bool) -> None:
        if not travels:
            self.found[_named(cls)] = "class", f"a class of {[_named(base) for base in cls.__bases__]}"
        for base in cls.__mro__[1:]:
            self.visit(_named(base), base, travels)
        if issubclass(cls, Enum):
            self._note(_named(cls), {member.name: member.value for member in cls}, travels)
        for attribute, value in sorted(vars(cls).items()):
            if attribute not in _NOT_CODE and not _made_by_python(value):
                self.visit(f"{_named(cls)}.{attribute}", value, travels)

    def _function(self, name: str, function: FunctionType, travels: bool) -> None:
        if not self._is_own(function.__module__ or ""):
            return
        if not travels:
            digest = _code_digest(function.__code__) if _comparable(function.__module__) else ""
            self.found[name] = digest, f"the function {function.__module__}:{function.__qualname__}"
            self._note(f"{name} (defaults)", (function.__defaults__, function.__kwdefaults__), travels)
        if (wrapped := getattr(function, "__wrapped__", None)) is not None:
            self.visit(f"{name} (wrapped)", wrapped, travels)
        names = set(_names(function.__code__))
        for used in sorted(names & function.__globals__.keys()):
            value = function.__globals__[used]
            if not isinstance(value, ModuleType):
                self._global(function.__module__, used, value, travels)
            elif self._is_own(value.__name__):
                for attribute in sorted(names & vars(value).keys()):
                    self._global(value.__name__, attribute, vars(value)[attribute], False)
        for variable, cell in zip(function.__code__.co_freevars, function.__closure__ or ()):
            try:
                inside = cell.cell_contents
            except ValueError:
                continue  # not filled yet
            if variable != "__class__":
                self.visit(f"{name} ({variable})", inside, travels)

    def _global(self, module: str, name: str, value: Any, travels: bool) -> None:
        if not name.startswith("@"):  # pytest's own, in modules it rewrote
            self.visit(f"{module}.{name}", value, travels and not (isinstance(value, FunctionType) and is_imported(value)))


def _of_the_process() -> tuple[object, ...]:
    """What is different in every process, and no VM's."""
    return sys.argv, sys.path, sys.modules, sys.meta_path, sys.path_hooks, sys.orig_argv, os.environ, os.environb


def is_imported(thing: Any) -> bool:
    """Whether a class or function is what its name says, so that another process imports it; else it travels itself."""
    found: object = sys.modules.get(thing.__module__) if thing.__module__ != "__main__" else None
    for part in thing.__qualname__.split("."):
        found = getattr(found, part, None)
    return found is thing and getattr(sys.modules[thing.__module__], "__file__", None) is not None


def _made_by_python(value: object) -> bool:
    """Descriptors of slots and the like, which follow from the class."""
    return type(value).__name__ in ("member_descriptor", "getset_descriptor", "wrapper_descriptor", "builtin_function_or_method")


def _named(cls: type) -> str:
    return f"{cls.__module__}:{cls.__qualname__}"


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for const in code.co_consts:
        if isinstance(const, CodeType):
            yield from _names(const)


def _code_digest(code: CodeType) -> str:
    return hashlib.sha256(_code_text(code).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _code_text(code: CodeType) -> str:
    """All that decides what the code does, and nothing of where it stands."""
    consts = [_code_text(const) if isinstance(const, CodeType) else _canonical(const, 0) for const in code.co_consts[_documented(code) :]]
    parts = (
        code.co_code, code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars, code.co_flags, code.co_argcount,
        code.co_posonlyargcount, code.co_kwonlyargcount, getattr(code, "co_exceptiontable", b""), consts,
    )
    return repr(parts)


def _documented(code: CodeType) -> bool:
    """Whether its first constant is a docstring."""
    if code.co_name.startswith("<") or not code.co_flags & inspect.CO_OPTIMIZED or not code.co_consts:
        return False
    return isinstance(code.co_consts[0], str) and (sys.version_info < (3, 13) or bool(code.co_flags & 0x4000000))  # CO_HAS_DOCSTRING


def _canonical(value: Any, depth: int) -> str:
    """A text of the value that is the same in every process that has the same."""
    if depth > _DEPTH_MOST:
        return "..."
    if isinstance(value, _PLAIN):
        return f"{type(value).__name__} " * (type(value) not in _PLAIN) + repr(value)
    inner = functools.partial(_canonical, depth=depth + 1)
    if isinstance(value, Mapping):
        return "{" + ", ".join(sorted(f"{inner(key)}: {inner(item)}" for key, item in list(value.items()))) + "}"
    if isinstance(value, (set, frozenset)):
        return "{" + ", ".join(sorted(map(inner, value))) + "}"
    if isinstance(value, (list, tuple)):
        return f"{type(value).__name__}({', '.join(map(inner, value))})"
    if isinstance(value, type):
        return _named(value)
    if isinstance(value, (FunctionType, MethodType)):
        return f"{value.__module__}:{value.__qualname__}"
    if isinstance(value, Enum):
        return f"{_named(type(value))}.{value.name}"
    if isinstance(value, logging.Logger):
        return f"logger {value.name}"  # which says its level, if asked
    if isinstance(value, re.Pattern):
        return f"re {value.pattern!r} {value.flags}"
    if is_own(type(value).__module__):
        attributes = getattr(value, "__dict__", {})
        return f"{_named(type(value))} {inner(attributes)}"
    try:
        text = repr(value)
    except Exception:
        text = "0x0000"
    return f"{_named(type(value))} {'' if _ADDRESS.search(text) or len(text) > 10_000 else text}"
