"""The program in docs/vm.md is run as it stands, block after block."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

GUIDE = Path(__file__).parents[2] / "docs" / "vm.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL)


def test_the_guide_is_a_program(tmp_path: Path) -> None:
    assert len(BLOCKS) >= 2
    (tmp_path / "guide.py").write_text("\n\n".join(BLOCKS))
    done = subprocess.run([sys.executable, "guide.py"], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert "[True, True, False]" in lines
    assert "[(('sun', 2024), b'ada'), (('sun', 2025), b'bob')]" in lines
    assert "[(('sun', 2025), b'bob')] 3" in lines
    assert "['', 'signature']" in lines
    assert "['not today', 'nonce', 'not today', 'fee']" in lines
