"""What `end_block` may return: what the chain's consensus is to do from then on."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Iterable, Mapping, Union

from ioi_shm import exact_bytes

from ioi_exec.arguments import MAX_INT64, integer, octets, wrong_type
from ioi_exec.errors import InputError

Parameter = Union[int, str, bool]

KEY_BYTES = 256


@dataclass(frozen=True)
class ValidatorUpdate:
    """power: 0 .. 2^63 - 1; 0 removes the validator. kind: of the public key, as CometBFT names it. Raises InputTypeError, InputError."""

    public_key: bytes
    power: int
    kind: str = "ed25519"

    def __post_init__(self) -> None:
        key = exact_bytes(octets("a validator's public_key", self.public_key))
        if not 0 < len(key) <= KEY_BYTES:
            raise InputError(f"a validator's public_key has {len(key)} bytes: 1 to {KEY_BYTES}")
        object.__setattr__(self, "public_key", key)
        object.__setattr__(self, "power", integer("a validator's power", self.power, 0, MAX_INT64))
        if type(self.kind) is not str:
            raise wrong_type("a validator's kind", self.kind, "str")


@dataclass(frozen=True)
class EndBlock:
    """validators: those that change, each key once. parameters: of the consensus, by name; int, str or bool. What a driver makes of
    them is its own. Raises InputTypeError, InputError."""

    validators: tuple[ValidatorUpdate, ...] = ()
    parameters: Mapping[str, Parameter] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.validators, Iterable):
            raise wrong_type("the validators of end_block", self.validators, "ValidatorUpdates, in a tuple or list")
        if not isinstance(self.parameters, Mapping):
            raise wrong_type("the parameters of end_block", self.parameters, "a dict")
        object.__setattr__(self, "validators", tuple(self.validators))
        for update in self.validators:
            if not isinstance(update, ValidatorUpdate):
                raise wrong_type("a validator update of end_block", update, "ValidatorUpdate")
        keys = [(update.kind, update.public_key) for update in self.validators]
        if len(set(keys)) < len(keys):
            raise InputError("end_block updates a validator twice: give each public key once")
        for name, value in self.parameters.items():
            if type(name) is not str or type(value) not in (int, str, bool):
                raise wrong_type(f"the parameter {name!r} of end_block", value, "int, str or bool, by a name that is str")

    def encode(self) -> bytes:
        validators = [[update.kind, update.public_key.hex(), update.power] for update in self.validators]
        return json.dumps([validators, dict(self.parameters)], sort_keys=True).encode()

    @classmethod
    def decode(cls, data: bytes) -> EndBlock:
        """The inverse of `encode`, of what the engine encoded."""
        validators, parameters = json.loads(data)
        return cls(tuple(ValidatorUpdate(bytes.fromhex(key), power, kind) for kind, key, power in validators), parameters)
