"""What the chain's consensus is set to: its id, parameters and validators. The node keeps it beside the state, where no VM sees it.

A change that CometBFT would not take stops it for good, after FinalizeBlock. So changes are held against its rules here, before it hears
of them (state.validateValidatorUpdates, types.ConsensusParams.ValidateBasic and ValidateUpdate of CometBFT 0.38).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Callable, Mapping

from ioi_exec.arguments import MAX_INT64, shown
from ioi_exec.block.updates import EndBlock, Parameter, ValidatorUpdate
from ioi_exec.errors import InputError
from ioi_exec.node.messages import (
    ABCIParams,
    BlockParams,
    ConsensusParams,
    EvidenceParams,
    Moment,
    PublicKey,
    ValidatorParams,
    ValidatorPower,
    VersionParams,
)
from ioi_exec.node.wire import decode, encode, many, message, text

TOTAL_POWER_MOST = MAX_INT64 // 8
BLOCK_BYTES_MOST = 100 << 20
KEY_BYTES = {"ed25519": 32, "secp256k1": 33}


@dataclass(frozen=True)
class Consensus:
    """validators: ascending by kind and key, none without power."""

    chain_id: str = text(1)
    params: ConsensusParams | None = message(2, ConsensusParams)
    validators: tuple[ValidatorPower, ...] = many(3, ValidatorPower)

    @classmethod
    def of(cls, chain_id: str, params: ConsensusParams | None, validators: tuple[ValidatorPower, ...]) -> Consensus:
        return cls(chain_id, params or ConsensusParams(), tuple(sorted(validators, key=_order)))

    def encode(self) -> bytes:
        """Its one encoding, which is part of the app hash."""
        return encode(self)

    @classmethod
    def decode(cls, data: bytes) -> Consensus:
        found = decode(cls, data)
        return found if found.params is not None else replace(found, params=ConsensusParams())

    @property
    def app_version(self) -> int:
        assert self.params is not None
        return 0 if self.params.version is None else self.params.version.app

    def after(self, end: EndBlock, height: int) -> Consensus:
        """What it is set to after the block of this height. Raises InputError for what CometBFT would not take."""
        if not end.validators and not end.parameters:
            return self
        assert self.params is not None
        params = _changed_params(self.params, end.parameters, height) if end.parameters else self.params
        return replace(self, params=params, validators=self._changed_validators(end.validators, params))

    def _changed_validators(self, updates: tuple[ValidatorUpdate, ...], params: ConsensusParams) -> tuple[ValidatorPower, ...]:
        allowed = params.validator.pub_key_types if params.validator is not None else ("ed25519",)
        powers = {_order(validator): validator for validator in self.validators}
        for update in updates:
            named = f"end_block: the validator {update.public_key.hex()[:80]}"
            if update.power == 0:
                if powers.pop((update.kind, update.public_key), None) is None:
                    raise InputError(f"{named} is removed (power 0), and there is none with this key")
                continue
            if update.kind not in KEY_BYTES or update.kind not in allowed:
                raise InputError(f"{named} has a key of the kind {shown(update.kind)}: this chain takes {', '.join(allowed)}")
            if len(update.public_key) != KEY_BYTES[update.kind]:
                raise InputError(f"{named} has a key of {len(update.public_key)} bytes: one of {update.kind} has {KEY_BYTES[update.kind]}")
            powers[update.kind, update.public_key] = power_of(update)
        if not powers:
            raise InputError("end_block removes every validator: a chain needs one at least")
        if (total := sum(validator.power for validator in powers.values())) > TOTAL_POWER_MOST:
            raise InputError(f"end_block: the powers of all validators add up to {total}: at most {TOTAL_POWER_MOST}")
        return tuple(powers[key] for key in sorted(powers))


def power_of(update: ValidatorUpdate) -> ValidatorPower:
    key = PublicKey(secp256k1=update.public_key) if update.kind == "secp256k1" else PublicKey(ed25519=update.public_key)
    return ValidatorPower(key, update.power)


def changed_params(before: Consensus, after: Consensus) -> ConsensusParams | None:
    """The parts that differ, each whole, as CometBFT wants them; None: there are none."""
    if before.params == after.params:
        return None
    assert before.params is not None and after.params is not None
    parts = ("block", "evidence", "validator", "version", "abci")
    return ConsensusParams(**{
        name: getattr(after.params, name) for name in parts if getattr(after.params, name) != getattr(before.params, name)
    })


def _order(validator: ValidatorPower) -> tuple[str, bytes]:
    key = validator.public_key or PublicKey()
    return key.kind, key.raw


_Reader = Callable[[Parameter], object]


def _integer(value: Parameter) -> int:
    if type(value) is not int or not -1 <= value <= MAX_INT64:
        raise InputError(f"it is {shown(value)}: give an int of at most 2^63 - 1")
    return value


def _duration(value: Parameter) -> Moment:
    return Moment.of(_integer(value))


def _names(value: Parameter) -> tuple[str, ...]:
    if type(value) is not str:
        raise InputError(f"it is {shown(value)}: give names with commas between them")
    return tuple(name.strip() for name in value.split(","))


# What a VM calls a parameter: in which part it is, which field it is there, and what makes its value.
PARAMETERS: Mapping[str, tuple[str, str, _Reader]] = {
    "block.max_bytes": ("block", "max_bytes", _integer),
    "block.max_gas": ("block", "max_gas", _integer),
    "evidence.max_age_num_blocks": ("evidence", "max_age_num_blocks", _integer),
    "evidence.max_age_duration_ns": ("evidence", "max_age_duration", _duration),
    "evidence.max_bytes": ("evidence", "max_bytes", _integer),
    "validator.pub_key_types": ("validator", "pub_key_types", _names),
    "version.app": ("version", "app", _integer),
    "abci.vote_extensions_enable_height": ("abci", "vote_extensions_enable_height", _integer),
}
_EMPTY: Mapping[str, object] = {
    "block": BlockParams(), "evidence": EvidenceParams(), "validator": ValidatorParams(), "version": VersionParams(), "abci": ABCIParams(),
}


def _changed_params(before: ConsensusParams, changes: Mapping[str, Parameter], height: int) -> ConsensusParams:
    parts: dict[str, Any] = {}
    for name, value in changes.items():
        if name not in PARAMETERS:
            raise InputError(f"end_block sets the parameter {shown(name)}: there is none; there are {', '.join(PARAMETERS)}")
        part, field, read = PARAMETERS[name]
        try:
            was: Any = parts.get(part) or getattr(before, part) or _EMPTY[part]
            parts[part] = replace(was, **{field: read(value)})
        except InputError as error:
            raise InputError(f"end_block sets the parameter {name}, and {error}") from None
    after = replace(before, **parts)
    if (reason := _what_is_wrong(after)) or (reason := _what_cannot_change(before, after, height)):
        raise InputError(f"end_block sets parameters that the consensus would stop at: {reason}")
    return after


def _what_is_wrong(params: ConsensusParams) -> str:
    block, evidence, validator = params.block or BlockParams(), params.evidence or EvidenceParams(), params.validator or ValidatorParams()
    most = BLOCK_BYTES_MOST if block.max_bytes == -1 else block.max_bytes
    if not 0 < most <= BLOCK_BYTES_MOST:
        return f"block.max_bytes is {block.max_bytes}: 1 to {BLOCK_BYTES_MOST}, or -1 for the most there can be"
    if block.max_gas < -1:
        return f"block.max_gas is {block.max_gas}: 0 or more, or -1 for no limit"
    if evidence.max_age_num_blocks <= 0:
        return f"evidence.max_age_num_blocks is {evidence.max_age_num_blocks}: 1 or more"
    if evidence.max_age_duration is None or evidence.max_age_duration.ns <= 0:
        return "evidence.max_age_duration_ns is not above 0"
    if not 0 <= evidence.max_bytes <= most:
        return f"evidence.max_bytes is {evidence.max_bytes}: 0 to block.max_bytes, which is {most}"
    if not validator.pub_key_types or not set(validator.pub_key_types) <= KEY_BYTES.keys():
        return f"validator.pub_key_types is {', '.join(validator.pub_key_types) or 'empty'}: some of {', '.join(KEY_BYTES)}"
    if params.version is not None and params.version.app < 0:
        return f"version.app is {params.version.app}: 0 or more"
    return ""


def _what_cannot_change(before: ConsensusParams, after: ConsensusParams, height: int) -> str:
    """Vote extensions begin at a height to come, once."""
    was, now = (part.vote_extensions_enable_height if part is not None else 0 for part in (before.abci, after.abci))
    if was == now:
        return ""
    if was and height >= was:
        return f"abci.vote_extensions_enable_height is {was}, which is over: it cannot change any more"
    if now and now <= height:
        return f"abci.vote_extensions_enable_height is {now}: give a height above {height}, that of the block"
    return ""
