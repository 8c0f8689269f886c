"""Chaos: faults on purpose, while everything that the engine says is compared with what is true.

    campaign.py    rounds, until the time is over; what is left behind
      round.py     one life of a workload on a new state: block after block, through deaths and refusals
        truth.py       the same blocks one by one, in this process
        schedule.py    which faults strike in which block, from the seed
        attack.py      when they strike and how long they last; what followed
          fault.py, faults/    what they do
        process.py     the engine's process, which speaks messages.py; engine.py is its main
        judge.py       what must hold of roots, versions and the state
"""

from ioi_stress.chaos.campaign import run
from ioi_stress.chaos.fault import Fault, Target
from ioi_stress.chaos.faults import FAULTS, all_faults, named_faults
from ioi_stress.chaos.plan import ChaosPlan
from ioi_stress.chaos.report import Report

__all__ = ["FAULTS", "ChaosPlan", "Fault", "Report", "Target", "all_faults", "named_faults", "run"]
