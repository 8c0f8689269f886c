"""What interrupts a program while it still imports."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

# The signal comes when `number` does: on the way to the first module of the program itself.
CODE = """
import os, signal, sys
import ioi_start

class Late:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), {number})
            while True:
                pass

sys.meta_path.insert(0, Late())
sys.argv = ["program", *{arguments!r}]
sys.exit(ioi_start.{program}())
"""


@pytest.mark.parametrize("program, module", [("ioi_exec", "ioi_exec"), ("ioi_stress", "ioi_stress.cli")])
@pytest.mark.parametrize("number", ["signal.SIGINT", "signal.SIGTERM", "signal.SIGHUP"])
def test_interrupted_while_it_imports(program: str, module: str, number: str) -> None:
    for arguments in (["--json"], []):
        code = CODE.format(program=program, module=module, number=number, arguments=arguments)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
        assert done.returncode == 1 and done.stdout == "", done
        if arguments:
            assert json.loads(done.stderr) == {"error": "interrupted", "kind": "Interrupted", "exit": 1}
        else:
            assert done.stderr == f"{program.replace('_', '-')}: interrupted\n"
