"""The decoders, a module a room. Imported by name, so that a campaign measures the code of one alone."""

from __future__ import annotations

from importlib import import_module

from decoder import Decoder

ROOMS = {
    "files": ("block_file", "genesis_file", "dump", "header", "vm_args"),
    "transactions": ("payments", "program"),
    "said": ("identity", "note", "control"),
    "moving": ("manifest", "chunk"),
    "proofs": ("proof", "ics23"),
    "rows": ("records", "jellyfish_row", "iavl_row", "data_file"),
    "node": ("request", "entry_proof", "offer", "http_request"),
    "stress": ("rwset", "result", "sweep", "policy"),
}
NAMES = [name for names in ROOMS.values() for name in names]
_PLANTED = {"planted": ("planted",)}  # in no campaign: test_campaign.py alone


def named(name: str) -> Decoder:
    (room,) = (room for room, names in (ROOMS | _PLANTED).items() if name in names)
    found: Decoder = getattr(import_module(f"decoders.{room}"), name.upper())
    return found
