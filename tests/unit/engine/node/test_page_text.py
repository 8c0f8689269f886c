"""How the page shows text of a chain: by Python's knowledge of characters, nothing that hides or reorders is left as it is."""

from __future__ import annotations

import json
import shutil
import subprocess
import unicodedata
from pathlib import Path

import pytest

import ioi_exec

NODE = shutil.which("node")
TEXT = Path(ioi_exec.__file__).parent / "node" / "page" / "text.js"

SCRIPT = """
import { readFileSync } from "node:fs";
const { visible, saidBy } = await import(process.argv[1]);
const found = [];
for (const code of JSON.parse(readFileSync(0, "utf8"))) {
  const text = String.fromCodePoint(code);
  const same = visible(text) === text;
  if (same !== (saidBy(new TextEncoder().encode(text)) === text)) throw new Error(`they differ about ${code}`);
  if (same) found.push(code);
}
console.log(JSON.stringify(found), JSON.stringify(visible("a\\u202e\\ud800b")));
"""
CODES = [*range(0x20000), *range(0xE0000, 0xE0200), 0xF0000, 0x10FFFD]
BLANK = {0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0}  # letters, marks and symbols that are not seen


@pytest.mark.skipif(NODE is None, reason="no node (nodejs) on the path to run JavaScript with")
def test_what_is_shown_as_it_is() -> None:
    assert NODE is not None
    done = subprocess.run([NODE, "--input-type=module", "-e", SCRIPT, TEXT.as_uri()], input=json.dumps(CODES), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    codes, _, example = done.stdout.strip().rpartition(" ")
    shown = set(json.loads(codes))
    assert json.loads(example) == "a\\u{202e}\ufffdb"
    for code in CODES:
        kind = unicodedata.category(chr(code))
        if kind in ("Cc", "Cf", "Co", "Cs", "Zl", "Zp"):
            assert code not in shown, hex(code)
        elif kind[0] in "LNPS" and unicodedata.ucd_3_2_0.category(chr(code))[0] in "LNPS" and code not in BLANK:  # every browser knows those
            assert code in shown, hex(code)
    assert 0x20 in shown and not shown & BLANK and not shown & set(range(0xFE00, 0xFE10)) and not shown & set(range(0xE0100, 0xE01F0))
    assert not {code for code in shown if unicodedata.bidirectional(chr(code)) in ("RLE", "LRE", "RLO", "LRO", "PDF", "RLI", "LRI", "FSI", "PDI", "BN")}
