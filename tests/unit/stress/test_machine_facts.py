"""What is said of a machine, and what is not."""

from __future__ import annotations

import getpass
import json
import socket

import pytest

from ioi_stress.running import machine_facts as facts_of


def test_facts() -> None:
    facts = facts_of.machine_facts()
    assert json.loads(json.dumps(facts)) == facts
    assert 1 <= facts["cores_available"] <= facts["cores_allowed"] <= facts["cores"]
    assert 0 < facts["memory_free_bytes"] <= facts["memory_bytes"]
    assert facts["python_loop_ns"] > 0 and facts["sha256_ns"] > 0 and facts["lmdb"] and facts["numpy"] and facts["load"] >= 0
    words = json.dumps(facts).split('"')
    assert socket.gethostname() not in words and getpass.getuser() not in words


@pytest.mark.parametrize("text, model", [
    ("processor\t: 0\nmodel name\t: Fast CPU 3000\n\nmodel name\t: Other\n", "Fast CPU 3000"),
    ("processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd0c\n", "implementer 0x41 part 0xd0c"),
    ("", None),
])
def test_the_model_of_the_processor(text: str, model: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts_of, "_read", lambda path: text)
    assert facts_of._cpu_model() == model


@pytest.mark.parametrize("files, turbo", [
    ({"no_turbo": "1"}, False), ({"no_turbo": "0", "boost": "0"}, True), ({"boost": "1"}, True), ({"boost": "0"}, False), ({}, None),
])
def test_turbo(files: dict[str, str], turbo: bool | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts_of, "_read", lambda path: files.get(path.rpartition("/")[2]))
    assert facts_of._turbo() is turbo
