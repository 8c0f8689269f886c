"""The same version of a VM with other code: refused until it is accepted, wherever its files lie."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable

import ioi_shm
import ioi_storage
import pytest

Cli = Callable[..., Any]
RULES = """
import logging
from pathlib import Path

from prices.table import FEES, Kind, fee_of

HERE = Path(__file__).parent
log = logging.getLogger("chain")


class Chain:
    version = 1

    def execute(self, tx, state, ctx):
        \"\"\"Takes a fee.\"\"\"
        log.debug("in %s", HERE)
        state.put(tx, b"%d" % (fee_of(tx) + FEES.get(tx, 0) + Kind.PLAIN.value))
"""
TABLE = """
from enum import Enum
from functools import lru_cache

FEES = {b"a": 1}
UNUSED = 1


class Kind(Enum):
    PLAIN = 3


@lru_cache(maxsize=None)
def fee_of(tx, least=2):
    def twice(n):
        return 2 * n
    return twice(least)
"""
NATIVE = r"""
#include <string.h>
#include "ioi_vm.h"

static int put(const uint8_t *tx, size_t len, ioi_state *state, const char *value) {
    ioi_key key;
    int r = state->key(state, tx, len, &key);
    return r == IOI_OK ? state->put(state, key, (const uint8_t *)value, strlen(value)) : r;
}
static int one(const ioi_vm *vm, const uint8_t *tx, size_t len, ioi_state *state, const ioi_ctx *ctx, ioi_outcome *outcome) {
    return put(tx, len, state, "one");
}
static int two(const ioi_vm *vm, const uint8_t *tx, size_t len, ioi_state *state, const ioi_ctx *ctx, ioi_outcome *outcome) {
    return put(tx, len, state, "two");
}
void *other = (void *)OTHER;
const ioi_vm ioi_vm_made = {.abi = IOI_VM_ABI, .version = 1, .name = "made", .execute = EXECUTE};
"""
LOADER = """
import ioi_shm

class Made:
    def native(self):
        return ioi_shm.load_native_vm({library!r}, "ioi_vm_made")
"""


def refused(cli: Cli, *arguments: object) -> str:
    error: dict[str, Any] = cli(*arguments, "--json", status=2).error
    assert error["kind"] == "VMMismatch" and "ioi-exec upgrade" in error["error"] and "--accept-vm" in error["error"], error
    return str(error["error"])


def write(folder: Path, rules: str = RULES, table: str = TABLE) -> None:
    (folder / "prices").mkdir(exist_ok=True)
    (folder / "prices" / "__init__.py").touch()
    (folder / "chain_rules.py").write_text(rules)
    (folder / "prices" / "table.py").write_text(table)
    shutil.rmtree(folder / "__pycache__", ignore_errors=True)
    shutil.rmtree(folder / "prices" / "__pycache__", ignore_errors=True)


@pytest.fixture
def state(cli: Cli, tmp_path: Path) -> Path:
    write(tmp_path)
    (tmp_path / "genesis.json").write_text('{"state": {}}')
    for number in range(1, 9):
        (tmp_path / f"b{number}").write_text(json.dumps({"header": {"height": number}}) + "\n" + json.dumps({"tx": "61"}) + "\n")
    cli("init", "state", "--genesis", "genesis.json", "--vm", "chain_rules:Chain")
    cli("run", "state", "b1", "--workers=0")
    return tmp_path


def test_in_python(cli: Cli, state: Path) -> None:
    code = cli("info", "state", "--json").object["vm_code"]
    assert code.startswith("CPython ") and len(code.split()[-1]) == 64
    # What decides nothing, and what is called by nobody.
    write(state, RULES.replace("Takes a fee.", "Takes the fee.").replace("HERE = ", "# a comment\n\nHERE = "), TABLE.replace("UNUSED = 1", "UNUSED = 2"))
    cli("run", "state", "b2", "--workers=0")
    height = 2
    for rules, table in (
        (RULES.replace('b"%d"', 'b"%5d"'), TABLE),
        (RULES, TABLE.replace('{b"a": 1}', '{b"a": 2}')),
        (RULES, TABLE.replace("PLAIN = 3", "PLAIN = 4")),
        (RULES, TABLE.replace("least=2", "least=3")),
        (RULES, TABLE.replace("return 2 * n", "return 3 * n")),
    ):
        write(state, rules, table)
        height += 1
        said = refused(cli, "run", "state", f"b{height}", "--workers=0")
        assert "the code of the VM chain_rules:Chain version 1 is not that" in said
        refused(cli, "run", "state", f"b{height}", "--workers=0", "--vm", "chain_rules:Chain")
        assert cli("info", "state", "--json").object["height"] == height - 1
        cli("run", "state", f"b{height}", "--workers=0", "--accept-vm")
    write(state, RULES.replace("version = 1", "version = 2"))
    assert "belongs to the VM" in cli("run", "state", "b8", "--workers=0", "--accept-vm", "--json", status=2).error["error"], "another version is another VM"


def test_wherever_it_lies(cli: Cli, state: Path) -> None:
    code = cli("info", "state", "--json").object["vm_code"]
    other = state / "another place"
    other.mkdir()
    write(other)
    shutil.copytree(state / "state", other / "state")
    for name in ("b2", "b3"):
        shutil.copy(state / name, other)
    run = [sys.executable, "-m", "ioi_exec", "run", "state", "b2", "b3", "--workers=2", "--vm", "chain_rules:Chain"]
    subprocess.run(run, cwd=other, check=True, timeout=120)
    with ioi_storage.Store.open(state / "state") as store:  # as releases before this was recorded left it
        assert store.meta["code"] == code
        store.set_meta({name: value for name, value in store.meta.items() if name != "code"})
    assert cli("info", "state", "--json").object["vm_code"] is None
    cli("run", "state", "b2", "--workers=0")
    assert cli("info", "state", "--json").object["vm_code"] == code, "the first that opens it records it"


def test_an_upgrade_brings_its_code(cli: Cli, state: Path) -> None:
    later = RULES.replace("version = 1", "version = 2")
    (state / "later_rules.py").write_text(later)
    cli("upgrade", "state", "--vm", "later_rules:Chain", "--height", 3)
    (state / "later_rules.py").write_text(later.replace('b"%d"', 'b"%5d"'))
    cli("run", "state", "b2", "--workers=0")
    assert "later_rules:Chain version 2" in refused(cli, "run", "state", "b3", "--workers=0")
    (state / "later_rules.py").write_text(later)
    shutil.rmtree(state / "__pycache__", ignore_errors=True)
    cli("run", "state", "b3", "--workers=0")
    info = cli("info", "state", "--json").object
    assert info["vm_version"] == "2" and info["vm_code"]


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_in_c(cli: Cli, state: Path) -> None:
    def build(folder: str, source: str, *options: str) -> None:
        place = state / folder
        place.mkdir(exist_ok=True)
        (place / "made.c").write_text(source)
        command = ["cc", "-shared", "-fPIC", "-O1", "-g", f"-I{ioi_shm.include_dir()}", *options, str(place / "made.c"), "-o", str(place / "made.so")]
        subprocess.run(command, check=True, timeout=120)
        (state / "made_loader.py").write_text(LOADER.format(library=str(place / "made.so")))
        shutil.rmtree(state / "__pycache__", ignore_errors=True)

    source = NATIVE.replace("EXECUTE", "one").replace("OTHER", "two")
    build("here", source)
    cli("init", "native", "--genesis", "genesis.json", "--vm", "made_loader:Made")
    cli("run", "native", "b1", "--workers=0")
    assert cli("info", "native", "--json").object["vm_code"].startswith("ELF ")
    build("a place elsewhere", source, "-g3")  # other debugging information, of other files
    cli("run", "native", "b2", "--workers=0")
    height = 2
    for other in (
        source.replace('"one"', '"uno"'),  # data
        source.replace("strlen(value)", "strlen(value) - 1"),  # code
        NATIVE.replace("EXECUTE", "two").replace("OTHER", "one"),  # addresses alone
    ):
        build("here", other)
        height += 1
        assert "made_loader:Made version 1" in refused(cli, "run", "native", f"b{height}", "--workers=0")
        cli("run", "native", f"b{height}", "--workers=0", "--accept-vm")
        cli("run", "native", f"b{height}", "--resume", "--workers=0")
