"""What is in the source tree is in the wheel: the lists of setup.cfg forget nothing."""

from __future__ import annotations

import configparser
import importlib.util
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
HOMES = {
    "ioi_exec": ROOT / "ioi_exec",
    "ioi_shm": ROOT / "shm" / "ioi_shm",
    "ioi_storage": ROOT / "storage" / "ioi_storage",
    "ioi_stress": ROOT / "tools" / "ioi_stress",
}


def test_every_package_is_listed() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    listed = set(config["options"]["packages"].split())
    there = {
        ".".join((name, *init.parent.relative_to(home).parts))
        for name, home in HOMES.items()
        for init in home.rglob("__init__.py")
    }
    assert listed == there


def test_every_package_says_it_is_typed() -> None:
    assert all((home / "py.typed").exists() for home in HOMES.values())


def test_every_extension_has_its_stub_in_the_wheel() -> None:
    """The names in setup.py are those of the stubs beside the packages, whose package data includes stubs."""
    built = set(re.findall(r'core\(\s*"([\w.]+)"', (ROOT / "setup.py").read_text()))
    stubs = {f"{name}.{stub.stem}" for name, home in HOMES.items() for stub in home.glob("_*.pyi")}
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    assert built == stubs and "ioi_stress._program" in built
    for name in built:
        assert "*.pyi" in config["options.package_data"][name.partition(".")[0]]
        assert importlib.util.find_spec(name) is not None


def test_a_source_distribution_has_what_is_not_in_the_wheel() -> None:
    lines = [line.split() for line in (ROOT / "MANIFEST.in").read_text().splitlines() if not line.startswith("#")]
    named = {name for command, *names in lines if command in ("include", "graft") for name in names}
    assert all((ROOT / name).exists() for name in named)
    at_the_top = {path.name for path in ROOT.iterdir() if path.suffix == ".md" and path.name != "README.md"}
    assert at_the_top | {"docs", "examples", "tests", "tools", "Makefile", "storage/README.md"} <= named


def test_everything_a_page_is_made_of_is_in_the_wheel() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    for package, folder in (("ioi_stress.reporting", HOMES["ioi_stress"] / "reporting"), ("ioi_exec.node", HOMES["ioi_exec"] / "node")):
        patterns = [each.strip() for each in config["options.package_data"][package].split(",")]
        there = {path for path in folder.rglob("*") if path.suffix in (".css", ".html", ".js", ".svg")}
        assert len(there) > 10 and there <= {path for pattern in patterns for path in folder.glob(pattern)}
