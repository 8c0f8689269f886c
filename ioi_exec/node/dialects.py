"""What the versions of CometBFT write differently. 0.38 and 0.40 have the same messages (`tendermint.abci`), 1.0 has others (`cometbft.abci.v1`)
in three places: validators' keys, the height from which votes are extended, and the type of CheckTx.

No field has two meanings, and each version passes over what it does not know. So what goes out has the fields of both, and of what
comes those of either count; the application knows the forms of 0.38 alone.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Optional

from ioi_exec.node.messages import (
    ABCIParams,
    ConsensusParams,
    FeatureParams,
    InitChain,
    PublicKey,
    ValidatorPower,
    WrappedInt64,
)
from ioi_exec.node.wire import Malformed

_SPOKEN = ((0, 38), (0, 39), (0, 40), (1, 0))  # a node of 0.40.0 says 0.39.0
_RELEASE = re.compile(r"v?(\d+)\.(\d+)(?!\d)")


def check_version(version: str) -> None:
    """version: what a node says of itself (Info); empty: nothing. Raises Malformed for one whose messages are not known."""
    found = _RELEASE.match(version)
    if version and (found is None or tuple(map(int, found.groups())) not in _SPOKEN):
        known = ", ".join(f"{major}.{minor}" for major, minor in _SPOKEN)
        raise Malformed(f"the node is CometBFT {version[:80]!r}: this application knows the messages of {known}; run one of these")


def plain(request: InitChain) -> InitChain:
    """As 0.38 writes it. A key that it does not have is left out."""
    return replace(
        request, validators=tuple(map(_plain_validator, request.validators)),
        consensus_params=None if request.consensus_params is None else _plain_params(request.consensus_params),
    )


def spoken_validator(validator: ValidatorPower) -> ValidatorPower:
    """For any version."""
    key = validator.public_key
    return validator if key is None else replace(validator, key_bytes=key.raw, key_type=key.kind)


def spoken_params(params: Optional[ConsensusParams]) -> Optional[ConsensusParams]:
    """For any version."""
    if params is None or params.abci is None:
        return params
    return replace(params, feature=FeatureParams(WrappedInt64(params.abci.vote_extensions_enable_height)))


def _plain_validator(validator: ValidatorPower) -> ValidatorPower:
    key = validator.public_key
    if key is None and validator.key_type == "ed25519":
        key = PublicKey(ed25519=validator.key_bytes)
    elif key is None and validator.key_type == "secp256k1":
        key = PublicKey(secp256k1=validator.key_bytes)
    return ValidatorPower(key, validator.power)


def _plain_params(params: ConsensusParams) -> ConsensusParams:
    abci, feature = params.abci, params.feature
    if abci is None and feature is not None and feature.vote_extensions_enable_height is not None:
        abci = ABCIParams(feature.vote_extensions_enable_height.value)
    return replace(params, abci=abci, feature=None)
