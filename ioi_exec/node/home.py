"""A node's home: its settings, its state, and what the consensus is set to.

    HOME/config.toml     settings, written once by `ioi-exec node init`; the operator's from then on
    HOME/state           the state, as every command of ioi-exec takes it
    HOME/consensus.db    what the consensus is set to, by height
    HOME/snapshots/H     snapshots for nodes that join, by height
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Iterator, Mapping, TypeVar

from ioi_shm import WORKERS_MAX

from ioi_exec.arguments import MAX_INT64
from ioi_exec.errors import InputError, StateExists, StateMissing
from ioi_exec.files.strict_json import Malformed, parse
from ioi_exec.node.addresses import address_of

CONFIG, STATE, CONSENSUS, SNAPSHOTS = "config.toml", "state", "consensus.db", "snapshots"

_PREFIX = "IOI_NODE_"
_SOCKET = "abci.sock"
_Section = TypeVar("_Section", "Chain", "Abci", "Engine", "Snapshots", "Monitoring", "Log")


@dataclass(frozen=True)
class Chain:
    id: str
    vm: str
    vm_args: str = ""

    def args(self) -> dict[str, Any] | list[Any] | None:
        """Arguments of the VM's class. Raises InputError."""
        try:
            found: Any = parse(self.vm_args.encode("utf-8", "surrogateescape"), floats=True) if self.vm_args else None
        except Malformed as error:
            raise InputError(f"chain.vm_args: {error}") from None
        if found is not None and not isinstance(found, (dict, list)):
            raise InputError("chain.vm_args: give a JSON object (arguments by name) or a list (in order)")
        return found


@dataclass(frozen=True)
class Abci:
    listen: str = f"unix://{_SOCKET}"
    message_bytes: int = 128 << 20


@dataclass(frozen=True)
class Engine:
    workers: int = -1
    keep: int = 0
    propose_ms: int = 1000
    min_retain_blocks: int = 0
    halt_height: int = 0
    simulate: int = 0


@dataclass(frozen=True)
class Snapshots:
    every: int = 0
    keep: int = 2


@dataclass(frozen=True)
class Monitoring:
    listen: str = ""
    ready_seconds: int = 60


@dataclass(frozen=True)
class Log:
    format: str = "text"
    level: str = "info"


_WORDS = {
    "chain.id": "Which chain this is. CometBFT's genesis must say the same.",
    "chain.vm": '"payments", or "package.module:Class", which is found from the working directory.',
    "chain.vm_args": "Arguments of the VM's class: a JSON object or list as text. Empty: none.",
    "abci.listen": '"unix://PATH", relative to this directory, or "tcp://HOST:PORT". What connects is believed to be this chain\'s node.',
    "abci.message_bytes": "Bytes of one message, at most: above CometBFT's block.max_bytes.",
    "engine.workers": "Worker processes. -1: one per core; 0: in this process, one by one.",
    "engine.keep": "How many of the newest versions stay readable and provable. 0: all.",
    "engine.propose_ms": "About how long a block that is proposed is executed before it is cut, below CometBFT's timeout_propose. 0: as long as it takes.",
    "engine.simulate": "1: a query of /simulate executes a transaction, in its turn with blocks: not where anybody may ask. 0: none does.",
    "engine.min_retain_blocks": "How many blocks CometBFT is to keep at least; it may delete older ones that nothing else needs. 0: all are kept.",
    "engine.halt_height": "The daemon ends once the block of this height is committed. 0: it does not.",
    "snapshots.every": "A snapshot, for nodes that join by state sync, is taken of each height that this divides; alike on all nodes. 0: of none.",
    "snapshots.keep": "How many of the newest snapshots stay.",
    "monitoring.listen": 'Where /metrics, /healthz and /readyz are, as abci.listen has it; anybody who connects may read them. Empty: nowhere.',
    "monitoring.ready_seconds": "/readyz says no when the newest block is older, or was committed longer ago. 0: however old it is.",
    "log.format": '"text", or "json": one object a line.',
    "log.level": '"debug", "info", "warning" or "error".',
}
_CHOICES = {"log.format": ("text", "json"), "log.level": ("debug", "info", "warning", "error")}
_LEAST = {
    "abci.message_bytes": 1 << 20, "engine.workers": -1, "engine.keep": 0, "engine.propose_ms": 0, "engine.min_retain_blocks": 0,
    "engine.halt_height": 0, "engine.simulate": 0, "snapshots.every": 0, "snapshots.keep": 1, "monitoring.ready_seconds": 0,
}
_MOST = {"engine.workers": WORKERS_MAX, "engine.simulate": 1}


@dataclass(frozen=True)
class Config:
    chain: Chain
    abci: Abci = Abci()
    engine: Engine = Engine()
    snapshots: Snapshots = Snapshots()
    monitoring: Monitoring = Monitoring()
    log: Log = Log()

    def to_toml(self) -> str:
        lines = [f"# Settings of a node. Each is taken from the environment where that has it: {_PREFIX}ABCI_LISTEN for abci.listen, say."]
        for section in fields(self):
            lines += ["", f"[{section.name}]"]
            part = getattr(self, section.name)
            for key in fields(part):
                lines += [f"# {_WORDS[f'{section.name}.{key.name}']}", f"{key.name} = {_toml(getattr(part, key.name))}"]
        return "\n".join(lines) + "\n"

    def to_json(self) -> dict[str, Any]:
        return {
            section.name: {key.name: getattr(getattr(self, section.name), key.name) for key in fields(getattr(self, section.name))}
            for section in fields(self)
        }

    @classmethod
    def read(cls, text: str, name: str, environment: Mapping[str, str]) -> Config:
        """name: how messages call the file. Raises InputError."""
        found = _parsed(text, name)
        sections = {"chain": Chain, "abci": Abci, "engine": Engine, "snapshots": Snapshots, "monitoring": Monitoring, "log": Log}
        if unknown := found.keys() - sections.keys():
            raise InputError(f"{name}: there is no section [{min(unknown)}]: there are {', '.join(sections)}")
        known = {f"{_PREFIX}{part}_{key.name}".upper() for part, kind in sections.items() for key in fields(kind)}
        if strange := sorted(key for key in environment if key.startswith(_PREFIX) and key not in known):
            raise InputError(f"the environment has {strange[0]}, and no setting is called so: there are {', '.join(sorted(known))}")
        parts: dict[str, Any] = {part: _section(kind, part, found.get(part, {}), name, environment) for part, kind in sections.items()}
        return cls(**parts)


class Home:
    """The files of a node, and its settings as they are now."""

    def __init__(self, path: str | os.PathLike[str], environment: Mapping[str, str] | None = None) -> None:
        """Raises StateMissing where `node init` made none, InputError for settings that cannot be."""
        self.path = Path(path)
        try:
            text = (self.path / CONFIG).read_text(encoding="utf-8")
        except (FileNotFoundError, NotADirectoryError):
            raise StateMissing(f"{path} is no node's home: there is no {CONFIG} in it; make one with ioi-exec node init") from None
        except UnicodeDecodeError:
            raise InputError(f"{self.path / CONFIG}: it is not UTF-8") from None
        self.config = Config.read(text, str(self.path / CONFIG), os.environ if environment is None else environment)

    @property
    def state(self) -> Path:
        return self.path / STATE

    @property
    def consensus(self) -> Path:
        return self.path / CONSENSUS

    @property
    def snapshots(self) -> Path:
        return self.path / SNAPSHOTS


@contextmanager
def begun(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A directory for a home that is made inside, which is none before `finish`; where that fails, no empty directory is left. Raises StateExists."""
    home = Path(path)
    if home.exists() and (not home.is_dir() or any(home.iterdir())):
        raise StateExists(f"{path} is taken: a home is made where there is nothing yet, and none is written over. Where the making of "
            "one was interrupted, remove what it left")
    made = [folder for folder in (home, *home.parents) if not folder.exists()]
    home.mkdir(parents=True, exist_ok=True)
    try:
        yield home
    except BaseException:
        with suppress(OSError):  # what is not empty stays
            for folder in made:
                folder.rmdir()
        raise


def finish(home: Path, config: Config) -> None:
    """Write its settings, which makes it a home: the last thing that `node init` does."""
    beside = home / f"{CONFIG}.new"
    with open(beside, "x", encoding="utf-8") as file:
        file.write(config.to_toml())
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, home / CONFIG)
    folder = os.open(home, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _section(kind: type[_Section], part: str, given: object, name: str, environment: Mapping[str, str]) -> _Section:
    if not isinstance(given, dict):
        raise InputError(f"{name}: {part} is no section: write [{part}]")
    keys = {key.name: key for key in fields(kind)}
    if unknown := given.keys() - keys.keys():
        raise InputError(f"{name}: there is no {part}.{min(unknown)}: [{part}] has {', '.join(keys)}")
    values: dict[str, Any] = {}
    for key in keys.values():
        said, variable, whole = f"{name}: {part}.{key.name}", f"{_PREFIX}{part}_{key.name}".upper(), key.type == "int"
        value = given.get(key.name)
        if variable in environment:
            said, value = variable, _from_environment(variable, environment[variable], whole)
        if value is None:
            continue
        if type(value) is not (int if whole else str):
            raise InputError(f"{said} is {value!r}: give {'a whole number' if whole else 'text'}")
        values[key.name] = _allowed(f"{part}.{key.name}", said, value)
    if missing := [key for key in ("id", "vm") if key in keys and key not in values]:
        raise InputError(f"{name}: {part}.{missing[0]} is missing")
    return kind(**values)


def _from_environment(variable: str, value: str, whole: bool) -> int | str:
    if not whole:
        return value
    try:
        return int(value)
    except ValueError:
        raise InputError(f"{variable} is {value!r}: give a whole number") from None


def _allowed(key: str, said: str, value: int | str) -> int | str:
    if key in _CHOICES and value not in _CHOICES[key]:
        raise InputError(f"{said} is {value!r}: give one of {', '.join(_CHOICES[key])}")
    if isinstance(value, str) and key.endswith(".listen") and (value or key == "abci.listen"):
        address_of(value, Path(), said)
    if isinstance(value, int) and not _LEAST[key] <= value <= _MOST.get(key, MAX_INT64):
        raise InputError(f"{said} is {value}: give a whole number from {_LEAST[key]} to {_MOST.get(key, MAX_INT64)}")
    return value


def _parsed(text: str, name: str) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        try:
            import tomli as tomllib  # type: ignore[import-not-found, no-redef, unused-ignore]
        except ImportError:
            raise InputError(f"{name} cannot be read by Python 3.10 alone: pip install 'ioi-exec[node]'") from None
    try:
        found: dict[str, Any] = tomllib.loads(text)
        return found
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{name}: {error}") from None
    except RecursionError:
        raise InputError(f"{name}: it is nested too deeply") from None


def _toml(value: int | str) -> str:
    # A TOML string is one of JSON but for the character 7F, which has to be escaped too.
    return str(value) if isinstance(value, int) else json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")
