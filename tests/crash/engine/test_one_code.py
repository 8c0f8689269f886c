"""Workers execute exactly what the machine was given, whenever they start; where that cannot be, nothing is executed."""

from __future__ import annotations

import importlib
import os
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path
from types import ModuleType
from typing import Any, Callable, Iterator

import pytest

from ioi_exec import ExecutionMachine, StateView, TxContext, VMError
from ioi_exec.execution.executors import SharedPools
from ioi_exec.vm.carrying import carry
from ioi_exec.vm.code import code_of
from ioi_exec.vm.loading import load_vm

Rules = Callable[..., ModuleType]


@pytest.fixture
def rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rules]:
    """rules(text, name="rules"): writes a module and imports it."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    made: set[str] = set()

    def write(text: str, name: str = "rules", load: bool = True) -> ModuleType:
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(text))
        importlib.invalidate_caches()
        made.add(name)
        return importlib.import_module(name) if load else sys.modules[name]

    yield write
    for name in made:
        sys.modules.pop(name, None)


def options(pools: SharedPools) -> dict[str, Any]:
    return dict(workers=2, pin=False, executors=pools.executors())


def outputs(machine: ExecutionMachine, sequential: bool = False) -> set[bytes]:
    return {receipt.output for receipt in machine.execute([b"a", b"b", b"c"], sequential=sequential).receipts}


VERSION = "class V:\n    def execute(self, tx, state, ctx): return b'{}'\n"


def test_workers_that_start_later_execute_what_the_first_did(rules: Rules, pools: SharedPools) -> None:
    module = rules(VERSION.format(1))
    with ExecutionMachine.create(None, module.V, **options(pools)) as machine:
        assert outputs(machine) == outputs(machine, sequential=True) == {b"1"}
        rules(VERSION.format(2), load=False)
        for pid in machine.worker_pids:
            os.kill(pid, signal.SIGKILL)
        assert outputs(machine) == outputs(machine, sequential=True) == {b"1"}


def test_a_template_that_is_lost_comes_back_with_the_same_code_or_not_at_all(rules: Rules, pools: SharedPools) -> None:
    module = rules(VERSION.format(1))
    with ExecutionMachine.create(None, module.V, **options(pools)) as machine:
        (template,) = (outputs(machine), pools.templates()._made.values())[1]
        for text, refused in ((VERSION.format(1), False), (VERSION.format(2), True), (VERSION.format(1), False)):
            rules(text, load=False)
            if template._server is not None:
                template._server.process.kill()
                assert template._server.process.ended(30)
            if refused:
                with pytest.raises(VMError, match="rules:V changed since this machine began.*rules:V.execute has other code there"):
                    outputs(machine)
            else:
                assert outputs(machine) == {b"1"}


def test_a_file_that_changed_between_its_import_and_the_first_block(rules: Rules, pools: SharedPools) -> None:
    module = rules(VERSION.format(1))
    rules(VERSION.format(2), load=False)
    with ExecutionMachine.create(None, module.V, **options(pools)) as machine:
        for sequential in (False, True):
            with pytest.raises(VMError, match="not the same in its workers as here: rules:V.execute has other code there"):
                outputs(machine, sequential)


CONFIGURED = """
import helper
from dataclasses import dataclass
from enum import Enum

FEE = 1
TABLE = {"a": [1, 2]}

@dataclass
class Config:
    fee: int = 1

CONFIG = Config()

class Base:
    rate = 1

class V(Base):
    def __init__(self, fee=1):
        self.fee = fee
    def execute(self, tx, state, ctx):
        return b"%d" % (FEE + CONFIG.fee + self.rate + self.fee + TABLE["a"][0] + helper.LEVEL + helper.double(1))
"""
HELPER = "LEVEL = 1\nUNUSED = 1\ndef double(n): return 2 * n\n"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda m: setattr(m, "FEE", 5), r"rules.FEE is 5 here and 1 there"),
        (lambda m: setattr(m.V, "rate", 5), r"rules:V.rate is 5 here and missing there"),
        (lambda m: setattr(m.Base, "rate", 5), r"rules:Base.rate is 5 here and 1 there"),
        (lambda m: setattr(m.CONFIG, "fee", 5), r"rules.CONFIG is .*5.* here and .*1.* there"),
        (lambda m: m.TABLE["a"].append(3), r"rules.TABLE is .*3.* here"),
        (lambda m: setattr(m.helper, "LEVEL", 5), r"helper.LEVEL is 5 here and 1 there"),
        (lambda m: setattr(m.helper, "double", lambda n: 3 * n), r"helper"),
        (lambda m: setattr(m.V, "execute", lambda self, tx, state, ctx: b"other"), r"rules:V"),
    ],
)
def test_what_was_set_after_the_import_is_an_error_that_says_what_to_do(
    rules: Rules, pools: SharedPools, change: Callable[[ModuleType], None], named: str
) -> None:
    rules(HELPER, "helper")
    module = rules(CONFIGURED)
    change(module)
    with ExecutionMachine.create(None, module.V, **options(pools)) as machine:
        for sequential in (False, True):
            with pytest.raises(VMError, match=rf"(?s)not the same in its workers as here: .*{named}.*vm_args"):
                outputs(machine, sequential)


def test_arguments_instances_and_what_the_vm_does_not_use_are_no_matter(rules: Rules, pools: SharedPools) -> None:
    rules(HELPER, "helper")
    module = rules(CONFIGURED)
    module.helper.UNUSED = 5
    for vm, args in ((module.V, {"fee": 5}), (module.V(5), None)):
        with ExecutionMachine.create(None, vm, vm_args=args, **options(pools)) as machine:
            assert outputs(machine) == outputs(machine, sequential=True) == {b"12"}


def test_a_module_that_was_loaded_again(rules: Rules, pools: SharedPools) -> None:
    module = rules(VERSION.format(1))
    former = module.V
    with ExecutionMachine.create(None, former, **options(pools)) as machine:
        assert outputs(machine) == {b"1"}
        rules(VERSION.format(2), load=False)
        importlib.reload(module)
        assert outputs(machine) == {b"1"}
        with ExecutionMachine.create(None, module.V, **options(pools)) as other:
            assert outputs(other) == outputs(other, sequential=True) == {b"2"}
        assert outputs(machine) == {b"1"}
    with ExecutionMachine.create(None, former, **options(pools)) as machine:
        assert outputs(machine) == outputs(machine, sequential=True) == {b"1"}


THREADED = """
import threading
threading.Thread(target=threading.Event().wait, daemon=True).start()
class V:
    def execute(self, tx, state, ctx): return b'{}'
"""
CONNECTED = "import os\nKEPT = os.open('/dev/null', os.O_RDONLY)\n" + VERSION


@pytest.mark.parametrize(("text", "why"), [(THREADED, "1 thread running"), (CONNECTED, "files or connections open")])
def test_a_vm_that_cannot_be_forked_is_loaded_by_each_worker(
    rules: Rules, pools: SharedPools, caplog: pytest.LogCaptureFixture, text: str, why: str
) -> None:
    module = rules(text.format(1))
    with ExecutionMachine.create(None, module.V, **options(pools)) as machine:
        assert outputs(machine) == outputs(machine, sequential=True) == {b"1"}
        assert [record.message for record in caplog.records] == [
            f"each worker loads the VM rules:V for itself, which takes longer: loading it left {why}"
        ]
        rules(text.format(2), load=False)
        assert outputs(machine) == {b"1"}
        for pid in machine.worker_pids:
            os.kill(pid, signal.SIGKILL)
        for sequential in (False, True):
            with pytest.raises(VMError, match="changed since this machine began to execute.*rules:V.execute has other code"):
                outputs(machine, sequential)
        rules(text.format(1), load=False)
        assert outputs(machine) == {b"1"}
    if hasattr(module, "KEPT"):
        os.close(module.KEPT)


def test_nothing_that_a_module_can_hold_differs_by_itself(pools: SharedPools) -> None:
    import all_kinds

    assert len(code_of(all_kinds.V)) > 80
    with ExecutionMachine.create(None, all_kinds.V, **options(pools)) as machine:
        assert outputs(machine) == outputs(machine, sequential=True) == {b"13xOld(x=1, y=2)1" + b"1AB"}


OPTIMIZED = """
import sys
from ioi_exec import ExecutionMachine, VMError

def local():
    class V:
        def execute(self, tx, state, ctx):
            assert tx != b"x"
    return V

class Main(local()): pass

for vm in (Main, local()):
    try:
        with ExecutionMachine.create(None, vm, workers=1, pin=False) as machine:
            print(machine.execute([b"x"]).failed)
    except VMError as error:
        print("refused:", "run it without -O" in str(error))
"""


@pytest.mark.parametrize(("flags", "expected"), [([], "1\n1\n"), (["-O"], "refused: True\nrefused: True\n")])
def test_code_whose_asserts_are_gone_is_not_carried(tmp_path: Path, flags: list[str], expected: str) -> None:
    (tmp_path / "script.py").write_text(OPTIMIZED)
    done = subprocess.run([sys.executable, *flags, "script.py"], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, expected), done.stderr


def test_memory_is_shared_and_no_worker_has_the_threads_of_another(pools: SharedPools) -> None:
    class Threads:
        def execute(self, tx: bytes, state: StateView, ctx: TxContext) -> bytes:
            return b"%d" % len(os.listdir("/proc/self/task"))

    with ExecutionMachine.create(None, Threads, **options(pools)) as machine:
        assert outputs(machine) == {b"2"}  # its own, and the one that listens to the engine


class Inherits:
    """Says which descriptors a program that it started would have."""

    def execute(self, tx: bytes, state: StateView, ctx: TxContext) -> bytes:
        found = []
        for name in os.listdir("/proc/self/fd"):
            try:
                if int(name) > 2 and os.get_inheritable(int(name)):
                    found.append(os.readlink(f"/proc/self/fd/{name}"))
            except OSError:
                pass
        return str([name for name in found if "ioi-state" not in name]).encode()  # that one LMDB opens, and who has it holds nothing up


def test_what_is_started_by_a_worker_or_the_engine_inherits_nothing_of_it(pools: SharedPools) -> None:
    """A channel that someone else holds open would outlive who it belongs to."""
    with ExecutionMachine.create(None, Inherits, **options(pools)) as machine:
        assert outputs(machine) == outputs(machine, sequential=True) == {b"[]"}
        processes = pools.get(2, False, None)._processes
        assert not any(os.get_inheritable(process._fd) for process in processes)


IMPATIENT = """
import socket, time
class V:
    def execute(self, tx, state, ctx):
        time.sleep(0.3)
        return str(socket.getdefaulttimeout()).encode()
"""


@pytest.mark.parametrize("whose", ["socket.setdefaulttimeout(0.1)", ""], ids=["the VM's", "the program's"])
def test_a_default_timeout_of_sockets_is_none_of_a_channel(rules: Rules, pools: SharedPools, whose: str) -> None:
    former = socket.getdefaulttimeout()
    try:
        module = rules(IMPATIENT.replace("\nclass V", f"\n{whose}\nclass V"))
        socket.setdefaulttimeout(0.1)
        with ExecutionMachine.create(None, module.V, **options(pools)) as machine:
            expected = {b"0.1" if whose else b"None"}
            assert outputs(machine) == outputs(machine, sequential=True) == expected
            assert machine.execute([b"a"]).stats.retries == 0
    finally:
        socket.setdefaulttimeout(former)


def test_a_block_that_is_interrupted_while_its_vm_loads_says_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "rules.py").write_text(
        "import os, signal, time\n"
        "if 'ENGINE' in os.environ:\n    os.kill(int(os.environ['ENGINE']), signal.SIGINT)\n    time.sleep(0.3)\n" + VERSION.format(1)
    )
    (tmp_path / "script.py").write_text(
        "import os, rules\nfrom ioi_exec import ExecutionMachine\n"
        "with ExecutionMachine.create(None, rules.V, workers=2, pin=False) as machine:\n"
        "    os.environ['ENGINE'] = str(os.getpid())\n    machine.execute([b'x'])\n"
    )
    done = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True)
    assert done.stderr.endswith("KeyboardInterrupt\n") and done.stderr.count("Traceback") == 1, done.stderr


SIBLINGS = {
    "pkg/__init__.py": "",
    "pkg/test_base.py": "class Base:\n    def execute(self, tx, state, ctx): return self.word + tx\n",
    "pkg/test_vm.py": """
        from .test_base import Base
        from ioi_exec.testing import assert_serializable
        class V(Base):
            word = b"w"
        def test_it(ioi):
            machine = ioi(vm=V)
            assert machine.execute([b"x"]).receipts[0].output == b"wx"
            assert machine.execute([b"x"], sequential=True).receipts[0].output == b"wx"
    """,
    "flat/test_other_base.py": "class Base:\n    def execute(self, tx, state, ctx): return b'flat' + tx\n",
    "flat/test_flat.py": """
        import importlib.util, pathlib, sys
        spec = importlib.util.spec_from_file_location("sibling", pathlib.Path(__file__).with_name("test_other_base.py"))
        sibling = importlib.util.module_from_spec(spec); sys.modules["sibling"] = sibling; spec.loader.exec_module(sibling)
        class V(sibling.Base): pass
        def test_it(ioi):
            assert ioi(vm=V).execute([b"x"]).receipts[0].output == b"flatx"
    """,
}


@pytest.mark.parametrize("mode", ["importlib", "prepend"])
def test_a_base_class_in_a_sibling_test_module(tmp_path: Path, mode: str) -> None:
    for name, text in SIBLINGS.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(textwrap.dedent(text))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--import-mode={mode}", "--ioi-workers=0,1", "."]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and "4 passed" in done.stdout, done.stdout + done.stderr


ODD_PATH = """
import os, pathlib, sys
sys.path[:0] = [pathlib.Path("nowhere"), b"bytes", "lib"]
import odd
from ioi_exec import ExecutionMachine
os.chdir("/")
with ExecutionMachine.create(None, odd.V, workers=1, pin=False) as machine:
    print(machine.execute([b"x"]).receipts[0], machine.execute([b"x"], sequential=True).receipts[0].output)
"""


def test_odd_entries_in_sys_path_and_another_working_directory_since(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "odd.py").write_text("class V:\n    def execute(self, tx, state, ctx):\n        import late\n        return late.word\n")
    (tmp_path / "lib" / "late.py").write_text("word = b'late'\n")
    (tmp_path / "script.py").write_text(ODD_PATH)
    done = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and "output=b'late'" in done.stdout and done.stdout.endswith("b'late'\n"), done.stdout + done.stderr


def test_registries_of_the_embedding_program_are_left_as_they_are(tmp_path: Path) -> None:
    import cloudpickle

    module = ModuleType("of_nowhere")
    exec("class V:\n    def execute(self, tx, state, ctx): return b'1'", module.__dict__)
    sys.modules[module.__name__] = module
    try:
        carry(load_vm(module.V))
        assert module.__name__ not in cloudpickle.list_registry_pickle_by_value()
        cloudpickle.register_pickle_by_value(module)
        carry(load_vm(module.V))
        assert module.__name__ in cloudpickle.list_registry_pickle_by_value()
        cloudpickle.unregister_pickle_by_value(module)
    finally:
        del sys.modules[module.__name__]


def test_a_worker_is_there_in_no_time_though_its_vm_is_slow_to_load(rules: Rules, pools: SharedPools) -> None:
    module = rules("import time\ntime.sleep(0.5)\n" + VERSION.format(1))
    with ExecutionMachine.create(None, module.V, **options(pools)) as machine:
        outputs(machine)
        (template,) = pools.templates()._made.values()
        assert template._server is not None
        pid = template._server.process.pid
        pools.get(2, False, None).kill()
        assert outputs(machine) == {b"1"}
        assert template._server.process.pid == pid, "the VM was loaded again"
