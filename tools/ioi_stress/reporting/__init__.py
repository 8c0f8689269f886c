"""Reports: what was measured as one page that needs nothing but itself.

rendering.py       templates, in which everything is escaped; templates/: a file for each part of a page
page.py            the file: style, script, and the policy that forbids every request
run.py, sweep.py   what is on the page of a run, and of a sweep; recorded.py: of a recorded block; soak.py: of a soak
lines.py, bars.py  charts
lanes.py           the timeline as a still picture; timeline.js and timeline_data.py: the one that moves
again.py           the command line that does the same again
"""

from ioi_stress.reporting.run import run_page
from ioi_stress.reporting.soak import soak_page
from ioi_stress.reporting.sweep import sweep_page

__all__ = ["run_page", "soak_page", "sweep_page"]
