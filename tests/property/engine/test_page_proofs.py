"""The verifier of the page, in JavaScript, and the one in Python say the same of every proof, true or forged.

IOI_PAGE_PROOFS random states a tree.
"""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from pathlib import Path

import effort
import pytest
from page_proofs import cases

import ioi_exec

NODE = shutil.which("node")
PAGE = Path(ioi_exec.__file__).parent / "node" / "page"
SEEDS = effort.seeds("IOI_PAGE_PROOFS", sample=2, many=6)


@pytest.mark.sampled
@pytest.mark.skipif(NODE is None, reason="no node (nodejs) on the path to run JavaScript with")
@pytest.mark.parametrize("tree", ["jellyfish", "iavl"])
def test_both_verifiers_agree(tree: str) -> None:
    found = [case for seed in SEEDS for case in cases(tree, random.Random(seed))]
    lines = "".join(json.dumps(case.to_json()) + "\n" for case in found)
    assert NODE is not None
    done = subprocess.run(
        [NODE, str(Path(__file__).with_name("verdicts.mjs")), str(PAGE)], input=lines, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    verdicts = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(verdicts) == len(found)
    for case, verdict in zip(found, verdicts):
        assert (verdict == "") == case.holds(), (verdict, case.to_json())
    assert {case.value is None for case in found if case.holds()} == {True, False}
