"""Imports run one way, as .importlinter says: between packages, and between the rooms of each."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = Path(sys.executable).with_name("lint-imports")
HOMES = {"ioi_exec": ".", "ioi_shm": "shm", "ioi_storage": "storage", "ioi_stress": "tools"}

pytestmark = pytest.mark.skipif(not PROGRAM.exists(), reason="import-linter is not installed: pip install 'ioi-exec[test]'")

# What breaks the rules: the module that imports, what it is made to import, and words of the rule's name.
PLANTED = [
    ("ioi_shm.memory", "import ioi_storage", "neither each other"),
    ("ioi_storage.errors", "import ioi_exec.errors", "neither each other"),
    ("ioi_exec.testing", "import ioi_stress", "The tool knows the engine"),
    ("ioi_stress.running.measure", "import tools.bench", "developers' scripts"),
    ("ioi_exec.state.base", "def f():\n    from ioi_exec import machine", "rooms of the engine"),
    ("ioi_exec.machine.reading", "def f():\n    from ioi_exec.node import wire", "rooms of the engine"),
    ("ioi_exec.node.application", "import ioi_exec.node.server", "rooms of the node"),
    ("ioi_exec.vm.protocol", "import typing\nif typing.TYPE_CHECKING:\n    import ioi_exec.state.base", "rooms of the engine"),
    ("ioi_exec.block.context", "import ioi_exec", "rooms of the engine"),  # its face, which knows them all
    ("ioi_exec.execution.parallel", "import ioi_exec.execution.sequential", "Executors do not know each other"),
    ("ioi_storage.trees.seam", "from ..disk import rows", "rooms of the storage"),
    ("ioi_storage.checking.examine", "def f():\n    from ..moving import chunks", "rooms of the storage"),
    ("ioi_storage.state", "import typing\nif typing.TYPE_CHECKING:\n    from .overlay import OverlayStore", "rooms of the storage"),
    ("ioi_storage.proofs.verify", "import lmdb", "What verifies a proof"),
    ("ioi_stress.notation.text", "import ioi_stress.results.result", "rooms of the tool"),
    ("ioi_stress.tracing.looks", "def f():\n    from ioi_stress.reporting import lanes", "rooms of the tool"),
    ("ioi_stress.plot.lines", "import ioi_stress.reporting.lines", "rooms of the tool"),
]


def lint(folder: Path) -> tuple[int, str]:
    """Exit status and what it said of the packages in `folder`, which come before those that are installed."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(str(folder / home) for home in HOMES.values()), "COLUMNS": "1000"}
    done = subprocess.run([PROGRAM, "--no-cache"], cwd=folder, env=env, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def test_imports_run_one_way() -> None:
    status, said = lint(ROOT)
    assert status == 0 and " 0 broken" in said, said


def taken_from_the_package(source: str) -> set[str]:
    """What a module in a room of ioi_storage imports of the package's face."""
    taken: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.level, node.module) in ((2, None), (0, "ioi_storage")):
            taken |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and (node.module or "").startswith("ioi_storage."):
            taken.add(node.module or "")
        elif isinstance(node, ast.Import):
            taken |= {name.name for name in node.names if name.name.split(".")[0] == "ioi_storage"}
    return taken


def test_rooms_of_the_storage_do_not_know_its_face() -> None:
    """Which has a name for everything; import-linter cannot tell it from the extension in C."""
    home = ROOT / "storage" / "ioi_storage"
    modules = {path.stem for path in home.glob("*.py")}
    rooms = {path.name for path in home.iterdir() if path.is_dir()}
    for path in home.glob("*/*.py"):
        assert taken_from_the_package(path.read_text()) <= {"_core", *modules - {"__init__"}, *rooms}, path
    assert taken_from_the_package("import ioi_storage\nfrom .. import Store, _core") == {"ioi_storage", "Store", "_core"}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("copy")
    shutil.copy(ROOT / ".importlinter", folder)
    for package, home in HOMES.items():
        shutil.copytree(ROOT / home / package, folder / home / package, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    return folder


@pytest.mark.parametrize("module, planted, rule", PLANTED, ids=[f"{module}-{n}" for n, (module, _, _) in enumerate(PLANTED)])
def test_an_import_the_wrong_way_is_found(copy: Path, module: str, planted: str, rule: str) -> None:
    path = copy / HOMES[module.partition(".")[0]] / (module.replace(".", "/") + ".py")
    before = path.read_text()
    path.write_text(f"{before}\n{planted}\n")
    try:
        status, said = lint(copy)
    finally:
        path.write_text(before)
    broken = [line for line in said.splitlines() if " BROKEN" in line]
    assert status == 1 and any(rule in line for line in broken) and f"{module} -> " in said, said


def test_a_new_module_needs_a_room(copy: Path) -> None:
    (copy / "ioi_exec" / "homeless.py").touch()
    try:
        status, said = lint(copy)
    finally:
        (copy / "ioi_exec" / "homeless.py").unlink()
    assert status == 1 and "homeless" in said, said


def test_the_node_is_loaded_where_it_is_asked_for() -> None:
    """Other commands start without it, and the engine does not know it."""
    code = "import sys, ioi_exec.cli; ioi_exec.cli.parser(); print([name for name in sys.modules if 'ioi_exec.node' in name or name == 'sqlite3'])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
