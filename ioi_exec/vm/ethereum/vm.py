"""The VM: a block is its beginning, its transactions, and its end, each as the specification of the block's fork processes it."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Callable, Sequence

from ethereum.exceptions import EthereumException
from ethereum_rlp import rlp
from ethereum_rlp.exceptions import RLPException
from ethereum_types.numeric import U256, Uint
from ioi_shm import call_apart

from ioi_exec.block.context import BeginContext, EndContext, TxContext
from ioi_exec.block.receipt import Receipts
from ioi_exec.errors import VMFault
from ioi_exec.vm.ethereum import keys
from ioi_exec.vm.ethereum.block import Block, UnknownBlockHash
from ioi_exec.vm.ethereum.forks import Fork, forks
from ioi_exec.vm.ethereum.receipts import Outcome, block_output
from ioi_exec.vm.ethereum.state import Below, Beneficiary, lazy_state, write
from ioi_exec.vm.protocol import StateView
from ioi_exec.vm.revert import Revert

NOT_INCLUDABLE, HASH_MISSING = 1, 3
NOT_OF_THE_BLOCK = (EthereumException, RLPException, OverflowError)
"""What the specification raises of a transaction that cannot be in the block; the last of a pre-state with more ether than there can be."""
REQUESTS = "ethereum.requests"
"""The event of a block of Prague or later; its attribute `hash` is what the header's requests_hash must be."""

_DEPTH = 1024 * 13  # of Python's calls: at most a dozen for each of the EVM's 1024

_newest_rules = forks()[-1].rules  # what it imports, all other forks need too: once, where a VM is loaded, and not in every worker


class InvalidBlock(Exception):
    """The block is not one of Ethereum's, whatever its header says."""


def why_invalid(fault: VMFault) -> str | None:
    """What is wrong with the block, if that is why the engine gave it up."""
    _, raised, said = str(fault).partition(f"{InvalidBlock.__name__}: ")
    return said.rpartition(". ")[0] if raised else None


class Ethereum:
    """A VM. A transaction is the bytes that its hash is of. The header's extra is a Block.

    A transaction that ran is code 0, whether or not the EVM ended it with an error: it has paid. Its output is an Outcome. Any other
    code: it cannot be in this block, whose `end_block` then fails and names it.
    """

    version = "1"
    dependencies = ["ethereum-execution"]

    def begin_block(self, state: StateView, ctx: BeginContext) -> None:
        begin(Block.decode(ctx.extra), state)

    def execute(self, tx: bytes, state: StateView, ctx: TxContext) -> bytes:
        try:
            outcome = transact(Block.decode(ctx.extra), tx, state, ctx.tx_index)
        except NOT_OF_THE_BLOCK as error:
            raise Revert(in_words(error), NOT_INCLUDABLE) from None
        except UnknownBlockHash as error:
            raise Revert(str(error), HASH_MISSING) from None
        return outcome.encode()

    def end_block(self, state: StateView, ctx: EndContext, receipts: Receipts) -> None:
        block = Block.decode(ctx.extra)
        outcomes = []
        for index, receipt in enumerate(receipts):
            if not receipt.ok:
                raise InvalidBlock(f"transaction {index}: {receipt.error}")
            outcomes.append(Outcome.decode(block.fork, receipt.output))
        if (requests_hash := end(block, state, ctx.txs, outcomes)) is not None:
            ctx.emit(REQUESTS, hash=requests_hash)


def begin(block: Block, state: StateView) -> None:
    """What a block does before its transactions. Raises InvalidBlock."""
    _of_block(_begin, block, state)


def transact(block: Block, raw: bytes, state: StateView, index: int) -> Outcome:
    """Nothing is written where it raises: one of NOT_OF_THE_BLOCK, or UnknownBlockHash."""
    outcome: Outcome = call_apart(_DEPTH, _transact, block, raw, state, index)
    return outcome


def end(block: Block, state: StateView, raws: Sequence[bytes], outcomes: Sequence[Outcome]) -> bytes | None:
    """What a block does after its transactions. Returns the hash of its requests, if its fork has such. Raises InvalidBlock."""
    requests_hash: bytes | None = _of_block(_end, block, state, raws, outcomes)
    return requests_hash


def end_alone(block: Block, state: StateView) -> None:
    """Pays the beneficiary what transactions have paid, and does nothing else that a block's end does. Raises InvalidBlock."""
    _of_block(_end_alone, block, state)


def _of_block(step: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return call_apart(_DEPTH, step, *arguments)
    except OverflowError:  # there is not so much ether, but a pre-state may say so
        raise InvalidBlock("a balance would have more than 256 bits") from None


def in_words(error: Exception) -> str:
    """Why a transaction cannot be in the block."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


@lru_cache(maxsize=4096)
def decoded(fork: Fork, raw: bytes) -> Any:
    """The specification's transaction. Raises EthereumException, RLPException."""
    module = fork.transactions
    if raw[:1] >= b"\xc0":
        return rlp.decode_to(getattr(module, "LegacyTransaction", None) or module.Transaction, raw)
    if not hasattr(module, "decode_transaction"):
        raise EthereumException(f"{fork.name} has no transactions of a type")
    return module.decode_transaction(raw)


def _transact(block: Block, raw: bytes, state: StateView, index: int) -> Outcome:
    fork = block.fork
    below = Below(fork, state, bytes(block.header.coinbase))
    environment = block.environment(lazy_state(below), Beneficiary)
    output = fork.vm.BlockOutput()  # as if it were the only one: whether all fit together is looked at in the end
    fork.rules.process_transaction(environment, output, decoded(fork, raw), Uint(index))
    write(below, environment.state)
    return Outcome(
        _succeeded(fork, output), int(output.block_gas_used), int(getattr(output, "blob_gas_used", 0)), tuple(output.block_logs)
    )


def _succeeded(fork: Fork, output: Any) -> bool:
    if not fork.has_status:
        return True
    receipt = fork.trie.trie_get(output.receipts_trie, output.receipt_keys[0])
    return bool((fork.blocks.decode_receipt(receipt) if isinstance(receipt, bytes) else receipt).succeeded)


def _begin(block: Block, state: StateView) -> None:
    fork, rules = block.fork, block.fork.rules
    below = Below(fork, state, bytes(block.header.coinbase))
    environment = block.environment(lazy_state(below))
    if fork.name == "dao_fork" and environment.number == fork.criteria.block_number:
        rules.apply_dao(environment.state)
    if hasattr(rules, "BEACON_ROOTS_ADDRESS"):  # EIP-4788
        rules.process_unchecked_system_transaction(environment, rules.BEACON_ROOTS_ADDRESS, environment.parent_beacon_block_root)
    if hasattr(rules, "HISTORY_STORAGE_ADDRESS"):  # EIP-2935
        rules.process_unchecked_system_transaction(environment, rules.HISTORY_STORAGE_ADDRESS, environment.block_hashes[-1])
    write(below, environment.state)


def _end(block: Block, state: StateView, raws: Sequence[bytes], outcomes: Sequence[Outcome]) -> bytes | None:
    fork, rules = block.fork, block.fork.rules
    transactions = [decoded(fork, raw) for raw in raws]
    _check_gas(block, transactions, outcomes)
    below, environment = _ending(block, state, bool(transactions))
    requests_hash = None
    output = _requesting(fork, transactions, outcomes)
    if hasattr(rules, "pay_rewards"):
        rules.pay_rewards(environment.state, environment.number, environment.coinbase, block.uncles)
    if hasattr(rules, "process_withdrawals"):
        rules.process_withdrawals(environment, output, block.withdrawals)
    if hasattr(rules, "process_general_purpose_requests"):
        try:
            rules.process_general_purpose_requests(environment, output)
        except EthereumException as error:
            raise InvalidBlock(str(error) or type(error).__name__) from None
        requests_hash = bytes(rules.compute_requests_hash(output.requests))
    write(below, environment.state)
    return requests_hash


def _requesting(fork: Fork, transactions: Sequence[Any], outcomes: Sequence[Outcome]) -> Any:
    """The specification's BlockOutput, as far as a block's end reads it: receipts with logs of deposits (EIP-6110). Making all of them would
    be the longest part of what nobody can do beside the transactions."""
    contract = fork.deposit_contract
    chosen = [
        (transaction, outcome)
        for transaction, outcome in zip(transactions, outcomes)
        if contract is not None and any(log.address == contract for log in outcome.logs)
    ]
    return block_output(fork, [transaction for transaction, _ in chosen], [outcome for _, outcome in chosen])


def _ending(block: Block, state: StateView, paid: bool) -> tuple[Below, Any]:
    """Pays the beneficiary. paid: whether there was a transaction that paid, be it nothing."""
    fees = state.get(keys.FEES) or b""
    state.delete(keys.FEES)  # now, or the account would be seen with them
    of = block.fork.state
    below = Below(block.fork, state, bytes(block.header.coinbase))
    environment = block.environment(lazy_state(below))
    if paid:
        balance = of.get_account(environment.state, environment.coinbase).balance
        of.set_account_balance(environment.state, environment.coinbase, balance + U256(int.from_bytes(fees, "big")))
        if hasattr(of, "account_exists_and_is_empty") and of.account_exists_and_is_empty(environment.state, environment.coinbase):  # EIP-161
            of.destroy_account(environment.state, environment.coinbase)
    return below, environment


def _end_alone(block: Block, state: StateView) -> None:
    below, environment = _ending(block, state, paid=True)
    write(below, environment.state)


def _check_gas(block: Block, transactions: list[Any], outcomes: Sequence[Outcome]) -> None:
    """Whether each transaction still had room for the gas that it asks for."""
    used = blobs = 0
    limit, blob_limit = int(block.header.gas_limit), int(getattr(block.fork.rules, "MAX_BLOB_GAS_PER_BLOCK", 0))
    for index, (transaction, outcome) in enumerate(zip(transactions, outcomes)):
        if used + int(transaction.gas) > limit:
            raise InvalidBlock(f"transaction {index}: it may use {transaction.gas} gas, and the block has {limit - used} left")
        used, blobs = used + outcome.gas_used, blobs + outcome.blob_gas_used
        if blobs > blob_limit:
            raise InvalidBlock(f"transaction {index}: with it, blobs use {blobs} gas, and a block may use {blob_limit}")
