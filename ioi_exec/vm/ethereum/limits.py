"""What the engine's limits must be, so that none of them decides what Ethereum's own decide."""

from ioi_exec.limits import Limits

LIMITS = Limits(
    output_bytes=64 << 20,  # logs: 8 gas a byte
    tx_bytes=64 << 20,
    tx_keys=1 << 22,  # slots of accounts that destroy themselves, before Cancun
    tx_write_bytes=1 << 30,
    stall_seconds=3600.0,  # the specification takes about a second for a million gas
)
