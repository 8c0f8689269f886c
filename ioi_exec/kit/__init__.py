"""What makes a VM shorter to write: typed state. docs/vm.md shows it. The engine knows nothing of it: all of it ends in `state`."""

from ioi_exec.kit.codecs import Bytes, Codec, Signed, Unsigned
from ioi_exec.kit.counters import Counter, Counters
from ioi_exec.kit.state import Item, Map

__all__ = ["Bytes", "Codec", "Counter", "Counters", "Item", "Map", "Signed", "Unsigned"]
