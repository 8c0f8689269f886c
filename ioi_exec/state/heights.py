"""Which version has which height. Heights rise by one with each version, from the first block's on."""

from __future__ import annotations

from bisect import bisect_right

import ioi_storage

from ioi_exec.arguments import shown
from ioi_exec.errors import VersionMissing


def row_at_height(layer: ioi_storage.State, height: int) -> ioi_storage.VersionRow:
    """What is recorded of the kept version of this height. Raises VersionMissing."""
    kept = range(layer.oldest, layer.version + 1)
    at = bisect_right(kept, height, key=lambda version: layer.version_row(version).height)
    if at:
        row = layer.version_row(kept[at - 1])
        if row.height == height:
            return row
    lowest, highest = layer.version_row(layer.oldest).height, layer.latest.height
    raise VersionMissing(f"no version that is kept has height {shown(height)}: theirs are {lowest} to {highest}")
