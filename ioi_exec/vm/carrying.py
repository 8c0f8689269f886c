"""A VM on its way from this process to its own workers: the class or instance, and where its modules come from.

By cloudpickle, so one from a notebook or a test function works too; only what this process made is ever unpickled, by processes
it started itself. Modules are imported over there from the files that this process imported, under the names they have here,
whatever became of sys.path and of the working directory since.
"""

from __future__ import annotations

import os
import pickle
import sys
from collections import ChainMap
from dataclasses import dataclass, replace
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from io import BytesIO
from types import CodeType, ModuleType
from typing import Any, Sequence

from ioi_exec.errors import VMError
from ioi_exec.vm.code import Code, code_of, is_imported, own_modules
from ioi_exec.vm.loading import LoadedVM, VMSpec, build, loaded_instance


@dataclass(frozen=True)
class Carried:
    """What `received` needs to have the same VM.

    inner: (whether it is an instance, the instance or its class and arguments), pickled.
    modules: of one's own, by name: the file (None: a namespace), and where a package's submodules are.
    code: what this process has of its code (code.py).
    """

    spec: VMSpec
    inner: bytes
    path: tuple[str, ...]
    modules: dict[str, tuple[str | None, list[str] | None]]
    code: Code
    chain_id: str
    from_version: str

    @property
    def key(self) -> tuple[object, ...]:
        """Equal where the same processes can serve both."""
        return self.spec.name, self.spec.version, self.chain_id, self.from_version, self.inner, tuple(sorted(self.code.items()))


def carry(vm: LoadedVM) -> Carried:
    """Raises VMError if it cannot be pickled, or does not mean the same elsewhere."""
    import cloudpickle  # only here: workers, which start often, can do without it

    owner = type(vm.instance)
    module = sys.modules.get(owner.__module__)
    by_value = module is not None and owner.__module__ != "__main__" and _file(module) is None
    if not is_imported(owner) and sys.flags.optimize:
        raise VMError(
            f"the VM {vm.spec.name} has no module that workers could import, and this Python runs with -O, which has taken its "
            "assert statements out: run it without -O, or put the VM into a module"
        )
    register = by_value and owner.__module__ not in cloudpickle.list_registry_pickle_by_value()
    try:
        if register:
            cloudpickle.register_pickle_by_value(module)
        inner = _pickled((vm.factory is None, vm.instance if vm.factory is None else vm.factory))
    except Exception as error:
        raise VMError(
            f"the VM {vm.spec.name} cannot be sent to workers: {error}. Keep files, locks and connections out of it, or use workers=0"
        ) from error
    finally:
        if register:
            cloudpickle.unregister_pickle_by_value(module)
    modules = {name: place for name, found in own_modules() if (place := _place(found)) is not None}
    return Carried(vm.spec, inner, vm.path, modules, code_of(owner), vm.chain_id, vm.from_version)


def _pickled(value: object) -> bytes:
    """By value, with code that knows its file, which cloudpickle leaves out: errors say it."""
    import cloudpickle

    plain = cloudpickle.Pickler.dispatch_table[CodeType]

    def with_file(code: CodeType) -> tuple[Any, ...]:
        make, args = plain(code)
        file = "".join(code.co_filename)  # a string of its own: interned ones are written otherwise
        return make, tuple(file if argument == "<dynamic-code>" else argument for argument in args)

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
        dispatch_table = ChainMap({CodeType: with_file}, cloudpickle.Pickler.dispatch_table)

    written = BytesIO()
    Pickler(written).dump(value)
    return written.getvalue()


def received(carried: Carried) -> LoadedVM:
    """The VM, in a process that loads it. `carried` must come from this process's own parent. Raises what loading raises."""
    sys.path[:] = carried.path
    sys.meta_path.insert(0, _Places(carried.modules))
    is_instance, what = pickle.loads(carried.inner)
    loaded = loaded_instance(what if is_instance else build(*what), carried.spec)
    return replace(loaded, chain_id=carried.chain_id, from_version=carried.from_version)


class _Places:
    """Finds modules in the files that another process imported them from."""

    def __init__(self, modules: dict[str, tuple[str | None, list[str] | None]]) -> None:
        self._modules = modules

    def find_spec(self, name: str, path: Sequence[str] | None, target: object = None) -> ModuleSpec | None:
        place = self._modules.get(name)
        if place is None:
            return None
        file, search = place
        if file is not None:
            return spec_from_file_location(name, file, submodule_search_locations=search)
        spec = ModuleSpec(name, None, is_package=True)
        spec.submodule_search_locations = search
        return spec


def _place(module: ModuleType) -> tuple[str | None, list[str] | None] | None:
    search = getattr(module, "__path__", None)
    file = _file(module)
    if file is None and search is None:
        return None
    return file, None if search is None else [os.path.abspath(entry) for entry in search if isinstance(entry, str)]


def _file(module: Any) -> str | None:
    """The file of a module that another process can import it from."""
    file = getattr(module, "__file__", None)
    if not isinstance(file, str) or getattr(module, "__name__", "__main__") == "__main__" or not os.path.exists(file):
        return None
    return os.path.abspath(file)
