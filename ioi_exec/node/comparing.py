"""What a block came to on two nodes of a chain, and where that differs first.

A node is told of by its home, whose state has the receipts (where it keeps them) or their root, or by its RPC, CometBFT's or `ioi-exec dev`'s
(`block_results`). What a receipt says beside code, data and gas is no part of CometBFT's last_results_hash, but nodes that execute alike say it alike:
all but the text of an exception, which counts up to its type.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any, Callable, Mapping, NamedTuple, Optional

from ioi_storage import receipts_merkle_root

from ioi_exec.block.receipt import CODE_EXCEPTION, CODE_REFUSED
from ioi_exec.errors import InputError, VersionMissing
from ioi_exec.machine import ExecutionMachine
from ioi_exec.node.app_hash import app_hash
from ioi_exec.node.client import Client, NodeError
from ioi_exec.node.home import Home
from ioi_exec.node.messages import Attribute, EventMessage, TxResult
from ioi_exec.node.records import Records
from ioi_exec.node.results import check_result
from ioi_exec.node.wire import encode


@dataclass(frozen=True)
class Outcome:
    """results: of each transaction; None: not kept, and their root alone is known. app_hash: after the block; empty: not said."""

    chain_id: str
    height: int
    results: Optional[tuple[TxResult, ...]]
    receipts_root: bytes
    app_hash: bytes


class Difference(NamedTuple):
    """transaction: its index; None: it is of the whole block."""

    transaction: Optional[int]
    field: str
    here: str
    there: str


def of_home(home: Home, height: int) -> Outcome:
    """Beside the daemon, if it runs. Raises what opening a state raises, VersionMissing."""
    with ExecutionMachine.open(home.state, read_only=True, workers=0) as machine, machine.pinned():
        past = machine.at_height(height)
        if past.version == 0:
            raise VersionMissing(f"height {height} is that of the genesis, which is no block: give one above it")
        try:
            results = tuple(map(check_result, machine.receipts(past.version).receipts))
        except VersionMissing:
            results = None
        info, whole = past.info, b""
        if home.consensus.exists():
            records = Records(home.consensus)
            try:
                consensus = records.at(height)
            finally:
                records.close()
            whole = app_hash(info.state_root, consensus.encode()) if consensus is not None else b""
        return Outcome(machine.info.chain_id or "", height, results, info.receipts_root, whole)


def of_node(url: str, height: int) -> Outcome:
    """url: of its RPC. Raises NodeError where it does not answer, or not what it should; InputError."""
    client = Client(url)
    try:
        found = client.call("block_results", height=str(height))
        results = tuple(_result(each) for each in found["txs_results"] or ())
        network = client.call("status")["node_info"]["network"]
        whole = base64.b64decode(found.get("app_hash") or "", validate=True)
        if int(found["height"]) != height or not isinstance(network, str):
            raise ValueError("it is of another height")
        return Outcome(network, height, results, _root(results), whole)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, binascii.Error) as error:
        raise NodeError(f"{url}: block_results of height {height} is not what CometBFT answers: {type(error).__name__}: {error}") from None


def first_difference(here: Outcome, there: Outcome) -> Optional[Difference]:
    """Raises InputError where they are of two chains."""
    if here.chain_id != there.chain_id:
        raise InputError(f"here the chain is {here.chain_id!r}, and there {there.chain_id!r}: give nodes of one chain")
    if here.results is not None and there.results is not None:
        for index, (ours, theirs) in enumerate(zip(here.results, there.results)):
            for name, shown in _FIELDS.items():
                if shown(ours) != shown(theirs):
                    return Difference(index, name, shown(ours), shown(theirs))
        if len(here.results) != len(there.results):
            return Difference(None, "transactions", str(len(here.results)), str(len(there.results)))
    if here.receipts_root != there.receipts_root:
        return Difference(None, "receipts_root", here.receipts_root.hex(), there.receipts_root.hex())
    if here.app_hash and there.app_hash and here.app_hash != there.app_hash:
        return Difference(None, "app_hash", here.app_hash.hex(), there.app_hash.hex())
    return None


def _error(result: TxResult) -> str:
    return result.log.split(":", 1)[0] if result.code in (CODE_EXCEPTION, CODE_REFUSED) else result.log


def _events(result: TxResult) -> str:
    return json.dumps([[event.type, [[each.key, each.value] for each in event.attributes]] for event in result.events])


_FIELDS: Mapping[str, Callable[[TxResult], str]] = {
    "code": lambda result: str(result.code),
    "data": lambda result: result.data.hex(),
    "gas_wanted": lambda result: str(result.gas_wanted),
    "gas_used": lambda result: str(result.gas_used),
    "events": _events,
    "log": _error,
}


def _root(results: tuple[TxResult, ...]) -> bytes:
    """CometBFT's last_results_hash."""
    leaves, ends = bytearray(), bytearray()
    for each in results:
        leaves += encode(TxResult(each.code, each.data, gas_wanted=each.gas_wanted, gas_used=each.gas_used))
        ends += len(leaves).to_bytes(8, "little")
    return receipts_merkle_root(bytes(leaves), bytes(ends))


def _result(said: Any) -> TxResult:
    return TxResult(
        _number(said.get("code"), 32), base64.b64decode(said.get("data") or "", validate=True), str(said.get("log") or ""),
        gas_wanted=_number(said.get("gas_wanted"), 63), gas_used=_number(said.get("gas_used"), 63),
        events=tuple(
            EventMessage(str(event["type"]), tuple(Attribute(str(each["key"]), str(each["value"])) for each in event.get("attributes") or ()))
            for event in said.get("events") or ()
        ),
    )


def _number(said: Any, bits: int) -> int:
    number = int(said or 0)
    if not 0 <= number < 1 << bits:
        raise ValueError(f"a number is {number}")
    return number
