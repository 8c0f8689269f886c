"""VMs by name, import path, class and instance; their identity; how they reach workers."""

from __future__ import annotations

import pickle
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any

import pytest

from ioi_exec import (
    ExecutionMachine,
    InputError,
    StateView,
    TxContext,
    VMError,
    VMMismatch,
)
from ioi_exec.vm.carrying import carry
from ioi_exec.vm.loading import load_vm


class Echo:
    def __init__(self, prefix: str = "", times: int = 1) -> None:
        self.prefix, self.times = prefix, times

    def execute(self, tx: bytes, state: StateView, ctx: TxContext) -> bytes:
        return (self.prefix.encode() + tx) * self.times


class Versioned(Echo):
    version = 3


NAME = f"{__name__}:Echo"


def output(vm: Any, tx: bytes = b"x") -> Any:
    return vm.execute(tx, None, None)


def test_by_name() -> None:
    vm = load_vm("payments")
    assert vm.spec.to_json() == {"name": "payments", "args": {}, "version": "1"}
    assert vm.native is not None and vm.end_block and not vm.decode


def test_by_import_path_class_and_instance() -> None:
    by_path, by_class = load_vm(NAME, {"prefix": "p", "times": 2}), load_vm(Echo, ["p", 2])
    assert output(by_path.instance) == output(by_class.instance) == b"pxpx"
    assert by_path.spec.name == by_class.spec.name == NAME and by_path.spec.args == {"prefix": "p", "times": 2}
    instance = Echo("i")
    by_instance = load_vm(instance)
    assert by_instance.instance is instance and by_instance.spec.args is None
    assert not (by_path.decode or by_path.keys or by_path.end_block)
    assert load_vm(Versioned).spec.version == "3"


@pytest.mark.parametrize(
    "vm, args, says",
    [
        ("paymints", None, "payments"), ("no.such.module:VM", None, "No module"), (f"{__name__}:Nothing", None, "no class"),
        (f"{__name__}:NAME", None, "no class"), (f"{__name__}:", None, "import path"), (":Echo", None, "import path"), ("", None, "import path"),
        (NAME, {"nope": 1}, "cannot be built"), (NAME, [1, 2, 3], "cannot be built"), (int, None, "execute"), (7, None, "execute"),
        (Echo(), {}, "instance"), (Echo, {"times": {1, 2}}, "JSON"), (Echo, {"times": (1,)}, "JSON"), (Echo, {1: 2}, "JSON"),
        (Echo, {"times": float("nan")}, "JSON"), (Echo, "text", "JSON"), ("payments", {"x": 1}, "cannot be built"),
        (f"{__name__}:f.<locals>.C", None, "pass the class"), ("__main__:VM", None, "pass the class"),
    ],
    ids=lambda value: "an instance" if isinstance(value, Echo) else str(value),  # no address: the same in every process
)
def test_what_is_no_vm_is_refused_clearly(vm: Any, args: Any, says: str) -> None:
    with pytest.raises(VMError, match=says) as caught:
        load_vm(vm, args)
    assert isinstance(caught.value, InputError) and caught.value.exit_status == 2


CALLED: list[str] = []


class NoVM:
    def __init__(self) -> None:
        CALLED.append("class")


class ExecuteIsData(NoVM):
    execute = b"data"


def factory() -> Echo:
    CALLED.append("function")
    return Echo()


@pytest.mark.parametrize("vm", [NoVM, ExecuteIsData, f"{__name__}:NoVM", f"{__name__}:factory", f"{__name__}:Echo.execute", "builtins:dict"])
def test_only_a_class_with_execute_is_called(vm: Any) -> None:
    with pytest.raises(VMError, match="no class|is no VM"):
        load_vm(vm)
    assert not CALLED


@pytest.mark.parametrize("version", ["1\n", "\x1b[2J", "x" * 2000])
def test_a_version_must_be_fit_to_be_shown(version: str) -> None:
    with pytest.raises(VMError, match="version"):
        load_vm(type("Strange", (Echo,), {"version": version}))


def test_methods_and_versions_must_be_what_they_are() -> None:
    class DecodeIsData(Echo):
        decode = b"data"

    class VersionIsList(Echo):
        version = [1]

    with pytest.raises(VMError, match="decode"):
        load_vm(DecodeIsData)
    with pytest.raises(VMError, match="version"):
        load_vm(VersionIsList)


def test_a_module_that_fails_to_import_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_vm_module.py").write_text("raise RuntimeError('half written')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(VMError, match="half written$"):
        load_vm("broken_vm_module:VM")
    with pytest.raises(VMError, match=r"Is it on sys\.path\?$"):
        load_vm("no_such_vm_module:VM")


def test_the_state_remembers_name_arguments_and_version(tmp_path: Path) -> None:
    path = tmp_path / "state"
    ExecutionMachine.create(path, NAME, vm_args={"prefix": "p"}, workers=0).close()
    with ExecutionMachine.open(path, workers=0) as machine:
        assert machine.execute([b"x"]).receipts[0].output == b"px"
    for vm, args in ((Echo, {}), (Echo, ["p"]), (Versioned, {"prefix": "p"}), ("payments", None)):
        with pytest.raises(VMMismatch):
            ExecutionMachine.open(path, vm=vm, vm_args=args, workers=0)
    with ExecutionMachine.open(path, vm=Echo("q"), workers=0) as machine:  # an instance's arguments are its owner's business
        assert machine.execute([b"x"]).receipts[0].output == b"qx"


def test_another_version_of_the_same_vm_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "state"
    ExecutionMachine.create(path, NAME, workers=0).close()
    monkeypatch.setattr(Echo, "version", 2, raising=False)
    for vm in (None, Echo, Echo()):
        with pytest.raises(VMMismatch, match="version 2"):
            ExecutionMachine.open(path, vm=vm, workers=0)


def test_a_state_made_with_an_instance_wants_one_again(tmp_path: Path) -> None:
    path = tmp_path / "state"
    ExecutionMachine.create(path, Echo("p"), workers=0).close()
    with pytest.raises(VMError, match="instance"):
        ExecutionMachine.open(path, workers=0)
    with ExecutionMachine.open(path, read_only=True, workers=0) as machine:
        assert machine.info.vm.name == NAME  # reading needs no VM
        with pytest.raises(VMError):
            machine.execute([])
    with ExecutionMachine.open(path, vm=Echo("p"), workers=0) as machine:
        machine.commit(machine.execute([b"x"]))


def test_a_local_class_is_opened_by_passing_it(tmp_path: Path) -> None:
    class Local(Echo):
        pass

    path = tmp_path / "state"
    ExecutionMachine.create(path, Local, workers=0).close()
    with pytest.raises(VMError, match="pass the class"):
        ExecutionMachine.open(path, workers=0)
    ExecutionMachine.open(path, vm=Local, workers=0).close()


def in_fresh_process(payload: bytes, cwd: Path) -> str:
    """What the VM from `payload` answers in a process that knows nothing but its payload."""
    code = (
        "import pickle, sys; from ioi_exec.vm.carrying import received; "
        "print(received(pickle.load(sys.stdin.buffer)).instance.execute(b'x', None, None))"
    )
    done = subprocess.run([sys.executable, "-c", code], input=payload, capture_output=True, cwd=cwd)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().strip()


def test_vms_travel_to_workers(tmp_path: Path) -> None:
    outside = "captured"

    class Local(Echo):
        def execute(self, tx: bytes, state: StateView, ctx: TxContext) -> bytes:
            return super().execute(tx, state, ctx) + outside.encode()

    for vm, args, expected in [
        (NAME, ["p"], b"px"), (Echo, {"prefix": "p", "times": 2}, b"pxpx"), (Echo("i"), None, b"ix"),
        (Local, ["l"], b"lxcaptured"), (Local("l"), None, b"lxcaptured"),
    ]:
        carried = carry(load_vm(vm, args))
        assert in_fresh_process(pickle.dumps(carried), tmp_path) == repr(expected)


def test_a_vm_from_a_script_travels_too(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(
            """
            import pickle, sys
            from ioi_exec.vm.carrying import carry
            from ioi_exec.vm.loading import load_vm
            class Mine:
                def execute(self, tx, state, ctx):
                    return b"mine " + tx
            sys.stdout.buffer.write(pickle.dumps(carry(load_vm(Mine))))
            """
        )
    )
    made = subprocess.run([sys.executable, str(script)], capture_output=True)
    assert made.returncode == 0, made.stderr.decode()
    assert in_fresh_process(made.stdout, Path("/")) == repr(b"mine x")


def test_a_module_that_a_fresh_process_would_not_find_travels_by_value(tmp_path: Path) -> None:
    module = type(sys)("module_of_nowhere")
    module.__file__ = str(tmp_path / "gone.py")
    exec("class VM:\n def execute(self, tx, state, ctx): return b'nowhere'", module.__dict__)
    sys.modules[module.__name__] = module
    try:
        payload = pickle.dumps(carry(load_vm(module.VM)))
    finally:
        del sys.modules[module.__name__]
    assert in_fresh_process(payload, tmp_path) == repr(b"nowhere")


def test_what_cannot_travel_says_so() -> None:
    vm = Echo()
    vm.lock = threading.Lock()  # type: ignore[attr-defined]
    with pytest.raises(VMError, match="workers=0"):
        carry(load_vm(vm))
