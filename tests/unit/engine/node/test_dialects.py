"""What CometBFT 1.0 writes otherwise than 0.38, and which versions are spoken to at all."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from abci_client import PARAMS, VALIDATOR, genesis

from ioi_exec.node.abci import Abci, request_of
from ioi_exec.node.dialects import check_version, plain, spoken_params, spoken_validator
from ioi_exec.node.messages import (
    ABCIParams,
    ChainBegun,
    CheckTx,
    FeatureParams,
    Info,
    InfoRequest,
    InitChain,
    PublicKey,
    ValidatorPower,
    WrappedInt64,
)
from ioi_exec.node.wire import Malformed, decode, delimited, encode

SECOND = ValidatorPower(PublicKey(secp256k1=b"s" * 33), 7)
# As `cometbft.abci.v1` has it: ValidatorUpdate{power 2, pub_key_bytes 3, pub_key_type 4}, FeatureParams{Int64Value 1} as field 7 of ConsensusParams.
KEYS = b"\x22\x2d\x10\x0a\x1a\x20" + b"v" * 32 + b"\x22\x07ed25519" + b"\x22\x30\x10\x07\x1a\x21" + b"s" * 33 + b"\x22\x09secp256k1"
FEATURE = b"\x1a\x06\x3a\x04\x0a\x02\x08\x05"


def test_a_genesis_of_either_is_the_same() -> None:
    from_1_0 = plain(decode(InitChain, KEYS + FEATURE))
    assert from_1_0.validators == (VALIDATOR, SECOND)
    assert from_1_0.consensus_params is not None and from_1_0.consensus_params.abci == ABCIParams(5)
    assert from_1_0.consensus_params.feature is None
    from_0_38 = genesis(validators=(VALIDATOR, SECOND), consensus_params=replace(PARAMS, abci=ABCIParams(5)))
    assert plain(decode(InitChain, encode(from_0_38))) == from_0_38
    assert plain(InitChain()) == InitChain()


def test_a_key_that_is_not_known_is_none() -> None:
    assert plain(InitChain(validators=(ValidatorPower(None, 3, b"b" * 48, "bls12_381"),))).validators == (ValidatorPower(None, 3),)


def test_what_goes_out_has_both_forms() -> None:
    body = encode(spoken_validator(VALIDATOR))
    assert body == encode(VALIDATOR) + b"\x1a\x20" + b"v" * 32 + b"\x22\x07ed25519"
    assert plain(InitChain(validators=(decode(ValidatorPower, body),))).validators == (VALIDATOR,)
    params = spoken_params(replace(PARAMS, abci=ABCIParams(5)))
    assert params is not None and params.abci == ABCIParams(5) and params.feature == FeatureParams(WrappedInt64(5))
    assert encode(params) == encode(replace(PARAMS, abci=ABCIParams(5))) + FEATURE[2:]
    assert spoken_params(PARAMS) == PARAMS and spoken_params(None) is None


@pytest.mark.parametrize("version", ["0.38.26", "0.38.0-rc1", "0.39.0", "0.40.0", "1.0.1", "v1.0.0+abcdef", ""])
def test_versions(version: str) -> None:
    check_version(version)


@pytest.mark.parametrize("version", ["0.37.4", "0.34", "0.41.0", "0.380.1", "1.1.0", "2.0.0", "10.0", "abcdef", "0"])
def test_versions_that_are_not_known(version: str) -> None:
    with pytest.raises(Malformed, match="0.38, 0.39, 0.40, 1.0") as caught:
        check_version(version)
    assert repr(version) in str(caught.value)


class Asked:
    """An application that keeps what it is asked."""

    def __init__(self) -> None:
        self.checked: list[tuple[bytes, bool]] = []

    def check_tx(self, tx: bytes, again: bool) -> Any:
        from ioi_exec.block.receipt import DONE

        self.checked.append((tx, again))
        return DONE

    def info(self) -> Info:
        return Info("vm")

    def init_chain(self, request: InitChain) -> ChainBegun:
        assert request.validators == (VALIDATOR, SECOND)
        return ChainBegun(request.consensus_params)


def test_checks_of_either() -> None:
    asked: Any = Asked()
    abci = Abci(asked)
    forms = [CheckTx(b"a"), CheckTx(b"b", type=1), CheckTx(b"c", kind=2), CheckTx(b"d", kind=1)]
    for form in forms:
        number, body = request_of(delimited(8, encode(form)))
        abci.answer(number, body)
        abci.answer(number, body + b"\xf8\x06\x01")  # with a field that is not known
    assert asked.checked == [pair for tx, again in ((b"a", False), (b"b", True), (b"c", False), (b"d", True)) for pair in [(tx, again)] * 2]


def test_a_chain_is_begun_and_told_so_in_both_forms() -> None:
    asked: Any = Asked()
    abci = Abci(asked)
    _, body = request_of(abci.answer(5, KEYS + FEATURE))
    params = decode(ChainBegun, body).consensus_params
    assert params is not None and params.abci == ABCIParams(5) and params.feature == FeatureParams(WrappedInt64(5))
    abci.answer(3, encode(InfoRequest("1.0.1")))
    with pytest.raises(Malformed, match="'3.0.0'"):
        abci.answer(3, encode(InfoRequest("3.0.0")))
