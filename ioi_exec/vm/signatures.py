"""Ed25519 signatures of transactions, by libsodium (PyNaCl, `pip install 'ioi-exec[signed]'`). A sender is its public key.

What is signed are the bytes

    b"ioi-exec transaction\\0"    a domain: a signature of something else is none of a transaction
    length of the chain's id     one byte
    the chain's id               UTF-8: a transaction of one chain is none of another
    the payload

The rule is part of the consensus, and is libsodium's. A signature R, S of a message M under a key A is accepted if, and only if,
    S < L, the order of the base point;
    A is the canonical encoding of a point, and that point is not of small order;
    R is not the encoding of a point of small order;
    R is, byte for byte, the encoding of [S]B - [k]A, with k = SHA-512(R, A, M) mod L. (So it is canonical. No cofactor.)
The one release of PyNaCl that brings it is named in setup.cfg; tests hold it to edge cases of each of these.
"""

from __future__ import annotations

import functools
from typing import Any

from ioi_exec.arguments import octets, text
from ioi_exec.block.preparation import checked_chain_id
from ioi_exec.errors import InputError

SECRET_BYTES = 32
PUBLIC_BYTES = 32
SIGNATURE_BYTES = 64
DOMAIN = b"ioi-exec transaction\0"


@functools.cache
def library() -> Any:
    """libsodium. Raises ImportError where it is missing: a fault of the machine, and no transaction's."""
    try:
        import nacl.bindings
        import nacl.exceptions
    except ImportError as error:
        raise ImportError(f"signatures need PyNaCl ({error}): pip install 'ioi-exec[signed]'") from None
    return nacl


def signed_bytes(chain_id: str, payload: bytes) -> bytes:
    """What a signature is of. Raises InputTypeError, InputError for what is no chain's id."""
    chain = checked_chain_id(text("the chain's id", chain_id)).encode()
    return DOMAIN + bytes((len(chain),)) + chain + payload


def is_signed(public: bytes, chain_id: str, payload: bytes, signature: bytes) -> bool:
    """Whether the payload was signed with this key (32 bytes) for this chain, by this signature (64). Raises ImportError."""
    nacl = library()
    if len(public) != PUBLIC_BYTES or len(signature) != SIGNATURE_BYTES:
        return False
    try:
        nacl.bindings.crypto_sign_open(signature + signed_bytes(chain_id, payload), public)
    except nacl.exceptions.BadSignatureError:
        return False
    return True


def public_key(secret: bytes) -> bytes:
    """The key (32 bytes) of a secret (32 bytes: RFC 8032's private key). Raises ImportError, InputTypeError, InputError."""
    return _pair(_secret(secret))[0]


def sign(secret: bytes, chain_id: str, payload: bytes) -> bytes:
    """The signature, 64 bytes. Raises as `public_key` does."""
    octets("sign: the payload", payload)
    signed: bytes = library().bindings.crypto_sign(signed_bytes(chain_id, payload), _pair(_secret(secret))[1])
    return signed[:SIGNATURE_BYTES]


def _secret(secret: bytes) -> bytes:
    if len(octets("the secret", secret)) != SECRET_BYTES:
        raise InputError(f"the secret has {len(secret)} bytes: give {SECRET_BYTES}")
    return secret


@functools.lru_cache(maxsize=1024)
def _pair(secret: bytes) -> tuple[bytes, bytes]:
    """Public key, and secret key as libsodium has it."""
    public, expanded = library().bindings.crypto_sign_seed_keypair(secret)
    return public, expanded
