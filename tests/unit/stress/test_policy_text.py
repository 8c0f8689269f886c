"""Policies in one word, and back."""

from __future__ import annotations

import random

import pytest

from ioi_exec import InputError
from ioi_exec.policy import Policy
from ioi_stress.notation.policy_text import parse_policy, policy_text


def choices(policy: Policy) -> dict[str, object]:
    return {name: value for name, value in policy.to_json().items() if name != "name"}


def test_names_and_choices() -> None:
    for name in Policy.names():
        assert parse_policy(name) == Policy.named(name) and policy_text(Policy.named(name)) == name
    assert parse_policy("window=0,run=1,validation=version,estimates=off,solo=no,small_block=8") == Policy(
        name="window=0,run=1,validation=version,estimates=off,solo=no,small_block=8",
        window=0, run=1, validation="version", estimates=False, solo=False, small_block=8,
    )
    assert choices(parse_policy("paper, window=64, run=auto")) == {**choices(Policy.named("paper")), "window": 64, "run": None}


def test_any_policy_there_and_back() -> None:
    rng = random.Random(5)
    for _ in range(300):
        policy = Policy(
            estimates=rng.random() < 0.5, validation=rng.choice(["value", "version"]), window=rng.choice([None, 0, 77]),
            run=rng.choice([None, 1, 64]), solo=rng.random() < 0.5, small_block=rng.choice([0, 1, 9]),
        )
        assert choices(parse_policy(policy_text(policy))) == choices(policy), policy_text(policy)


@pytest.mark.parametrize("text", [
    "", "best", "window", "window=", "window=-1", "window=x", "run=0", "run=65", "solo=2", "validation=none", "estimates=auto",
    "small_block=auto", "name=x", "window=1,window=2", "window=1,paper", "paper,", "run=٣",
])
def test_what_is_no_policy(text: str) -> None:
    with pytest.raises(InputError):
        parse_policy(text)
