"""Blocks and states written as the files `ioi-exec` and `ioi-stress replay` read (ioi_exec.files)."""

from __future__ import annotations

import json
from typing import Iterable, Mapping, TextIO

from ioi_exec import BlockHeader
from ioi_exec.files.block import decided_object
from ioi_exec.files.strict_json import written
from ioi_stress.workload import Block


def write_block(stream: TextIO, block: Block) -> None:
    if block.header is not None:
        stream.write(json.dumps({"header": _header(block.header)}) + "\n")
    stream.writelines(f'{{"tx": "{tx.hex()}"}}\n' for tx in block.txs)


def write_genesis(stream: TextIO, state: Mapping[bytes, bytes]) -> None:
    stream.write('{"state": {')
    stream.writelines(_pairs(sorted(state.items())))
    stream.write("}}\n")


def _pairs(pairs: Iterable[tuple[bytes, bytes]]) -> Iterable[str]:
    for number, (key, value) in enumerate(pairs):
        yield f'{"," if number else ""}\n"{key.hex()}": "{value.hex()}"'


def _header(header: BlockHeader) -> dict[str, object]:
    shown: dict[str, object] = {}
    if header.height is not None:
        shown["height"] = written(header.height)
    if header.time_ns:
        shown["time_ns"] = written(header.time_ns)
    if header.proposer is not None:
        shown["proposer"] = header.proposer.hex()
    for name in ("block_id", "extra"):
        if getattr(header, name):
            shown[name] = getattr(header, name).hex()
    return {**shown, **decided_object(header)}
