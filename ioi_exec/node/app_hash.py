"""The app hash, decided once: the root of CometBFT's simple map of two entries.

    "node"   what the consensus is set to, as consensus.py encodes it
    "state"  the state root, 32 bytes

A simple map is the RFC 6962 tree (SHA-256) over its entries in the order of their names; a leaf is `name`, then the SHA-256 of the value,
each behind its length. So a key of the state is proven in two steps, as IBC wants it: by the tree's ICS23 spec against the state root,
then by the TendermintSpec of ics23 against the app hash. The root of a header's height H is in the header of H + 1.
"""

from __future__ import annotations

from hashlib import sha256

from ioi_storage.verify_ics23 import InvalidProof, verify_absence, verify_existence

from ioi_exec.node.messages import (
    CommitmentProof,
    ExistenceProof,
    InnerOp,
    LeafOp,
    ProofOp,
    ProofOps,
)
from ioi_exec.node.wire import Malformed, decode, encode, varint

NODE, STATE = b"node", b"state"

OP_SIMPLE = "ics23:simple"
OP_OF_TREE = {"iavl": "ics23:iavl", "jellyfish": "ics23:jmt"}
"""Types of ProofOps. "ics23:jmt" is this engine's name: data is a CommitmentProof, as of the others, for the spec of Jellyfish."""

# As ics23 names them: SHA-256, and a length as protobuf writes it.
_SHA256 = _VAR_PROTO = 1
_LEAF = LeafOp(hash=_SHA256, prehash_key=0, prehash_value=_SHA256, length=_VAR_PROTO, prefix=b"\0")


def app_hash(state_root: bytes, consensus: bytes) -> bytes:
    """32 bytes. state_root: 32 bytes; consensus: what `Consensus.encode` says."""
    return _inner(_leaf(NODE, consensus), _leaf(STATE, state_root))


def prove_entry(name: bytes, state_root: bytes, consensus: bytes) -> ProofOp:
    """That the entry has its value: the state root of STATE, or of NODE what `Consensus.encode` says."""
    if name == STATE:
        value, inner = state_root, InnerOp(_SHA256, b"\1" + _leaf(NODE, consensus))
    else:
        value, inner = consensus, InnerOp(_SHA256, b"\1", _leaf(STATE, state_root))
    proof = CommitmentProof(ExistenceProof(name, value, _LEAF, (inner,)))
    return ProofOp(OP_SIMPLE, name, encode(proof))


def verify_key(app_hash: bytes, tree: str, key: bytes, value: bytes | None, proof: ProofOps) -> None:
    """The key has this value in the state whose app hash this is, None: it is absent. Returns nothing, or raises InvalidProof."""
    if len(proof.ops) != 2:
        raise InvalidProof(f"the proof has {len(proof.ops)} steps: from a key to the app hash there are two")
    inside, outside = proof.ops
    if inside.type != OP_OF_TREE[tree] or inside.key != key:
        raise InvalidProof(f"the first step is {inside.type} of key {inside.key.hex()}, expected was {OP_OF_TREE[tree]} of {key.hex()}")
    root = verify_entry(app_hash, STATE, outside)
    if value is None:
        verify_absence(root, tree, key, inside.data)
    else:
        verify_existence(root, tree, key, value, inside.data)


def verify_entry(app_hash: bytes, name: bytes, op: ProofOp) -> bytes:
    """The value of an entry of the app hash, NODE or STATE. Raises InvalidProof: there is one proof of each."""
    try:
        proof = decode(CommitmentProof, op.data).exist
    except Malformed as error:
        raise InvalidProof(f"the proof of {name.decode()} cannot be read: {error}") from None
    if proof is None or op.type != OP_SIMPLE or op.key != name or proof.key != name:
        raise InvalidProof(f"the step is not {OP_SIMPLE} of the entry {name.decode()}")
    if len(proof.path) != 1 or encode(CommitmentProof(proof)) != op.data or proof.leaf != _LEAF:
        raise InvalidProof(f"the proof of {name.decode()} is not one of the app hash")
    step, leaf = proof.path[0], _leaf(name, proof.value)
    if name == STATE:
        good, root = step == InnerOp(_SHA256, step.prefix) and len(step.prefix) == 33, sha256(step.prefix + leaf).digest()
    else:
        good, root = step == InnerOp(_SHA256, b"\1", step.suffix) and len(step.suffix) == 32, _inner(leaf, step.suffix)
    if not good or step.prefix[:1] != b"\1" or root != app_hash:
        raise InvalidProof(f"the proof of {name.decode()} is of another app hash")
    return proof.value


def _leaf(name: bytes, value: bytes) -> bytes:
    return sha256(b"\0" + varint(len(name)) + name + b"\x20" + sha256(value).digest()).digest()


def _inner(left: bytes, right: bytes) -> bytes:
    return sha256(b"\1" + left + right).digest()
