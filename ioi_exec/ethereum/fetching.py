"""A block and what it stands on, read from a node: the value of a file that `ioi-exec ethereum run` takes.

The node's prestateTracer says what transactions looked at (merging.py). What else executing the block asks for (the beneficiary, those who
get withdrawals, system contracts, the hashes of earlier blocks) is read as it is asked for, at the block before. So executing the block,
one by one, is both how the file becomes whole and how it is checked.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Collection, Iterable, Iterator, Sequence

from ethereum.crypto.hash import keccak256
from ethereum.exceptions import EthereumException
from ethereum_rlp import rlp
from ethereum_rlp.exceptions import RLPException

from ioi_exec.arguments import MAX_INT64
from ioi_exec.errors import Diverged, InputError
from ioi_exec.ethereum.merging import Known
from ioi_exec.ethereum.one_by_one import Pairs, run_one_by_one
from ioi_exec.ethereum.rpc import METHOD_NOT_FOUND, Node, NodeError
from ioi_exec.ethereum.running import Compared, compared
from ioi_exec.files.ethereum import EthereumFile, GivenReceipt, file_from_json
from ioi_exec.files.ethereum_values import array, data, number, objects
from ioi_exec.files.strict_json import Malformed, json_object
from ioi_exec.vm.ethereum import keys
from ioi_exec.vm.ethereum.block import RECENT_HASHES
from ioi_exec.vm.ethereum.forks import CHAIN_ID, fork_named
from ioi_exec.vm.ethereum.keys import ADDRESS_BYTES, Account
from ioi_exec.vm.ethereum.receipts import Outcome
from ioi_exec.vm.ethereum.vm import InvalidBlock, begin, decoded, end

_FLAGS = (
    "geth: --http.api eth,debug; reth: --http.api eth,debug; erigon: --http.api eth,debug; nethermind: --JsonRpc.EnabledModules Eth,Debug; "
    "besu: --rpc-http-api ETH,DEBUG"
)
_FORGOTTEN = ("missing trie node", "state is not available", "state not available", "historical state", "pruned", "reexec")
_DELEGATED = b"\xef\x01\x00"  # code that is another account's (EIP-7702)
_TRACER = {"tracer": "prestateTracer", "timeout": "300s"}


@dataclass(frozen=True)
class Fetched:
    """value: the file's. compared: with the header, by executing it; None: it was not executed."""

    value: dict[str, Any]
    file: EthereumFile
    compared: tuple[Compared, ...] | None

    @property
    def equal(self) -> bool:
        return all(one.equal for one in self.compared or ())


def fetch(node: Node, wanted: int | None, *, check: bool = True, traced: bool = True) -> Fetched:
    """wanted: the block's number; None: the newest. check: execute it; else the hashes of all earlier blocks that a contract may ask for are read.
    traced: False reads each account and slot as executing asks for it, of a node that cannot trace.
    Raises NodeError; InputError where what the node says is no block of mainnet; Diverged where it is invalid on what the node says."""
    if not traced and not check:
        raise InputError("without a trace only executing the block says what it stands on: leave out one of the two")
    try:
        return _Fetching(node, wanted).fetched(check, traced)
    except Malformed as error:
        raise InputError(f"what {node.name} says: {error}") from None


class _Fetching:
    def __init__(self, node: Node, wanted: int | None) -> None:
        if (chain := number(node.call("eth_chainId"), "eth_chainId", 256)) != CHAIN_ID:
            raise InputError(f"{node.name} is of chain {chain}: what is known are the forks of mainnet, chain {CHAIN_ID}")
        if wanted is None:
            wanted = number(node.call("eth_blockNumber"), "eth_blockNumber", 63)
        if not 0 < wanted <= MAX_INT64:
            raise InputError(f"there is no block {wanted} that has transactions: the first is 1")
        self._node = node
        self._number, self._tag, self._before = wanted, hex(wanted), hex(wanted - 1)
        block = self._call("eth_getBlockByNumber", self._tag, True)
        if block is None:
            raise InputError(f"{node.name} has no block {wanted}")
        self.value: dict[str, Any] = {"block": json_object(block, "block"), "prestate": {}}
        self._uncles()
        self._receipts()
        self.file = file_from_json(self.value)
        if self.file.block.number != wanted:
            raise Malformed(f"block: it is {self.file.block.number}, and {wanted} was asked for")
        self.known = Known()

    def fetched(self, check: bool, traced: bool) -> Fetched:
        block, raws = self.file.block, self.file.transactions
        state = _Asking(self)
        self.read_accounts([bytes(block.header.coinbase), *self._told()])
        if traced:
            self._merge()
        found, hashes = None, dict(block.hashes)
        if check:
            done = run_one_by_one(block, raws, state, hash_of=self.hash_of)
            found, hashes = compared(self.file, done.outcomes, done.requests_hash or b""), dict(done.block.hashes)
        else:
            hashes = self._all_hashes()
            self._read_doubted()
            begin(block, state)
            try:
                end(block, state, raws, self._said_outcomes())
            except InvalidBlock as error:
                raise Diverged(f"block {block.number} is invalid by its receipts: {error}") from None
        prestate = self.known.prestate()
        self.value["prestate"] = {"0x" + address.hex(): _account(one) for address, one in sorted(prestate.items())}
        self.value["block_hashes"] = {str(number): "0x" + one.hex() for number, one in sorted(hashes.items())}
        return Fetched(self.value, replace(self.file, prestate=prestate, block=replace(block, hashes=hashes)), found)

    def hash_of(self, number: int) -> bytes:
        return self._hash(self._call("eth_getBlockByNumber", hex(number), False), number)

    def read_accounts(self, addresses: Iterable[bytes]) -> None:
        """As they are before the block."""
        unknown = [address for address in dict.fromkeys(addresses) if address not in self.known.accounts]
        methods = ("eth_getTransactionCount", "eth_getBalance", "eth_getCode")
        said = iter(self._batch([(method, ["0x" + address.hex(), self._before]) for address in unknown for method in methods]))
        for address, nonce, balance, code in zip(unknown, said, said, said):
            of = f"account {address.hex()}"
            account = Account(number(nonce, of, 64), number(balance, of, 256), data(code, of))
            self.known.accounts[address] = account if account != Account() or self._stands(address) else None

    def read_slot(self, address: bytes, slot: bytes) -> None:
        said = self._call("eth_getStorageAt", "0x" + address.hex(), "0x" + slot.hex(), self._before)
        self.known.slots[address, slot] = number(said, f"account {address.hex()}: slot {slot.hex()}", 256)

    def _stands(self, address: bytes) -> bool:
        """Whether an account that is empty is there: before EIP-161 that was not the same. The proof of it ends in its leaf if it is."""
        if self.file.block.fork.order >= fork_named("spurious_dragon").order:
            return False
        said = json_object(self._call("eth_getProof", "0x" + address.hex(), [], self._before), "eth_getProof")
        path = keccak256(address).hex()
        for node in array(said.get("accountProof"), "accountProof")[-1:]:
            try:
                parts = rlp.decode(data(node, "accountProof"))
            except RLPException:
                raise Malformed("accountProof: it is no RLP") from None
            if isinstance(parts, Sequence) and len(parts) == 2 and isinstance(parts[0], bytes):
                nibbles = parts[0].hex()
                return nibbles[:1] in ("2", "3") and path.endswith(nibbles[1 if nibbles[0] == "3" else 2 :])
        return False

    def _told(self) -> list[bytes]:
        """Whom the block itself names."""
        block = self.file.block
        return [bytes(one.address) for one in block.withdrawals] + [bytes(uncle.coinbase) for uncle in block.uncles]

    def _merge(self) -> None:
        # What the block does before its transactions, it does before they are traced.
        begun = _Asking(self)
        begin(self.file.block, begun)
        never = set(self.known.accounts) | begun.asked
        fork, transactions = self.file.block.fork, self.file.transactions
        doubted = [_authorities(fork, decoded(fork, raw)) for raw in transactions]
        if transactions:
            self.known.merge(self._trace({}), self._trace({"diffMode": True}), doubted, never)
        for address, account in self.known.accounts.items():
            if account == Account() and not self._stands(address):
                self.known.accounts[address] = None

    def _read_doubted(self) -> None:
        """What executing would ask for beside what traces say: accounts with a part in set-code transactions, and slots of those not believed."""
        fork, found = self.file.block.fork, list[bytes]()
        for raw in self.file.transactions:
            transaction = decoded(fork, raw)
            found += [*_authorities(fork, transaction), *(bytes(one.address) for one in getattr(transaction, "authorizations", ()))]
        self.read_accounts(found)
        codes = [account.code for account in self.known.accounts.values() if account is not None]
        self.read_accounts([code[len(_DELEGATED) :] for code in codes if code.startswith(_DELEGATED) and len(code) == len(_DELEGATED) + ADDRESS_BYTES])
        for address, slot in self.known.doubted_slots:
            self.read_slot(address, slot)

    def _trace(self, config: dict[str, Any]) -> list[Any]:
        method = "debug_traceBlockByNumber"
        traces = array(self._call(method, self._tag, {**_TRACER, "tracerConfig": config}), method)
        hashes = self.file.transaction_hashes
        if len(traces) != len(hashes):
            raise Malformed(f"{method}: it has {len(traces)} traces, and the block {len(hashes)} transactions")
        found = []
        for index, one in enumerate(objects(traces, method)):
            if one.get("error") is not None:
                raise NodeError(f"{self._node.name} cannot trace transaction {index}: {ascii(one['error'])[:200]}")
            if one.get("txHash") is not None and data(one["txHash"], f"{method}: txHash", 32) != hashes[index]:
                raise Malformed(f"{method}: trace {index} is of another transaction: the chain was reorganised meanwhile; fetch the block again")
            found.append(json_object(one.get("result"), f"{method}: result"))
        return found

    def _uncles(self) -> None:
        hashes = array(self.value["block"].get("uncles") or [], "uncles")
        if hashes:
            calls = [("eth_getUncleByBlockNumberAndIndex", [self._tag, hex(index)]) for index in range(min(len(hashes), 2))]
            self.value["uncles"] = self._batch(calls)

    def _receipts(self) -> None:
        try:
            said = self._node.call("eth_getBlockReceipts", self._tag)
        except NodeError as error:
            if not _is_missing(error):
                raise
            hashes = [json_object(one, "a transaction").get("hash") for one in array(self.value["block"].get("transactions"), "transactions")]
            said = self._batch([("eth_getTransactionReceipt", [one]) for one in hashes])
        self.value["receipts"] = [
            {name: one[name] for name in ("status", "cumulativeGasUsed", "gasUsed") if name in one} | {"logs": _logs(one)}
            for one in objects(said, "receipts")
        ]

    def _said_outcomes(self) -> tuple[Outcome, ...]:
        """By the receipts, of transactions that nobody executed."""
        fork = self.file.block.fork
        raws = self.file.transactions
        return tuple(_outcome(fork, decoded(fork, raw), receipt) for raw, receipt in zip(raws, self.file.receipts or ()))

    def _all_hashes(self) -> dict[int, bytes]:
        numbers = range(max(0, self._number - RECENT_HASHES), self._number - 1)
        said = self._batch([("eth_getBlockByNumber", [hex(number), False]) for number in numbers])
        return {number: self._hash(one, number) for number, one in zip(numbers, said)}

    def _hash(self, said: Any, number: int) -> bytes:
        return data(json_object(said, f"block {number}").get("hash"), f"block {number}: hash", 32)

    def _call(self, method: str, *params: Any) -> Any:
        try:
            return self._node.call(method, *params)
        except NodeError as error:
            raise self._advised(method, error) from None

    def _batch(self, calls: Sequence[tuple[str, list[Any]]]) -> list[Any]:
        try:
            return self._node.batch(calls)
        except NodeError as error:
            raise self._advised(calls[0][0], error) from None

    def _advised(self, method: str, error: NodeError) -> NodeError:
        said = str(error).lower()
        if any(words in said for words in _FORGOTTEN):
            return NodeError(f"{error}. It no longer has the state before block {self._number}: ask a node that keeps all (an archive)", error.code)
        if _is_missing(error):
            more = " --untraced does without it." if method.startswith("debug_") else ""
            return NodeError(f"{error}. The node does not offer {method}: it has to be started with it ({_FLAGS}).{more}", error.code)
        return error


class _Asking(Pairs):
    """The state before the block, with what is not known of it read from the node."""

    def __init__(self, fetching: _Fetching) -> None:
        super().__init__({})
        self._fetching = fetching
        self._gone: set[bytes] = set()
        self.asked: set[bytes] = set()
        """Accounts that anything of was looked at or changed."""

    def missing(self, key: bytes) -> bytes | None:
        if key in self._gone:
            return None
        known = self._fetching.known
        if (slot_of := keys.slot_of(key)) is not None:
            address, slot = slot_of
            self.asked.add(address)
            if known.slot(address, slot) is None:
                self._fetching.read_slot(address, slot)
            value = known.slot(address, slot)
            return keys.pack_number(value) if value else None
        if (found := keys.address_of(key)) is None:
            return None
        self.asked.add(found)
        self._fetching.read_accounts([found])
        if (account := known.accounts[found]) is None:
            return None
        pairs = dict(keys.genesis({found: account}))
        self.pairs.update(pairs)
        return pairs[key]

    def delete(self, key: bytes) -> None:
        super().delete(key)
        self._gone.add(key)

    def put(self, key: bytes, value: bytes) -> None:
        super().put(key, value)
        self._gone.discard(key)

    def scan(self, start: bytes | None = None, end: bytes | None = None, *, prefix: bytes | None = None, **_: Any) -> Iterator[tuple[bytes, bytes]]:
        """The slots of one account: those that are known, since no node lists them. Nothing looks at one that no transaction mentions."""
        for (address, slot), value in self._fetching.known.slots.items():
            key = keys.storage_key(address, slot)
            if prefix is not None and key.startswith(prefix) and value and key not in self._gone:
                self.pairs.setdefault(key, keys.pack_number(value))
        return super().scan(prefix=prefix)


def _is_missing(error: NodeError) -> bool:
    """Whether the node does not offer the method, as it says by code or in words."""
    said = str(error).lower()
    return error.code == METHOD_NOT_FOUND or "method" in said and any(words in said for words in ("does not exist", "not available", "not supported"))


def _account(account: Account) -> dict[str, Any]:
    said: dict[str, Any] = {"balance": hex(account.balance)}
    if account.nonce:
        said["nonce"] = account.nonce
    if account.code:
        said["code"] = "0x" + account.code.hex()
    if account.storage:
        said["storage"] = {"0x" + slot.hex(): "0x" + value.to_bytes(32, "big").hex() for slot, value in sorted(account.storage.items())}
    return said


def _logs(receipt: dict[str, Any]) -> list[dict[str, Any]]:
    return [{name: one.get(name) for name in ("address", "topics", "data")} for one in objects(receipt.get("logs"), "a receipt's logs")]


def _outcome(fork: Any, transaction: Any, receipt: GivenReceipt) -> Outcome:
    logs = tuple(fork.blocks.Log(address, topics, data) for address, topics, data in receipt.logs)
    return Outcome(receipt.succeeded is not False, receipt.gas_used or 0, len(getattr(transaction, "blob_versioned_hashes", ())) * 2**17, logs)


def _authorities(fork: Any, transaction: Any) -> Collection[bytes]:
    """Whose code a transaction may set, which not every tracer mentions."""
    found = set()
    for one in getattr(transaction, "authorizations", ()):
        try:
            found.add(bytes(fork.delegation.recover_authority(one)))
        except EthereumException:  # signed by nobody: it is passed over
            pass
    return found
