"""Run under the shim: does something to a state again and again, each time killed before or within one of its calls to the
system, sometimes again while it goes on, and looks at what is left.

    kill_sweep.py ROOT TREE OPERATION KILLS SEED

ROOT: an empty directory. OPERATION: of fault_sweep.py. KILLS: how many, at random calls. On standard output a JSON object for
each state that was not as it should be, and in the end {"kills", "calls": of how many each was one, "finished": processes
that were not reached by their kill}.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import traceback
from pathlib import Path
from typing import Optional

import shimmed
from fault_sweep import OPERATIONS, Run, reopened, small_steps
from ioi_storage import Store


class Killed:
    """One operation on a state, begun anew by each `attempt`, which goes on with what the last one left."""

    def __init__(self, run: Run, operation: str) -> None:
        self.run = run
        self.do, (self.before, self.after) = OPERATIONS[operation]
        self.attempts, self.done = 0, False
        run.begin(there=self.before is not None)
        if run.store is not None:
            run.store.close()
            run.store = None

    def attempt(self, shim: shimmed.Shim, fault: Optional[str]) -> tuple[bool, int]:
        """In a child: (whether it was killed, else how many calls there were)."""
        self.attempts += 1
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                shim.arm(fault or "all:0:kill")
                if self.before is not None:
                    self.run.store = Store.open(self.run.path)
                self.do(self.run)
                os.write(write, b"%d" % shim.calls())
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(0)
        os.close(write)
        with os.fdopen(read, "rb") as pipe:
            said = pipe.read()
        _, status = os.waitpid(child, 0)
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        assert killed or said, "it failed"
        self.done = self.done or not killed
        return killed, int(said or 0)

    def problems(self) -> list[str]:
        upto = self.after if self.after <= 3 else self.after + self.attempts - 1  # each may have committed one more
        if self.done:
            allowed = [self.after] if self.after <= 3 else list(range(self.after, upto + 1))
        else:
            allowed = [self.before, self.after] if self.after <= 3 else list(range(3, upto + 1))
        return reopened(self.run, allowed)

    @property
    def may_go_on(self) -> bool:
        return self.before is not None or not self.run.path.exists()


def main(root: Path, tree: str, operation: str, kills: int, seed: int) -> None:
    small_steps()
    rng, shim, run = random.Random(seed), shimmed.Shim(), Run(root, tree)
    whole = Killed(run, operation)
    _, calls = whole.attempt(shim, None)
    assert whole.problems() == []
    killed, finished = 0, 0
    while killed < kills:
        state, faults = Killed(run, operation), []
        while not state.done and state.may_go_on:
            faults.append(f"all:{rng.randint(1, calls)}:{rng.choice(['kill', 'half-kill'])}")
            dead, _ = state.attempt(shim, faults[-1])
            killed, finished = killed + dead, finished + (not dead)
            if rng.random() < 0.5:
                break
        try:
            problems = state.problems()
            if not run.path.exists():  # what is left does not stand in the way
                state.attempt(shim, None)
                problems += state.problems()
        except Exception:
            problems = [traceback.format_exc()]
        if problems:
            print(json.dumps({"faults": faults, "problems": problems}), flush=True)
    print(json.dumps({"kills": killed, "calls": calls, "finished": finished}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
