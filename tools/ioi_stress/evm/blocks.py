"""Headers of blocks that generated worlds consist of."""

from __future__ import annotations

from typing import Any

from ethereum.crypto.hash import keccak256
from ethereum_rlp import rlp
from ethereum_types.numeric import U64, U256, Uint

from ioi_exec import BlockHeader
from ioi_exec.vm.ethereum import Block, header
from ioi_exec.vm.ethereum.forks import fork_named

FORK = "cancun"
"""The newest whose blocks need no contracts that its upgrade deployed."""
BASE_FEE = 7
BENEFICIARY = b"\xfe" * 20
_FIRST = 20_000_000
_SLOT_SECONDS = 12


def header_of(number: int, gas_limit: int) -> BlockHeader:
    """Of block `number`, from 0 on, which executes under these rules. What depends on the outcome of its transactions (roots, bloom,
    gas used) is not in it."""
    return header(Block(fork_named(FORK), _header(number, gas_limit)))


def _header(number: int, gas_limit: int) -> Any:
    blocks = fork_named(FORK).blocks
    known = {
        "parent_hash": bytes(keccak256(b"ioi-stress block %d" % number)), "ommers_hash": bytes(keccak256(rlp.encode(()))),
        "coinbase": BENEFICIARY, "state_root": bytes(32), "transactions_root": bytes(32), "receipt_root": bytes(32), "bloom": bytes(256),
        "difficulty": Uint(0), "number": Uint(_FIRST + number), "gas_limit": Uint(gas_limit), "gas_used": Uint(0),
        "timestamp": U256(_timestamp(number)), "extra_data": b"", "prev_randao": bytes(keccak256(b"ioi-stress randao %d" % number)),
        "nonce": bytes(8), "base_fee_per_gas": Uint(BASE_FEE), "withdrawals_root": bytes(32), "blob_gas_used": U64(0),
        "excess_blob_gas": U64(0), "parent_beacon_block_root": bytes(32),
    }
    return rlp.deserialize_to(blocks.Header, rlp.decode(rlp.encode([known[name] for name in fork_named(FORK).header_fields])))


def _timestamp(number: int) -> int:
    return 1_720_000_000 + _SLOT_SECONDS * number
