"""Access lists of blocks from a seed, in every fork: what each step changed is what the specification by itself changed between the states before
and after it, and what was looked at is what its own trace saw. As hints, right or wrong, they change nothing."""

from __future__ import annotations

import random
from typing import Any

import effort
import pytest

pytest.importorskip("ethereum", reason="pip install 'ioi-exec[ethereum]'")
pytest.importorskip("coincurve")

import ethereum.trace
from evm_blocks import (
    BALANCE,
    CALL,
    CALLCODE,
    DELEGATECALL,
    EXTCODEHASH,
    EXTCODESIZE,
    SELFDESTRUCT,
    SLOAD,
    SSTORE,
    STATICCALL,
    Judged,
    Made,
    World,
    as_file,
    encoded,
    judge,
)
from traced_blocks import traced

from ioi_exec.ethereum.access_list import Accessed, AccessList, make_access_list
from ioi_exec.ethereum.running import Runner, compared
from ioi_exec.files.ethereum import file_from_json, parse
from ioi_exec.vm.ethereum.forks import Fork, fork_named, forks

FORKS = forks() if effort.long else forks()[1::3]  # homestead, ..., and the newest
SEEDS = effort.seeds("IOI_ETHEREUM_SEEDS", sample=1, many=5)

pytestmark = pytest.mark.sampled

State = dict[bytes, tuple[int, int, bytes, dict[bytes, int]]]


def state_of(state: Any) -> State:
    found: State = {}
    for address, account in state._main_trie._data.items():
        trie = state._storage_tries.get(address)
        slots = {bytes(slot): int(value) for slot, value in trie._data.items()} if trie else {}
        found[bytes(address)] = (int(account.nonce), int(account.balance), bytes(account.code), slots)
    return found


def stepped(made: Made) -> tuple[list[State], Judged]:
    """The states between the steps: before the block, after its beginning, after each transaction, at its end."""
    rules, states = made.fork.rules, []
    original = rules.process_transaction

    def process(environment: Any, *rest: Any) -> None:
        if not states:
            states.append(state_of(environment.state))
        original(environment, *rest)
        states.append(state_of(environment.state))

    rules.process_transaction = process
    try:
        judged = judge(made)
    finally:
        rules.process_transaction = original
    before = {at: (one.nonce, one.balance, one.code, dict(one.storage)) for at, one in made.prestate.items()}
    after = {at: (one.nonce, one.balance, one.code, dict(one.storage)) for at, one in judged.accounts.items()}
    return [before, *states, after], judged


NONE = (0, 0, b"", dict[bytes, int]())


def changes(states: list[State]) -> dict[bytes, Accessed]:
    found: dict[bytes, Accessed] = {}
    for step, (before, after) in enumerate(zip(states, states[1:])):
        for address in {*before, *after}:
            old, new = before.get(address, NONE), after.get(address, NONE)
            one = found.setdefault(address, Accessed())
            if old[0] != new[0]:
                one.nonces.append((step, new[0]))
            if old[1] != new[1]:
                one.balances.append((step, new[1]))
            if old[2] != new[2]:
                one.codes.append((step, new[2]))
            for slot in sorted({*old[3], *new[3]}):
                if old[3].get(slot, 0) != new[3].get(slot, 0):
                    one.storage.setdefault(slot, []).append((step, new[3].get(slot, 0)))
    return {address: one for address, one in found.items() if one != Accessed()}


def changed_alone(made: AccessList) -> dict[bytes, Accessed]:
    found = {
        address: Accessed({slot: listed for slot, listed in one.storage.items() if listed}, one.balances, one.nonces, one.codes)
        for address, one in made.accounts.items()
    }
    return {address: one for address, one in found.items() if one != Accessed()}


@pytest.mark.parametrize("seed", SEEDS)
def test_as_the_specification_by_itself(seed: int) -> None:
    for fork in FORKS:
        world = World(fork, seed)
        made = world.made()
        states, judged = stepped(made)
        file = file_from_json(parse(encoded(as_file(made, judged))))
        found, done = make_access_list(file)
        assert all(one.equal for one in compared(file, done.outcomes, done.requests_hash or b""))
        assert changed_alone(found) == changes(states), (fork.name, seed)
        again = AccessList.decode(found.encode())
        assert again == found and again.hash == found.hash
        started, completed = looked_at(made)
        listed = {(address, slot) for address, one in found.accounts.items() for slot in one.storage} | {(at, None) for at in found.accounts}
        assert completed <= listed, (fork.name, seed)
        named = {bytes(value) for name, value in vars(fork.rules).items() if name.endswith("_ADDRESS") and name != "SYSTEM_ADDRESS"}
        named |= {*made.prestate, world.coinbase, *(address for _, _, address, _ in made.withdrawals)}
        named |= traced(made).seen
        assert {address for address, slot in listed - started if slot is None} <= named, (fork.name, seed)
        read = {(address, slot) for address, one in found.accounts.items() if address not in system(fork) for slot in one.storage if not one.storage[slot]}
        assert read <= started, (fork.name, seed)


def system(fork: Fork) -> set[bytes]:
    """Contracts that the beginning and the end of a block call, which are not traced here."""
    return {bytes(value) for name, value in vars(fork.rules).items() if name.endswith("_ADDRESS")}


def looked_at(made: Made) -> tuple[set[tuple[bytes, bytes | None]], set[tuple[bytes, bytes | None]]]:
    """What instructions of transactions look at, when they begin, and of those that did not run out of gas or fail. (address, None) is an account."""
    started: set[tuple[bytes, bytes | None]] = set()
    completed: set[tuple[bytes, bytes | None]] = set()
    waiting: dict[int, list[set[tuple[bytes, bytes | None]]]] = {}
    rules = made.fork.rules
    original = rules.process_transaction

    def event(evm: Any, event: Any) -> None:
        if isinstance(event, ethereum.trace.OpStart):
            op, stack, here = int(event.op.value), evm.stack, bytes(evm.message.current_target)
            found: set[tuple[bytes, bytes | None]] = set()
            if op in (SLOAD, SSTORE) and stack:
                found = {(here, None), (here, bytes(stack[-1].to_be_bytes32()))}
            elif op in (0x3C, EXTCODEHASH, EXTCODESIZE, BALANCE, SELFDESTRUCT) and stack:
                found = {(bytes(stack[-1].to_be_bytes32())[12:], None)}
            elif op in (DELEGATECALL, CALL, STATICCALL, CALLCODE) and len(stack) > 4:
                found = {(bytes(stack[-2].to_be_bytes32())[12:], None)}
            started.update(found)
            waiting.setdefault(id(evm), []).append(found)
        elif isinstance(event, (ethereum.trace.OpEnd, ethereum.trace.OpException)) and waiting.get(id(evm)):
            found = waiting[id(evm)].pop()
            if isinstance(event, ethereum.trace.OpEnd):
                completed.update(found)

    def process(*rest: Any) -> None:
        before = ethereum.trace.set_evm_trace(event)
        try:
            original(*rest)
        finally:
            ethereum.trace.set_evm_trace(before)

    rules.process_transaction = process
    try:
        judge(made)
    finally:
        rules.process_transaction = original
    return started, completed


def test_wrong_lists_are_harmless() -> None:
    rng = random.Random(5)
    made = World(fork_named("prague"), 5).made()
    file = file_from_json(parse(encoded(as_file(made, judge(made)))))
    right, _ = make_access_list(file)
    other, _ = make_access_list(file_from_json(parse(encoded(as_file(more := World(fork_named("prague"), 6).made(), judge(more))))))
    lists = [right, other, AccessList({})]
    for _ in range(4):
        keep = {address: one for address, one in right.accounts.items() if rng.random() < 0.5}
        wrong = {rng.randbytes(20): Accessed({rng.randbytes(32): [(rng.randrange(9), 1)] for _ in range(3)}) for _ in range(3)}
        lists.append(AccessList({**keep, **wrong}))
    with Runner(2) as parallel, Runner(0) as alone:
        expected = alone.run(file)
        assert expected.equal
        for one in lists:
            ran = parallel.run(file, one.keys())
            assert (ran.state_root, ran.outcomes, ran.compared) == (expected.state_root, expected.outcomes, expected.compared)
        assert alone.run(file, right.keys()).state_root == expected.state_root
