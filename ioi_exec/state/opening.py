"""What `create` and `open` need to find out before there is a machine."""

from __future__ import annotations

import os
from dataclasses import replace
from itertools import zip_longest
from typing import NamedTuple

import ioi_storage
from ioi_shm import WORKERS_MAX

from ioi_exec.arguments import integer
from ioi_exec.cores import available_cores
from ioi_exec.errors import InputError, InputTypeError, StateExists, VMError, VMMismatch
from ioi_exec.policy import DEFAULT, Policy
from ioi_exec.state.identity import Identity
from ioi_exec.vm.fingerprint import other_code
from ioi_exec.vm.loading import LoadedVM
from ioi_exec.vm.upgrades import Upgrade

StatePath = str | os.PathLike[str]


def reopened(
    path: StatePath, tree: str, identity: Identity, items: list[tuple[bytes, bytes]]
) -> ioi_storage.Store:
    """The state that `create` found at its path, if it is what `create` would have made."""
    store = ioi_storage.Store.open(path)
    try:
        there = Identity.from_meta(store.meta)
        there.vm.check_same(identity.vm)
        if there.interpreter is not None and there.interpreter != identity.interpreter:
            raise VMMismatch(
                f"{path} holds a state made under {there.interpreter}, and this is {identity.interpreter}: use what is recorded, or "
                "open it with accept_interpreter=True"
            )
        if other_code(there.code, identity.code):
            raise VMMismatch(f"{path} holds a state of the same VM with other code: open it with accept_vm=True, or give the VM another version")
        if store.version != 0:
            raise StateExists(f"{path} holds a state at version {store.version}: open it, or create one elsewhere")
        if store.tree != tree or there.initial_height != identity.initial_height or there.limits != identity.limits:
            raise StateExists(f"{path} holds a state with another tree, initial height or limits: create one elsewhere")
        if there.gas != identity.gas:
            raise StateExists(f"{path} holds a state with another schedule of gas: create one elsewhere")
        if there.upgrades:
            raise StateExists(f"{path} holds a state that upgrades to {there.upgrades[0]}: open it, or create one elsewhere")
        if there.chain_id != identity.chain_id:
            raise StateExists(f"{path} holds a state of the chain {there.chain_id!r}, not {identity.chain_id!r}: create one elsewhere")
        if any(ours != theirs for ours, theirs in zip_longest(items, store.scan())):
            raise StateExists(f"{path} holds a state with another genesis: open it, or create one elsewhere")
        return store
    except BaseException:
        store.close()
        raise


class Accept(NamedTuple):
    """What the operator lets differ from what the state recorded."""

    interpreter: bool = False
    vm: bool = False


def accepted(store: ioi_storage.Store, identity: Identity, index: int, vm: LoadedVM, accept: Accept) -> Identity:
    """The identity, if the VM, one of its `vms`, is here what the state recorded, or the operator accepts what there is here, which is then
    recorded in its place; so is its code where nobody did. Raises VMMismatch, VMError."""
    recorded = identity.vms[index]
    here = Upgrade.here(recorded.height, vm)
    other_interpreter = None not in (recorded.interpreter, here.interpreter) and recorded.interpreter != here.interpreter
    if other_interpreter and not accept.interpreter:
        raise VMMismatch(
            f"the state's blocks were executed under {recorded.interpreter}, and this is {here.interpreter}: results may differ. Use what is "
            "recorded, or accept what is here on every node at one height (--accept-interpreter, accept_interpreter=True)"
        )
    if other_code(recorded.code, here.code) and not accept.vm:
        raise VMMismatch(
            f"the code of the VM {vm.spec} is not that which the state's blocks were executed with, and its version is the same. If it decides "
            "anything otherwise, give it another version, and upgrade at a height (ioi-exec upgrade); if not, accept it (--accept-vm, "
            "accept_vm=True)"
        )
    now = replace(
        recorded, interpreter=here.interpreter if other_interpreter else recorded.interpreter, code=here.code or recorded.code
    )
    if now == recorded:
        return identity
    identity = identity.changed(index, now)
    if not store.read_only:
        store.set_meta(identity.to_meta())
    return identity


def of_state(vm: LoadedVM, identity: Identity, index: int) -> LoadedVM:
    """A VM as one of the state's `vms`: it knows the chain, and from which VM it takes over."""
    before = identity.vms[index - 1].vm.version if index else ""
    return replace(vm, chain_id=identity.chain_id, from_version=before)


def checked_upgrade(identity: Identity, vm: LoadedVM, height: int, committed: int, accept: bool) -> Identity:
    """The identity with this upgrade in the place of what is pending. Raises InputError, VMError."""
    if height <= committed:
        raise InputError(f"upgrade: height {height} is committed, the state is at {committed}: give a later one")
    if vm.native is not None and hasattr(vm.instance, "migrate"):
        raise VMError(f"upgrade: {vm.spec} is in C, and its method migrate would never be called: let a VM in Python migrate one block earlier")
    identity = identity.upgraded(Upgrade.here(height, vm), committed)
    if identity.vms[-2].vm == vm.spec and not accept:
        raise InputError(
            f"upgrade: {vm.spec} is the VM that the state has already: give the new one another version, or say that it is another "
            "one all the same (--accept-vm, accept_vm=True)"
        )
    return identity


def checked_policy(policy: Policy | None, otherwise: Policy = DEFAULT) -> Policy:
    """How the scheduler is to go about blocks. Raises InputTypeError."""
    if policy is None:
        return otherwise
    if not isinstance(policy, Policy):
        raise InputTypeError(f"policy is {type(policy).__name__}: give a Policy, say Policy.named({Policy.names()[1]!r}), or None")
    return policy


def checked_keep(keep: int | None) -> int | None:
    """How many versions to keep. Raises InputTypeError, InputError."""
    if keep is None:
        return None
    return integer("keep", keep, 1, give="an integer, at least 1, the newest version, or None to keep every version")


def checked_workers(workers: int | None) -> int:
    """How many worker processes to use. Raises InputTypeError, InputError."""
    if workers is None:
        return available_cores()
    return integer("workers", workers, 0, WORKERS_MAX, give=f"an integer from 0 to {WORKERS_MAX}, or None for one per core")
