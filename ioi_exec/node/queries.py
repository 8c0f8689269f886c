"""What a node answers about its state.

    /store/state/key    the value of a key, at any kept height; with `prove` in two steps, to the app hash
    /node               what the consensus is set to (consensus.py); with `prove` in one step
    any other path      the `query` of the VM that made the height; what a VM says cannot be proven

Height 0 is the newest, with `prove` the one before it: the app hash of a height is in the next one's header.
"""

from __future__ import annotations

from ioi_exec.errors import Error, InputError, MachineClosed, VersionMissing
from ioi_exec.machine import ExecutionMachine
from ioi_exec.node.app_hash import NODE, OP_OF_TREE, STATE, prove_entry
from ioi_exec.node.messages import Answer, ProofOp, ProofOps, QueryRequest
from ioi_exec.node.records import Records
from ioi_exec.node.results import CODESPACE

KEY, CONSENSUS, SIMULATE = "/store/state/key", "/node", "/simulate"
ABSENT = "the key is absent"
NOT_ANSWERED = 1


def answer(machine: ExecutionMachine, records: Records, request: QueryRequest) -> Answer:
    """Raises nothing that an asker could be the cause of: that is an answer with a code."""
    try:
        with machine.pinned():
            if request.path == KEY:
                return _of_key(machine, records, request)
            if request.path == CONSENSUS:
                return _of_consensus(machine, records, request)
            return _of_vm(machine, request)
    except MachineClosed:
        raise
    except Error as error:
        return Answer(NOT_ANSWERED, str(error), key=request.data, codespace=CODESPACE)


def _of_key(machine: ExecutionMachine, records: Records, request: QueryRequest) -> Answer:
    past = machine.at_height(_height(machine, request))
    value, ops = past.get(request.data), None
    if request.prove:
        step = ProofOp(OP_OF_TREE[machine.info.tree], request.data, past.prove_ics23(request.data))
        ops = ProofOps((step, prove_entry(STATE, past.root, _consensus(records, past.height))))
    missing = "" if value is not None else ABSENT
    return Answer(log=missing, key=request.data, value=value or b"", proof_ops=ops, height=past.height)


def _of_consensus(machine: ExecutionMachine, records: Records, request: QueryRequest) -> Answer:
    past = machine.at_height(_height(machine, request))
    value = _consensus(records, past.height)
    ops = ProofOps((prove_entry(NODE, past.root, value),)) if request.prove else None
    return Answer(key=NODE, value=value, proof_ops=ops, height=past.height)


def _of_vm(machine: ExecutionMachine, request: QueryRequest) -> Answer:
    if request.prove:
        raise InputError(f"what a VM answers cannot be proven: ask {KEY} for a key")
    past = machine.at_height(_height(machine, request))
    receipt = past.query(request.path, request.data)
    codespace = "" if receipt.ok else CODESPACE
    return Answer(receipt.code, receipt.error, key=request.data, value=receipt.output, height=past.height, codespace=codespace)


def _height(machine: ExecutionMachine, request: QueryRequest) -> int:
    newest = machine.info.height
    if request.height:
        return request.height
    if not request.prove:
        return newest
    if machine.version == 0:
        raise VersionMissing("there is no header yet that a proof could be held against")
    return newest - 1


def _consensus(records: Records, height: int) -> bytes:
    found = records.at(height)
    if found is None:
        raise VersionMissing("the chain has not begun")
    return found.encode()
