"""A soak: hours of everything at once, and whether anything grows that should not.

run.py       a campaign of chaos, with pauses, looks and company
mix.py       its blocks; company.py, reader.py: who uses the state beside the engine
looking.py   what is looked at; quantities.py: what of it is judged, and how much may grow
trend.py     how fast it grows, and how sure that is; report.py: the verdict
"""

from ioi_stress.soaking.mix import Mix
from ioi_stress.soaking.plan import SoakPlan
from ioi_stress.soaking.report import SoakReport
from ioi_stress.soaking.run import soak

__all__ = ["Mix", "SoakPlan", "SoakReport", "soak"]
