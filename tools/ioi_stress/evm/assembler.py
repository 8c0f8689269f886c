"""Text to code of the EVM.

    ADD                         an opcode, as the specification of Cancun calls it
    31  0x1f                    pushes a number, in as few bytes as hold it
    amount = 0x80               from here on `amount` is that number
    transfer:                   a JUMPDEST, and the name of where it stands
    :transfer                   pushes where that is
    #transfer(address,uint256)  pushes the four bytes that a call of it begins with
    @Sent(address,uint256)      pushes the topic of this event
    ; to the end of the line    says something

Between words is white space, also after a name's = and before it.
"""

from __future__ import annotations

import re
from typing import Iterator

from ethereum.crypto.hash import keccak256
from ethereum.forks.cancun.vm.instructions import Ops

from ioi_exec import InputError

_NAME = re.compile(r"[a-z]\w*")
_NUMBER = re.compile(r"0x[0-9a-f]+|[0-9]+")
_LABEL_BYTES = 2
_PUSH0 = int(Ops.PUSH0.value)
_OPCODES: dict[str, int] = {op.name: op.value for op in Ops if not op.name.startswith("PUSH")}  # those are written as what they push


def assemble(source: str) -> bytes:
    """Raises InputError, with the line."""
    constants: dict[str, int] = {}
    labels: dict[str, int] = {}
    wanted: dict[int, tuple[int, str]] = {}
    code = bytearray()
    for number, words in _lines(source):
        if len(words) == 3 and words[1] == "=" and _NAME.fullmatch(words[0]) and _NUMBER.fullmatch(words[2]):
            _new(words[0], (constants, labels), number)
            constants[words[0]] = int(words[2], 0)
            continue
        for word in words:
            if word in _OPCODES:
                code.append(_OPCODES[word])
            elif _NUMBER.fullmatch(word) or word in constants:
                code += push(constants[word] if word in constants else int(word, 0))
            elif word[0] in "#@":
                digest = keccak256(word[1:].encode())
                code += _pushed(digest[:4] if word[0] == "#" else digest)
            elif word[0] == ":":
                code += _pushed(bytes(_LABEL_BYTES))
                wanted[len(code) - _LABEL_BYTES] = number, word[1:]
            elif word[-1] == ":" and _NAME.fullmatch(word[:-1]):
                _new(word[:-1], (constants, labels), number)
                labels[word[:-1]] = len(code)
                code.append(_OPCODES["JUMPDEST"])
            else:
                raise InputError(f"line {number}: {word!r} is no opcode, no number and no name that was given one before")
    for at, (number, label) in wanted.items():
        if label not in labels:
            raise InputError(f"line {number}: nothing is called {label!r}")
        code[at : at + _LABEL_BYTES] = labels[label].to_bytes(_LABEL_BYTES, "big")
    return bytes(code)


def push(value: int) -> bytes:
    return _pushed(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def _pushed(data: bytes) -> bytes:
    return bytes([_PUSH0 + len(data)]) + data


def _lines(source: str) -> Iterator[tuple[int, list[str]]]:
    for number, line in enumerate(source.splitlines(), 1):
        if words := line.partition(";")[0].split():
            yield number, words


def _new(name: str, known: tuple[dict[str, int], ...], line: int) -> None:
    if any(name in names for names in known):
        raise InputError(f"line {line}: {name} is there already")
