"""What can be imported of ioi_storage, and what that loads: each in a fresh process."""

from __future__ import annotations

import subprocess
import sys

import ioi_storage
import pytest


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("module", ["verify", "verify_ics23"])
def test_who_verifies_loads_neither_lmdb_nor_the_store_nor_c(module: str) -> None:
    code = (
        f"import sys, ioi_storage.{module} as module\n"
        "assert module.InvalidProof\n"
        "print(*(name for name in sys.modules if name.partition('.')[0] in ('ioi_storage', 'lmdb')))"
    )
    loaded = set(run(code).split())
    package = {"ioi_storage", "ioi_storage.proofs", "ioi_storage.verify", "ioi_storage.verify_ics23"}
    assert loaded <= package | {"ioi_storage.proofs.verify", "ioi_storage.proofs.verify_ics23"}
    assert f"ioi_storage.{module}" in loaded and "ioi_storage._core" not in loaded


def test_every_public_name_is_there() -> None:
    assert set(ioi_storage.__all__) == set(ioi_storage._HOME_OF) == set(dir(ioi_storage))
    assert len(ioi_storage.__all__) == len(set(ioi_storage.__all__))
    for name in ioi_storage.__all__:
        getattr(ioi_storage, name)
    with pytest.raises(AttributeError, match="'ioi_storage' has no attribute 'Stor'"):
        ioi_storage.Stor  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["ics23.spec", "verify.verify_existence", "verify_ics23.verify_existence", "errors.StateMissing"])
def test_the_modules_for_users_are_attributes_of_the_package(name: str) -> None:
    run(f"import ioi_storage; ioi_storage.{name}")


@pytest.mark.parametrize("first", ["Store", "Reader", "Restore", "check", "trees.seam", "disk.commit", "latest.upkeep"])
def test_all_trees_are_known_whatever_is_imported_first(first: str) -> None:
    what = f"import ioi_storage.{first}" if "." in first else f"from ioi_storage import {first}"
    code = f"{what}\nimport ioi_storage.trees.seam as seam\nprint(*sorted(seam._trees))"
    assert run(code).split() == ["iavl", "jellyfish"]
