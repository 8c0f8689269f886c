"""What makes a VM shorter to write: typed state, signed transactions, an ante, payouts. docs/vm.md shows it. The engine knows nothing of it."""

from ioi_exec.kit.ante import Ante
from ioi_exec.kit.codecs import Bytes, Codec, Signed, Unsigned
from ioi_exec.kit.counters import Counter, Counters
from ioi_exec.kit.envelope import seal, unseal
from ioi_exec.kit.payouts import Payouts, validator_address
from ioi_exec.kit.state import Item, Map
from ioi_exec.vm.signatures import public_key

__all__ = [
    "Ante", "Bytes", "Codec", "Counter", "Counters", "Item", "Map", "Payouts", "Signed", "Unsigned", "public_key", "seal", "unseal",
    "validator_address",
]
