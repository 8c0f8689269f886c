"""What the documents name is there: links, files, tests, planted bugs, modules, make targets, benchmarks."""

from __future__ import annotations

import importlib
import re
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *ROOT.glob("*/README.md"), *ROOT.glob("storage/*/*/README.md")]
)
TOP = ("ioi_exec", "shm", "storage", "tests", "tools", "docs", "examples", "deploy")
SOURCES = (".py", ".pyi", ".c", ".h", ".css", ".js", ".toml", ".cfg", ".md")

texts = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


def code(text: str) -> list[str]:
    """What stands between single backticks."""
    return re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL))


@cache
def file_names() -> set[str]:
    return {path.name for folder in TOP for path in (ROOT / folder).rglob("*")} | {path.name for path in ROOT.iterdir()}


def anchors(text: str) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_there_is_something_to_check() -> None:
    names = {str(path.relative_to(ROOT)) for path in DOCUMENTS}
    assert names >= {"README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/architecture.md", "storage/README.md"}


@texts
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        there = path.parent / file if file else path
        assert there.exists(), f"{path}: {target}"
        assert not anchor or anchor in anchors(there.read_text()), f"{path}: {target}"


@texts
def test_files_exist(path: Path) -> None:
    text = path.read_text()
    for name in re.findall(rf"(?<![\w./-])((?:{'|'.join(TOP)})/[\w./*-]*[\w*/])", text):
        assert "*" in name and list(ROOT.glob(name)) or (ROOT / name).exists(), f"{path}: {name}"
    for name in code(text):
        if re.fullmatch(r"[\w.*/-]+", name) and name.endswith(SOURCES) and not name.startswith("."):
            last = name.rpartition("/")[2]
            assert any(Path(there).match(last) for there in file_names()), f"{path}: {name}"


@texts
def test_tests_exist(path: Path) -> None:
    for file, name in re.findall(r"(tests/[\w/]+\.(?:py|c))::(\w+)", path.read_text()):
        found = rf"^def {name}\(" if file.endswith(".py") else rf"^static void {name}\("
        assert re.search(found, (ROOT / file).read_text(), re.MULTILINE), f"{path}: {file}::{name}"


def test_every_invariant_names_what_fails_without_it() -> None:
    """In the last column of the tables of invariants: tests, and bugs that mutants.py plants."""
    sys.path.insert(0, str(ROOT / "tests" / "core"))
    planted = {mutant.name for mutant in importlib.import_module("mutants").MUTANTS}
    _, _, text = (ROOT / "docs" / "architecture.md").read_text().partition("## What must hold")
    rows = [row.strip("| ").split(" | ") for row in re.findall(r"^\| .*$", text, re.MULTILINE)]
    invariants = [row for row in rows if row[0] != "what holds"]
    assert len(invariants) > 20
    for holds, stated, fails in invariants:
        assert "](" in stated, holds
        names = code(fails)
        assert names, holds
        for name in names:
            assert re.fullmatch(r"tests/[\w/]+\.(py|c)::\w+", name) or name in planted, f"{holds}: {name}"


@texts
def test_modules_and_their_names_are_there(path: Path) -> None:
    for name in code(path.read_text()):
        dotted = re.match(r"(?:ioi_exec|ioi_shm|ioi_storage|ioi_stress|tools)(?:\.\w+)+", name)
        if dotted and not name.endswith(SOURCES):
            module, *attributes = dotted[0].split(".")
            found = importlib.import_module(module)
            for attribute in attributes:
                module += f".{attribute}"
                found = getattr(found, attribute, None) or importlib.import_module(module)


@texts
def test_commands_for_developers_exist(path: Path) -> None:
    text = path.read_text()
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:`|^)make ([a-z][\w-]*)", text, re.MULTILINE)) <= targets
    benches = set(re.findall(r'^    "(\w+)": ', (ROOT / "tools" / "bench" / "__main__.py").read_text(), re.MULTILINE))
    assert benches and set(re.findall(r"tools\.bench ([a-z]\w*)", text)) <= benches
