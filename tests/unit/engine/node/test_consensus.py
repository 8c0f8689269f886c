"""Changes of validators and parameters that CometBFT would stop at are found before it hears of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from abci_client import CHAIN, PARAMS, VALIDATOR

from ioi_exec import EndBlock, InputError, ValidatorUpdate
from ioi_exec.node.consensus import (
    KEY_BYTES,
    PARAMETERS,
    TOTAL_POWER_MOST,
    Consensus,
    changed_params,
)
from ioi_exec.node.messages import (
    ABCIParams,
    ConsensusParams,
    PublicKey,
    ValidatorParams,
    VersionParams,
)

OLD = Consensus.of(CHAIN, PARAMS, (VALIDATOR,))
KEY, OTHER = b"v" * 32, b"w" * 32


def updated(*updates: ValidatorUpdate, before: Consensus = OLD) -> Consensus:
    return before.after(EndBlock(updates), 5)


def test_nothing_changes() -> None:
    assert OLD.after(EndBlock(), 5) is OLD and changed_params(OLD, OLD) is None


def test_validators() -> None:
    more = updated(ValidatorUpdate(OTHER, 3))
    assert [(v.public_key, v.power) for v in more.validators] == [(PublicKey(ed25519=KEY), 10), (PublicKey(ed25519=OTHER), 3)]
    assert updated(ValidatorUpdate(KEY, 0), before=more).validators == (more.validators[1],)
    assert updated(ValidatorUpdate(OTHER, 3), ValidatorUpdate(KEY, 0)).validators == (more.validators[1],)
    both = replace(OLD, params=replace(PARAMS, validator=ValidatorParams(("ed25519", "secp256k1"))))
    assert updated(ValidatorUpdate(b"\2" * 33, 1, "secp256k1"), before=both).validators[-1].public_key == PublicKey(secp256k1=b"\2" * 33)
    assert updated(ValidatorUpdate(OTHER, TOTAL_POWER_MOST - 10)).validators[1].power == TOTAL_POWER_MOST - 10


@pytest.mark.parametrize(
    "updates, said",
    [
        ([ValidatorUpdate(OTHER, 0)], "there is none with this key"),
        ([ValidatorUpdate(KEY, 0)], "removes every validator"),
        ([ValidatorUpdate(OTHER, TOTAL_POWER_MOST)], "add up to"),
        ([ValidatorUpdate(b"w" * 31, 5)], "of 31 bytes"),
        ([ValidatorUpdate(b"\2" * 33, 5, "secp256k1")], "'secp256k1'.*takes ed25519"),
        ([ValidatorUpdate(OTHER, 5, "bls12_381")], "'bls12_381'"),
    ],
)
def test_validators_that_cannot_be(updates: list[ValidatorUpdate], said: str) -> None:
    with pytest.raises(InputError, match=said):
        updated(*updates)


GOOD = {
    "block.max_bytes": 2_000_000, "block.max_gas": -1, "evidence.max_age_num_blocks": 5, "evidence.max_age_duration_ns": 1,
    "evidence.max_bytes": 0, "validator.pub_key_types": "ed25519, secp256k1", "version.app": 4, "abci.vote_extensions_enable_height": 6,
}


def test_parameters() -> None:
    assert GOOD.keys() == PARAMETERS.keys()
    after = OLD.after(EndBlock(parameters=GOOD), 5)
    changed = changed_params(OLD, after)
    assert changed == after.params and after.app_version == 4
    assert changed is not None and changed.validator == ValidatorParams(tuple(KEY_BYTES)) and changed.abci == ABCIParams(6)
    one = changed_params(OLD, OLD.after(EndBlock(parameters={"version.app": 4}), 5))
    assert one == ConsensusParams(version=VersionParams(4))  # and no other part


@pytest.mark.parametrize(
    "name, value",
    [
        ("block.max_bytes", 0), ("block.max_bytes", (100 << 20) + 1), ("block.max_bytes", 1000),  # less than evidence has
        ("block.max_bytes", True), ("block.max_bytes", "5"), ("block.max_gas", -2), ("evidence.max_age_num_blocks", 0),
        ("evidence.max_age_duration_ns", 0), ("evidence.max_bytes", 4_194_305), ("evidence.max_bytes", -1),
        ("validator.pub_key_types", ""), ("validator.pub_key_types", "ed25519,rsa"), ("validator.pub_key_types", 5), ("version.app", -1),
        ("abci.vote_extensions_enable_height", 5), ("abci.vote_extensions_enable_height", -1), ("block.size", 5), ("block", 5),
    ],
)
def test_parameters_that_cannot_be(name: str, value: int | str) -> None:
    with pytest.raises(InputError, match=name.partition(".")[0]):
        OLD.after(EndBlock(parameters={name: value}), 5)


def test_vote_extensions_begin_once() -> None:
    soon = OLD.after(EndBlock(parameters={"abci.vote_extensions_enable_height": 9}), 5)
    assert soon.after(EndBlock(parameters={"abci.vote_extensions_enable_height": 0}), 8).params == replace(PARAMS, abci=ABCIParams(0))
    assert soon.after(EndBlock(parameters={"abci.vote_extensions_enable_height": 12}), 8).params == replace(PARAMS, abci=ABCIParams(12))
    for later in (0, 12):
        with pytest.raises(InputError, match="cannot change any more"):
            soon.after(EndBlock(parameters={"abci.vote_extensions_enable_height": later}), 9)
