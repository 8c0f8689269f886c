"""Builds the small programs around the real trees: `iavl` (cosmos/iavl v1, by Go) and `jmt` (the Rust crate, by cargo);
`cometbft`, the node whose application the engine is, in three versions; and `revm`, a VM of the engine.

Their sources and pinned versions lie beside this file, those of revm in tools/revm-vm. What is built is kept in the user's cache
directory under a hash of all that went into it, so that it is built once.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Optional

HERE = Path(__file__).resolve().parent


class Unavailable(Exception):
    """This machine cannot build the program: no toolchain, one too old, or no way to the library's sources."""


class BuildFailed(Exception):
    """The program could be built here, but does not build."""


class Program(NamedTuple):
    tool: str
    usual_places: tuple[Path, ...]  # of the tool, beside PATH
    version: str  # what it is asked for its version by
    fetch: tuple[str, ...]
    build: Callable[[Path], tuple[str, ...]]  # into this directory
    built: str  # the executable, within it
    environment: dict[str, str]


COMETBFT = "github.com/cometbft/cometbft/cmd/cometbft"


def _cometbft() -> Program:
    return Program(
        "go",
        (Path("/usr/local/go/bin"),),
        "version",
        ("list", "-mod=readonly", "-deps", COMETBFT),
        lambda out: ("build", "-mod=readonly", "-buildvcs=false", "-o", str(out / "cometbft"), COMETBFT),
        "cometbft",
        {"GOTOOLCHAIN": "local", "GOWORK": "off", "CGO_ENABLED": "0"},
    )


PROGRAMS = {
    "iavl": Program(
        "go",
        (Path("/usr/local/go/bin"),),
        "version",
        ("list", "-mod=readonly", "-deps", "."),
        lambda out: ("build", "-mod=readonly", "-buildvcs=false", "-o", str(out / "iavl"), "."),
        "iavl",
        {"GOTOOLCHAIN": "local", "GOWORK": "off", "CGO_ENABLED": "0"},
    ),
    "cometbft": _cometbft(),
    "cometbft-0.40": _cometbft(),
    "cometbft-1.0": _cometbft(),
    "jmt": Program(
        "cargo",
        (Path.home() / ".cargo" / "bin",),
        "--version",
        ("fetch", "--locked"),
        lambda out: ("build", "--quiet", "--release", "--locked", "--target-dir", str(out)),
        "release/jmt-peer",
        {"CARGO_TERM_COLOR": "never"},
    ),
    "revm": Program(
        "cargo",
        (Path.home() / ".cargo" / "bin",),
        "--version",
        ("fetch", "--locked"),
        lambda out: ("build", "--quiet", "--release", "--locked", "--target-dir", str(out)),
        "release/libioi_revm.so",
        {"CARGO_TERM_COLOR": "never", "PYO3_NO_PYTHON": "1"},
    ),
}

# Said by go and cargo where fetching fails because of what is pinned here rather than for want of a network.
_OUR_FAULT = ("checksum mismatch", "missing go.sum entry", "updates to go.mod needed", "lock file", "parse manifest")
_PATIENCE = 300
_TOO_OLD = ("requires go >=", "requires rustc", "is not supported by the following package", "invalid go version")


def cache_directory() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "ioi-exec-tests"


def program(name: str, sources: Optional[Path] = None, environment: Optional[dict[str, str]] = None, build: bool = True) -> Path:
    """The executable, built unless that was done before. Unavailable, BuildFailed.

    sources: where they lie (default: beside this file). environment: added to that of the toolchain. build: False: it is Unavailable
    where it was not built before."""
    recipe = PROGRAMS[name]
    sources = sources or HERE / name
    tool = _tool(recipe)
    run = _Toolchain(tool, sources, {**os.environ, **recipe.environment, **(environment or {})})
    toolchain = [run(recipe.version), *recipe.build(Path("out")), *sorted(recipe.environment.items())]
    cached = cache_directory() / f"{name}-{_digest(sources, repr(toolchain))}"
    if cached.exists():
        return cached
    cached.parent.mkdir(parents=True, exist_ok=True)
    with _alone(cached.parent):
        if cached.exists():  # another process has built it meanwhile
            return cached
        if not build:
            raise Unavailable(f"{name} was not built before")
        with tempfile.TemporaryDirectory(dir=cached.parent, prefix=f"{name}.") as building:
            run(*recipe.fetch, fetching=True)
            run(*recipe.build(Path(building)))
            os.replace(Path(building) / recipe.built, cached)
    return cached


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Who builds has all cores anyway."""
    held = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)


def _tool(recipe: Program) -> str:
    path = os.pathsep.join([os.environ.get("PATH", ""), *map(str, recipe.usual_places)])
    tool = shutil.which(recipe.tool, path=path)
    if tool is None:
        raise Unavailable(f"there is no {recipe.tool} on this machine")
    return tool


class _Toolchain:
    """Runs a toolchain in the directory of the sources; what it prints on standard output."""

    def __init__(self, tool: str, sources: Path, environment: dict[str, str]) -> None:
        self._tool = tool
        self._sources = sources
        path = os.pathsep.join([str(Path(tool).parent), environment.get("PATH", "")])  # cargo looks for rustc there
        self._environment = {**environment, "PATH": path}

    def __call__(self, *arguments: str, fetching: bool = False) -> str:
        command = [self._tool, *arguments]
        try:
            done = subprocess.run(
                command,
                cwd=self._sources,
                env=self._environment,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_PATIENCE if fetching else None,
            )
        except subprocess.TimeoutExpired:
            raise Unavailable(f"{' '.join(command[:2])}: no answer from the network for {_PATIENCE} s") from None
        if done.returncode == 0:
            return done.stdout
        said = f"{Path(self._tool).name} {arguments[0]}: {done.stderr.strip()[-2000:]}"
        if any(sign in said for sign in _TOO_OLD) or (fetching and not any(sign in said for sign in _OUR_FAULT)):
            raise Unavailable(said)
        raise BuildFailed(said)


def _digest(sources: Path, toolchain: str) -> str:
    digest = hashlib.sha256(toolchain.encode())
    for path in sorted(path for path in sources.rglob("*") if path.is_file() and "target" not in path.relative_to(sources).parts):
        content = path.read_bytes()
        digest.update(b"%s\0%d\0" % (os.fsencode(path.relative_to(sources)), len(content)) + content)
    return digest.hexdigest()[:20]
