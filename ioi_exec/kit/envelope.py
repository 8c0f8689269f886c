"""Signed transactions: the sender's public key (32 bytes), a signature (64), and what was signed.

    class Token:
        def decode(self, tx, chain_id):                 # no state: at most once a transaction and worker, before anything is read
            sender, payload = unseal(tx, chain_id)      # raises Revert("signature")
            return sender, parsed(payload)

ioi_exec/vm/signatures.py says what exactly is signed and which signatures are good. Needs `pip install 'ioi-exec[signed]'`.
"""

from __future__ import annotations

from ioi_exec.arguments import octets
from ioi_exec.vm.revert import Revert
from ioi_exec.vm.signatures import PUBLIC_BYTES, SIGNATURE_BYTES, is_signed, public_key, sign

_HEAD_BYTES = PUBLIC_BYTES + SIGNATURE_BYTES


def seal(secret: bytes, chain_id: str, payload: bytes) -> bytes:
    """A transaction. secret: 32 bytes. Raises InputTypeError, InputError; ImportError without the library."""
    return public_key(secret) + sign(secret, chain_id, payload) + payload


def unseal(tx: bytes, chain_id: str) -> tuple[bytes, bytes]:
    """(sender, payload). Raises Revert: "malformed" if it is too short, "signature" if it is not the sender's for this chain; as `seal`
    for what is no bytes or no chain's id."""
    if len(octets("unseal: the transaction", tx)) < _HEAD_BYTES:
        raise Revert("malformed")
    sender, signature, payload = tx[:PUBLIC_BYTES], tx[PUBLIC_BYTES:_HEAD_BYTES], tx[_HEAD_BYTES:]
    if not is_signed(sender, chain_id, payload, signature):
        raise Revert("signature")
    return sender, payload
