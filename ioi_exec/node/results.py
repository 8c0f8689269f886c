"""What a block came to, as FinalizeBlock and CheckTx answer it.

code, data and gas of each transaction come from C, as the leaves of the receipts root, which is CometBFT's last_results_hash. What is no
part of that root, error and events, is put behind them: the order of a message's fields is free.
"""

from __future__ import annotations

from array import array

import ioi_shm

from ioi_exec.block.event import Event, Value
from ioi_exec.block.receipt import Receipt, Receipts
from ioi_exec.block.updates import ValidatorUpdate
from ioi_exec.node.consensus import power_of
from ioi_exec.node.dialects import spoken_params, spoken_validator
from ioi_exec.node.messages import Attribute, ConsensusParams, EventMessage, TxResult
from ioi_exec.node.wire import delimited, encode, varint

CODESPACE = "ioi-exec"

_EVENTS, _TX_RESULTS, _VALIDATOR_UPDATES, _PARAMS, _APP_HASH = 1, 2, 3, 4, 5  # of FinalizeBlock's answer
_LOG, _RESULT_EVENTS = 3, 7  # of ExecTxResult
_RESULT_TAG = varint(_TX_RESULTS << 3 | 2)
_DONE = _RESULT_TAG + b"\0"


def finalized(
    receipts: Receipts, events: tuple[Event, ...], validators: tuple[ValidatorUpdate, ...], params: ConsensusParams | None, app_hash: bytes
) -> bytes:
    """FinalizeBlock's answer. validators: of EndBlock."""
    out = [delimited(_EVENTS, encode(event_message(event))) for event in events]
    out += tx_results(receipts)
    out += [delimited(_VALIDATOR_UPDATES, encode(spoken_validator(power_of(update)))) for update in validators]
    if params is not None:
        out.append(delimited(_PARAMS, encode(spoken_params(params))))
    out.append(delimited(_APP_HASH, app_hash))
    return b"".join(out)


def tx_results(receipts: Receipts) -> list[bytes]:
    """Each as the field of FinalizeBlock's answer that it is."""
    leaves, packed_ends = ioi_shm.receipt_leaves(receipts.blob, receipts.ends)
    ends = array("Q")
    ends.frombytes(packed_ends)
    out, start, more = [], 0, _more(receipts)
    for index, end in enumerate(ends):
        leaf = leaves[start:end]
        start = end
        if index in more:
            leaf += more[index]
        out.append(_RESULT_TAG + varint(len(leaf)) + leaf if leaf else _DONE)
    return out


def _more(receipts: Receipts) -> dict[int, bytes]:
    """What a result has besides its leaf, of those that have something."""
    found = {}
    for index in receipts.telling():
        receipt = receipts[index]
        parts = [delimited(_RESULT_EVENTS, encode(event_message(event))) for event in receipt.events]
        if receipt.error:
            parts.insert(0, delimited(_LOG, receipt.error.encode("utf-8", "backslashreplace")))
        found[index] = b"".join(parts)
    return found


def check_result(receipt: Receipt) -> TxResult:
    """CheckTx's answer."""
    codespace = "" if receipt.ok else CODESPACE
    events = tuple(map(event_message, receipt.events))
    return TxResult(receipt.code, receipt.output, receipt.error, "", receipt.gas_wanted, receipt.gas_used, events, codespace)


def event_message(event: Event) -> EventMessage:
    """Its values as text: bytes in hex. All are indexed, so that a node can be asked for them."""
    return EventMessage(event.name, tuple(Attribute(name, _shown(value), True) for name, value in event.attributes))


def _shown(value: Value) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)
