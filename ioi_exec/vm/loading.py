"""Virtual machines by name, import path, class or instance. (carrying.py takes them to workers.)

The identity a state remembers is the VM's name, arguments and version. A name is "payments" or "package.module:Class".

Importing is running. A name that comes from data (a state, a snapshot, a dump) is only ever compared with the one that the
operator gave (state/given.py); what is passed to `load_vm` is the operator's.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import json
import os
import sys
from dataclasses import dataclass, field, replace
from importlib.machinery import ModuleSpec
from typing import Any, Callable, Iterable, Iterator, Mapping, Sequence

from ioi_shm import native_info

from ioi_exec.block.hook import Hook
from ioi_exec.errors import VMError, VMMismatch
from ioi_exec.vm.payments_native import Payments
from ioi_exec.vm.places import check_places

BUILT_IN: Mapping[str, type] = {"payments": Payments}

Args = Mapping[str, Any] | Sequence[Any]
"""Arguments of a VM's class, as JSON has them: by name, or in order."""

_ARGUMENTS = {
    "execute": ("tx", "state", "ctx"),
    "ante": ("tx", "state", "ctx"),
    "check": ("tx", "state", "ctx"),
    "query": ("path", "data", "state"),
    "decode": ("tx",),
    "keys": ("tx",),
    "gas_limit": ("tx",),
    "begin_block": ("state", "ctx"),
    "end_block": ("state", "ctx", "receipts"),
    "migrate": ("state", "ctx", "from_version"),
}
"""How the methods of a VM are called, by position; `decode` with the chain's id after that where it takes it."""

_TEXT_MOST = 1000  # characters of a name or a version
_DEPTH_MOST = 32  # of arguments: what parses one level deeper than it can be written would be trouble later


@dataclass(frozen=True)
class VMSpec:
    """The identity of a VM. args: None for an instance, whose arguments cannot be known."""

    name: str
    args: dict[str, Any] | list[Any] | None
    version: str

    @classmethod
    def said(cls, value: object) -> VMSpec:
        """What data says its VM is. Raises ValueError unless that is a name, arguments and a version, fit to be shown."""
        if not isinstance(value, dict) or value.keys() != {"name", "args", "version"}:
            raise ValueError("its VM must be an object of name, args and version")
        name, args, version = value["name"], value["args"], value["version"]
        for what, text in (("name", name), ("version", version)):
            if not isinstance(text, str) or not text.isprintable() or len(text) > _TEXT_MOST:
                raise ValueError(f"the {what} of its VM must be at most {_TEXT_MOST} characters of text that can be printed")
        if args is not None and not isinstance(args, (dict, list)):
            raise ValueError("the arguments of its VM must be an object, a list or null")
        if _depth(args, _DEPTH_MOST + 1) > _DEPTH_MOST:
            raise ValueError(f"the arguments of its VM are nested more than {_DEPTH_MOST} deep")
        return cls(name, args, version)

    @property
    def built_in(self) -> bool:
        return self.name in BUILT_IN

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "args": self.args, "version": self.version}

    def is_same(self, other: VMSpec) -> bool:
        same_args = self.args is None or other.args is None or self.args == other.args or not self.args and not other.args
        return self.name == other.name and self.version == other.version and same_args

    def check_same(self, other: VMSpec) -> None:
        """Raises VMMismatch unless a state of this VM can be used with `other`."""
        self._check(other, other)

    def check_same_but_version(self, other: VMSpec) -> None:
        """The same where the version will only be known once `other` is loaded."""
        self._check(replace(other, version=self.version), other)

    def _check(self, compared: VMSpec, other: VMSpec) -> None:
        if not self.is_same(compared):
            raise VMMismatch(
                f"the state belongs to the VM {self}, not to {other}: open it with the VM it was created with, "
                "or create another state"
            )

    def __str__(self) -> str:
        shown = json.dumps(self.args, sort_keys=True)
        args = "" if not self.args else f" with {shown if len(shown) <= _TEXT_MOST else shown[:_TEXT_MOST] + '...'}"
        return f"{self.name}{args}" + (f" version {self.version}" if self.version else "")


def absolute_path() -> tuple[str, ...]:
    """sys.path as it is, for a process that may have another working directory: a relative entry is where Python looked for it
    first, and what is no text is of no use to Python."""
    found = []
    for entry in sys.path:
        if isinstance(entry, str):
            seen = getattr(sys.path_importer_cache.get(entry), "path", entry) if entry else entry
            found.append(os.path.abspath(seen if isinstance(seen, str) and os.path.isabs(seen) else entry))
    return tuple(found)


@dataclass(frozen=True)
class LoadedVM:
    """A VM ready to execute. native: the PyCapsule that its method `native` returned; then `execute` is not used."""

    instance: Any
    spec: VMSpec
    native: object | None = field(default=None, repr=False)
    ante: bool = False
    check: bool = False
    query: bool = False
    decode: bool = False
    keys: bool = False
    begin_block: bool = False
    end_block: bool = False
    migrate: bool = False
    factory: tuple[type, Args] | None = field(default=None, repr=False)
    """The class and its arguments, if it was not given as an instance."""
    chain_id: str = ""
    """Of the state it executes on."""
    from_version: str = ""
    """Of the VM that it took over from there, which `migrate` is told."""
    path: tuple[str, ...] = field(default_factory=absolute_path, repr=False)
    """Where its modules import others from: sys.path when it was loaded."""

    def has(self, hook: Hook) -> bool:
        return bool(getattr(self, hook.method, False))

    def decoder(self) -> Callable[[bytes], Any] | None:
        """Its `decode`, if it has one; where that takes a second argument, with the chain's id."""
        if not self.decode:
            return None
        of_vm: Callable[..., Any] = self.instance.decode
        if not _takes(of_vm, 2):
            return of_vm
        return functools.partial(_decoded, of_vm, self.chain_id)

    def verifier(self) -> Callable[[bytes], None] | None:
        """The same of `verify`, which a VM in C may have in Python."""
        of_vm: Callable[[bytes, str], None] | None = getattr(self.instance, "verify", None) if self.native is not None else None
        return None if of_vm is None else functools.partial(_decoded, of_vm, self.chain_id)


def _decoded(of_vm: Callable[[bytes, str], Any], chain_id: str, tx: bytes) -> Any:
    return of_vm(tx, chain_id)


def _takes(function: Callable[..., Any], arguments: int) -> bool:
    """Whether it can be called with so many, by position."""
    try:
        inspect.signature(function).bind(*range(arguments))
    except (TypeError, ValueError):
        return False
    return True


def load_vm(vm: str | type | object, args: Args | None = None) -> LoadedVM:
    """Load a VM from its name, import path, class or instance. Raises VMError."""
    if isinstance(vm, str):
        cls = BUILT_IN.get(vm) or _imported(vm)
        name = vm
    elif isinstance(vm, type):
        cls, name = vm, _name(vm)
    else:
        if args is not None:
            raise VMError("arguments were given for a VM that is an instance already: give its class instead")
        return loaded_instance(vm, VMSpec(_name(type(vm)), None, _version(vm)), None)
    plain = _plain(args)
    instance = build(cls, plain)
    return loaded_instance(instance, VMSpec(name, plain, _version(instance)), (cls, plain))


def build(cls: type, args: Args) -> Any:
    """An instance of the class, which is called only if its instances will be VMs. Raises VMError."""
    if not isinstance(cls, type) or not any(callable(getattr(cls, method, None)) for method in ("execute", "native")):
        raise VMError(f"{_name(cls)} is no VM: a VM is a class with a method execute(tx, state, ctx), or native() if it is in C")
    try:
        return cls(**args) if isinstance(args, Mapping) else cls(*args)
    except Exception as error:
        raise VMError(f"the VM {_name(cls)} cannot be built with the arguments {args!r:.200}: {error!s:.200}") from error


def native_of(instance: Any) -> object | None:
    """The capsule of an instance whose VM is in C (ioi_vm.h); None if it is in Python. Raises VMError."""
    make = getattr(instance, "native", None)
    if make is None:
        return None
    try:
        capsule: object = make()
        native_info(capsule)
    except Exception as error:
        raise VMError(f"the native VM of {_name(type(instance))} cannot be loaded: {type(error).__name__}: {error}") from error
    return capsule


def loaded_instance(instance: object, spec: VMSpec, factory: tuple[type, Args] | None = None) -> LoadedVM:
    """An instance that was built already. Raises VMError if it is no VM."""
    native = native_of(instance)
    if native is not None:
        info = native_info(native)
        return LoadedVM(
            instance, replace(spec, version=str(info["version"])), native, begin_block=info["begin_block"], end_block=info["end_block"],
            check=info["check"], query=info["query"], factory=factory,
        )
    if not callable(getattr(instance, "execute", None)):
        raise VMError(f"{spec.name} is no VM: it has neither a method execute(tx, state, ctx) nor a method native()")
    _check_call(spec, instance, "execute")
    present: dict[str, bool] = {}
    for method in [each for each in _ARGUMENTS if each != "execute"]:
        found = getattr(instance, method, None)
        if found is not None and not callable(found):
            raise VMError(f"the VM {spec.name} has an attribute {method!r} that is no method: rename it")
        present[method] = found is not None
        if found is not None:
            _check_call(spec, instance, method)
    check_places(spec.name, instance)
    return LoadedVM(
        instance, spec, ante=present["ante"], check=present["check"], query=present["query"],
        decode=present["decode"], keys=present["keys"], begin_block=present["begin_block"], end_block=present["end_block"],
        migrate=present["migrate"], factory=factory,
    )


def _imported(path: str) -> type:
    module_name, colon, qualname = path.partition(":")
    if not colon or not module_name or not qualname:
        known = ", ".join(sorted(BUILT_IN))
        raise VMError(f"there is no VM named {path!r:.200}: give one of ({known}), or an import path like 'package.module:Class'")
    if "<locals>" in qualname or module_name == "__main__":
        raise VMError(f"the VM {path} cannot be imported by its name: pass the class or an instance as vm=")
    try:
        found: Any = importlib.import_module(module_name)
    except Exception as error:
        where = ". Is it on sys.path?" if isinstance(error, ModuleNotFoundError) else ""
        raise VMError(f"the VM {path} cannot be imported: {type(error).__name__}: {error}{where}") from error
    for part in qualname.split("."):
        found = getattr(found, part, None)
    if not isinstance(found, type):
        raise VMError(f"the VM {path} cannot be loaded: module {module_name} has no class {qualname!r}")
    return found


def import_origin(path: str) -> str | None:
    """The first file that importing "package.module:Class" would run, found without running anything; None: there is none."""
    for spec in _specs(path.partition(":")[0]):
        if spec is not None and spec.origin is not None:
            return os.path.realpath(spec.origin)
    return None


def _specs(module_name: str) -> Iterator[ModuleSpec | None]:
    """Where a module's packages and the module itself would be imported from, outermost first; None ends it: not found."""
    search: Sequence[str] | None = None
    parts = module_name.split(".")
    for depth in range(1, len(parts) + 1):
        name, spec = ".".join(parts[:depth]), None
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", lambda *_: None)
            try:
                spec = find(name, search)
            except KeyError:  # a directory without __init__.py in another one that is not imported
                spec = find(parts[depth - 1], search)
            if spec is not None:
                break
        yield spec
        if spec is None:
            return
        search = list(spec.submodule_search_locations or ())


def _check_call(spec: VMSpec, instance: object, method: str) -> None:
    """Whether a method can be called as it will be. Raises VMError."""
    arguments = _ARGUMENTS[method]
    if method == "decode" and _takes(getattr(instance, method), 2):
        return
    try:
        signature = inspect.signature(getattr(instance, method))
    except (TypeError, ValueError):
        return  # of one in C
    try:
        signature.bind(*arguments)
    except TypeError as error:
        if method == "decode" and _takes(getattr(instance, method), 2):
            return
        raise VMError(
            f"the VM {spec.name} has a method {method}{signature} that cannot be called as {method}({', '.join(arguments)}): {error}"
        ) from None


def _depth(value: object, most: int) -> int:
    """How deep JSON is nested, looked at no deeper than `most`."""
    inside: Iterable[object] = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 0 if most == 0 else max((1 + _depth(part, most - 1) for part in inside), default=1)


def _name(cls: type) -> str:
    return f"{cls.__module__}:{cls.__qualname__}"


def _version(instance: object) -> str:
    version = getattr(instance, "version", "")
    if isinstance(version, bool) or not isinstance(version, (str, int)):
        raise VMError(f"the VM {_name(type(instance))} has a version that is {type(version).__name__}: make it str or int")
    if not (text := str(version)).isprintable() or len(text) > _TEXT_MOST:
        raise VMError(f"the VM {_name(type(instance))} has a version that cannot be shown: at most {_TEXT_MOST} printable characters")
    return text


def _plain(args: Args | None) -> dict[str, Any] | list[Any]:
    """The arguments as the state remembers them: only what JSON carries unchanged."""
    if args is None:
        return {}
    try:
        plain = json.loads(json.dumps(args, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise VMError(f"the VM's arguments must be what JSON can hold: {error}") from error
    if _depth(plain, _DEPTH_MOST + 1) > _DEPTH_MOST:
        raise VMError(f"the VM's arguments are nested more than {_DEPTH_MOST} deep")
    if isinstance(args, (dict, list)) and plain == args and isinstance(plain, (dict, list)):
        return plain
    raise VMError("the VM's arguments must be a dict with text keys, or a list, of what JSON can hold")
