"""What geth's prestateTracer says of each transaction of a made block: the specification by itself executes it, and tells each instruction
before it runs. Written after what that tracer does, faults included."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, field
from typing import Any

import ethereum.trace
from ethereum.crypto.hash import keccak256
from ethereum_rlp import rlp
from ethereum_types.bytes import Bytes20, Bytes32
from ethereum_types.numeric import Uint
from evm_blocks import (
    BALANCE,
    CALL,
    CALLCODE,
    CREATE,
    CREATE2,
    DELEGATECALL,
    EXTCODEHASH,
    EXTCODESIZE,
    SELFDESTRUCT,
    SLOAD,
    SSTORE,
    STATICCALL,
    Judged,
    Made,
    judge,
)

_EXTCODECOPY = 0x3C
_ZERO = bytes(32)


@dataclass
class Traced:
    """traces, diffs: in the default mode, and in diffMode. seen: whom the tracer looked up, mentioned or not."""

    judged: Judged
    traces: list[dict[str, Any]] = field(default_factory=list)
    diffs: list[dict[str, Any]] = field(default_factory=list)
    seen: set[bytes] = field(default_factory=set)


def traced(made: Made, *, keeps_empty: bool = False, knows_authorities: bool = True, knows_beneficiary: bool = True) -> Traced:
    """keeps_empty: as geth did once, accounts that were empty are mentioned, but those that the transaction created. The others: what some
    tracers do not look up unless code does."""
    rules, found = made.fork.rules, []
    seen: set[bytes] = set()
    original = rules.process_transaction

    def process(environment: Any, output: Any, transaction: Any, index: Any) -> None:
        one = _Transaction(made, environment.state, keeps_empty)
        one.account(bytes.fromhex(made.transactions[int(index)]["from"][2:]))
        to = bytes(transaction.to)
        one.account(to) if to else one.created_by(bytes.fromhex(made.transactions[int(index)]["from"][2:]))
        if knows_beneficiary:
            one.account(bytes(environment.coinbase))
        for authorization in getattr(transaction, "authorizations", ()) if knows_authorities else ():
            one.account(bytes(made.fork.delegation.recover_authority(authorization)))
        before = ethereum.trace.set_evm_trace(one.event)
        try:
            original(environment, output, transaction, index)
        finally:
            ethereum.trace.set_evm_trace(before)
        found.append(one.said(environment.state))
        seen.update(one.seen)

    rules.process_transaction = process
    try:
        judged = judge(made)
    finally:
        rules.process_transaction = original
    return Traced(judged, [one for one, _ in found], [one for _, one in found], seen)


class _Transaction:
    def __init__(self, made: Made, state: Any, keeps_empty: bool) -> None:
        self.made, self.keeps_empty = made, keeps_empty
        self.accounts = dict(state._main_trie._data)
        self.storage = {address: dict(trie._data) for address, trie in state._storage_tries.items()}
        self.state = state
        self.seen: dict[bytes, set[bytes]] = {}
        self.created: set[bytes] = set()
        self.deleted: set[bytes] = set()

    def account(self, address: bytes) -> None:
        self.seen.setdefault(address, set())

    def created_by(self, caller: bytes) -> None:
        now = self.state._main_trie._data.get(Bytes20(caller))
        address = bytes(keccak256(rlp.encode([caller, now.nonce if now else Uint(0)])))[12:]
        self.account(address)
        self.created.add(address)

    def event(self, evm: Any, event: Any) -> None:
        if not isinstance(event, ethereum.trace.OpStart):
            return
        op, stack, here = int(event.op.value), evm.stack, bytes(evm.message.current_target)
        if op in (SLOAD, SSTORE) and stack:
            self.account(here)
            self.seen[here].add(stack[-1].to_be_bytes32())
        elif op in (_EXTCODECOPY, EXTCODEHASH, EXTCODESIZE, BALANCE, SELFDESTRUCT) and stack:
            self.account(bytes(stack[-1].to_be_bytes32())[12:])
            if op == SELFDESTRUCT:
                self.deleted.add(here)
        elif op in (DELEGATECALL, CALL, STATICCALL, CALLCODE) and len(stack) >= 5:
            self.account(bytes(stack[-2].to_be_bytes32())[12:])
        elif op == CREATE:
            self.created_by(here)
        elif op == CREATE2 and len(stack) >= 4:
            offset, size = int(stack[-2]), int(stack[-3])
            code = bytes(evm.memory[offset : offset + size]).ljust(size, b"\0")
            address = bytes(keccak256(b"\xff" + here + stack[-4].to_be_bytes32() + keccak256(code)))[12:]
            self.account(address)
            self.created.add(address)

    def said(self, after: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        before: dict[str, Any] = {}
        diff: dict[str, Any] = {"pre": {}, "post": {}}
        for address, slots in self.seen.items():
            old, new = self.accounts.get(Bytes20(address)), after._main_trie._data.get(Bytes20(address))
            name = "0x" + address.hex()
            stored = self.storage.get(Bytes20(address), {})
            trie = after._storage_tries.get(Bytes20(address))
            now = trie._data if trie else {}
            values = {slot: (_word(stored.get(Bytes32(slot))), _word(now.get(Bytes32(slot)))) for slot in sorted(slots)}
            one = _shown(old)
            empty = old is None or (old.nonce, old.balance, old.code) == (0, 0, b"")
            if values:
                one["storage"] = {"0x" + slot.hex(): "0x" + was.hex() for slot, (was, _) in values.items()}
            if not empty or self.keeps_empty and address not in self.created:
                before[name] = one
            if address in self.deleted:
                continue
            changed = {part: value for part, value in _shown(new).items() if value != _shown(old).get(part)}
            post_slots = {slot: pair for slot, pair in values.items() if pair[0] != pair[1]}
            if any(set_ != _ZERO for _, set_ in post_slots.values()):
                changed["storage"] = {"0x" + slot.hex(): "0x" + is_.hex() for slot, (_, is_) in post_slots.items() if is_ != _ZERO}
            if changed or post_slots:
                diff["post"][name] = changed
                if not empty:
                    pre = copy(_shown(old))
                    if kept := {"0x" + slot.hex(): "0x" + was.hex() for slot, (was, _) in post_slots.items() if was != _ZERO}:
                        pre["storage"] = kept
                    diff["pre"][name] = pre
        return before, diff


def _shown(account: Any) -> dict[str, Any]:
    shown: dict[str, Any] = {"balance": hex(int(account.balance) if account else 0)}
    if account and account.nonce:
        shown["nonce"] = int(account.nonce)
    if account and account.code:
        shown["code"] = "0x" + account.code.hex()
    return shown


def _word(value: Any) -> bytes:
    return int(value or 0).to_bytes(32, "big")
