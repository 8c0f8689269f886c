"""The bytes of every workload, pinned: the same seed makes the same blocks on every machine and in every later version.

A change here is a change of what results saved before can be compared with: say so in the CHANGELOG.
"""

from __future__ import annotations

import struct
from hashlib import sha256
from typing import Any

import pytest

from ioi_stress.workload import Workload
from ioi_stress.workloads import WORKLOADS, make, parameters_of
from ioi_stress.workloads.base import Made

PINS = {
    ("uniform", "default"): "a035256ad235b02d7e9718c0d4fe45188ac6dac0f994ffeb0e2b0a9160189406",
    ("uniform", "payments"): "daddba544458baf1a8a2314d1bb130a050ba9a99e69a0f053f15bb3823e05695",
    ("uniform", "signed"): "f867009a06b0dc6b181512999030111995428409efc131ddaa2c9002d351cf82",
    ("uniform", "python"): "a035256ad235b02d7e9718c0d4fe45188ac6dac0f994ffeb0e2b0a9160189406",
    ("uniform", "failing"): "002ef42af868308d6031920d12609b6512d8d72079e5442f68b91d7c96db8d48",
    ("zipf", "default"): "9264c737344f4293cd276a1182942da3df328037bf5e4d2981c0dabd3d025a1e",
    ("zipf", "payments"): "8c81c9f288ace092ad576be73f4392b2de76c1a3f973a749cba9045fa2bc9b8d",
    ("zipf", "signed"): "f62cf8892f4bc4af2daff31ecebff391abd3a795be70f5c29e99d5f65448ebe5",
    ("zipf", "python"): "9264c737344f4293cd276a1182942da3df328037bf5e4d2981c0dabd3d025a1e",
    ("zipf", "failing"): "cfbc4aeb000b070712276f83f551a140cf0d7fd5740e652800250e85df74be56",
    ("hot", "default"): "dfbc0b3b48ceae4280e7469e4d4bb184ab94d9338bf5e4a76c12bbdf47cd70e7",
    ("hot", "payments"): "3f81dc51d09d52734888a3e506479ee63f77e46927825eb0f6b46dd910e6629a",
    ("hot", "signed"): "8f621500f38ffe3582045dc1119ec9743de2cbc22b25fbba3992f5ecbb40ef04",
    ("hot", "python"): "dfbc0b3b48ceae4280e7469e4d4bb184ab94d9338bf5e4a76c12bbdf47cd70e7",
    ("hot", "failing"): "6ec675356f597478e17012d6930b2cff958370dc239941c994186361525debfc",
    ("market", "default"): "0268cde48f91870e80f847d4ca04dcd9ee139c7ed4636fd4338215cddb6b2dee",
    ("market", "payments"): "58d79eb5d5f91fcc08c4308d6eb8e67e714582529b2871e00f4413e4be25d606",
    ("market", "signed"): "4888388c4a54b037c2f6d44e41e6214a3a0a3fb7eb67d67309a5a2979ad9df68",
    ("market", "python"): "0268cde48f91870e80f847d4ca04dcd9ee139c7ed4636fd4338215cddb6b2dee",
    ("market", "failing"): "71b04d7c99564219951069b43516c29413a63b34c5d46091a52dda0c8ea5d6bd",
    ("chain", "default"): "f8d9f667b2943356ca8c0152d57c1a3ad6a0975faaa963b0ca3e68e556cf4752",
    ("chain", "payments"): "7170c48dd44758aec66bd91f0a22bedd6b31cf640ba47509244bc59f174260ba",
    ("chain", "signed"): "99b96bd27e37f968a40a865f5837158252dde063d68a6bb1558da76bdb687c55",
    ("chain", "python"): "f8d9f667b2943356ca8c0152d57c1a3ad6a0975faaa963b0ca3e68e556cf4752",
    ("chain", "failing"): "0617649164b9d29c18b96612a183251dbe51175704fba846bdc0883eb7b08c6f",
    ("pairs", "default"): "fde10f89c116602328bc6bc9c8682125591b4365a23c51288757867b103c643e",
    ("pairs", "payments"): "dbb6689520cee1e3893c75bdaf507d9a785addad0600028167cca12a93b891ec",
    ("pairs", "signed"): "abc716d02830f0fa8e09d2bb09282f1d60d8accd3a1794ff27b46a7793bb8f17",
    ("pairs", "python"): "fde10f89c116602328bc6bc9c8682125591b4365a23c51288757867b103c643e",
    ("pairs", "failing"): "1365a4c662694ab9b9464208d530b6298b0cf55c141e013018e0642f66361904",
    ("read-heavy", "default"): "57c6f1fb7515f322e057abf2f50289c8444b772141a83a3fd7cb1bf0ffc682e3",
    ("read-heavy", "python"): "57c6f1fb7515f322e057abf2f50289c8444b772141a83a3fd7cb1bf0ffc682e3",
    ("read-heavy", "failing"): "75c738f62edb2715867950bbdfa2e43634eb3809184f1dc3092433b84d35944c",
    ("scan-heavy", "default"): "ef4d7bc26051e5630d986be27f26f21cf52833b06675cf5d3957fb567545b9dd",
    ("scan-heavy", "python"): "ef4d7bc26051e5630d986be27f26f21cf52833b06675cf5d3957fb567545b9dd",
    ("scan-heavy", "failing"): "ce8231cd8eef520c8a9cd2d419c313f8911c926b80a053f58a7559fa8307dc13",
    ("growing", "default"): "70ffe934104677465ee2e74121b8604290f38b328e4a15fb39b8898cfe6ec776",
    ("growing", "python"): "70ffe934104677465ee2e74121b8604290f38b328e4a15fb39b8898cfe6ec776",
    ("growing", "failing"): "2143fd574bf08e54e6bf7e254bd0de56a85fe05a93411c5932426a4e5fe3cdc1",
    ("shrinking", "default"): "a08b9b50a0c9fce360f4635e4a9be3b16a755b88bdd9487b64f3e30e9ac06577",
    ("shrinking", "python"): "a08b9b50a0c9fce360f4635e4a9be3b16a755b88bdd9487b64f3e30e9ac06577",
    ("shrinking", "failing"): "8a8c2ce0503eb756dc87119ce20bbbea077ee324f443d84687aee9b3009ad5c0",
    ("mixed", "default"): "c196b7c44a92046d59734ed392ab2a85a134dc69e4eb96c655a188e98e1d2bcf",
    ("mixed", "python"): "5982a21a6df56f6ca704445067ce26a2326a3e6ec2295434d62c71df7b58a5ef",
}

# Where it matters beside the defaults.
SHAPES: dict[str, dict[str, Any]] = {
    "default": {},
    "payments": {"vm": "payments"},
    "signed": {"vm": "signed"},
    "python": {"vm": "python"},
    "failing": {"failure_rate": 0.07, "cost": "sleep", "cost_us": 1.5, "seed": 12345678901234567890 % (1 << 63)},
}


def digest(workload: Workload) -> str:
    """SHA-256 over the genesis, ascending by key, and the blocks; every piece after its length."""
    found = sha256()

    def piece(content: bytes) -> None:
        found.update(struct.pack(">Q", len(content)) + content)

    for key, value in sorted(workload.genesis().items()):
        piece(key)
        piece(value)
    for block in workload.blocks():
        found.update(b"block")
        for tx in block.txs:
            piece(tx)
    return found.hexdigest()


def shapes() -> list[tuple[str, str]]:
    found = []
    for name, cls in WORKLOADS.items():
        known = {each.name: each for each in parameters_of(cls)}
        for shape, parameters in SHAPES.items():
            if not issubclass(cls, Made) or not parameters.keys() <= known.keys():
                continue
            if "vm" in parameters and parameters["vm"] not in (known["vm"].choices or ()):
                continue
            found.append((name, shape))
    return found


@pytest.mark.parametrize(("name", "shape"), shapes())
def test_the_bytes_are_those_of_every_other_machine(name: str, shape: str) -> None:
    workload = make(name, block_size=300, blocks=2, accounts=1000, **SHAPES[shape])
    assert digest(workload) == PINS[name, shape]


def test_every_pin_is_of_something() -> None:
    assert set(PINS) == set(shapes())
