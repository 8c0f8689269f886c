"""What a virtual machine is, and what it sees of the state."""

from __future__ import annotations

from typing import ContextManager, Iterator, Protocol, TypeVar

from ioi_exec.block.context import TxContext

T = TypeVar("T", contravariant=True)


class StateView(Protocol):
    """The state as one transaction sees it. Keys and values are bytes; keys that are written are not empty.

    In every mode of execution it is an `ioi_shm.State` and behaves the same, so an error's text may be part of a receipt.
    Arguments go by position or by name. Of a subclass of bytes or int it takes the value that is truly held, copied,
    whatever methods the subclass has; other types raise TypeError. A write beyond `Limits` raises LimitExceeded, which
    fails the transaction unless the VM catches it.

    It ends with its transaction, and so do its scans and checkpoints: used later, or in another thread, they raise
    RuntimeError. None of them can be copied, pickled or hashed.
    """

    def get(self, key: bytes) -> bytes | None: ...
    def exists(self, key: bytes) -> bool:
        """Cheaper than `get` in a conflict: only a change of presence matters."""

    def put(self, key: bytes, value: bytes) -> None: ...
    def delete(self, key: bytes) -> None:
        """Deleting what is absent is no error."""

    def add(
        self,
        key: bytes,
        delta: int,
        *,
        width: int,
        offset: int = 0,
        size: int | None = None,
        minimum: int = 0,
        maximum: int | None = None,
    ) -> bool:
        """Add to a counter, and say whether it was done.

        The counter is an unsigned big-endian integer of `width` bytes (1 to 16), from byte `offset` on of a value of `size`
        bytes (as many as needed); the other bytes stay. An absent key is taken for zero bytes, and created. A value of another
        length raises ValueError.

        False, and nothing is written, if the counter would fall below `minimum` or rise above `maximum` (default: all it can
        hold). Adding 0 is a write. It counts as one of `size` bytes in `Limits`.

        Adds of different transactions do not conflict: what is validated is that each would have been done, or refused, all
        the same. A `get` or a scan depends on all adds before it; so does an add of a transaction that has read the value, and
        one to another counter in the same value than the first add of the block.
        """

    def scan(
        self,
        start: bytes | None = None,
        end: bytes | None = None,
        *,
        prefix: bytes | None = None,
        reverse: bool = False,
        limit: int | None = None,
    ) -> Iterator[tuple[bytes, bytes]]:
        """(key, value) in the order of keys, `end` exclusive, from the far end with `reverse`, at most `limit` of them.

        Lazy: what is not looked at does not conflict. Sees this transaction's own writes as of the call. A start
        not below the end gives nothing. Raises ValueError for `prefix` beside `start` or `end`.
        """

    def checkpoint(self) -> ContextManager[None]:
        """An exception leaving the block undoes the writes made in it, then propagates."""


class VM(Protocol[T]):
    """A virtual machine. It keeps no state of its own between transactions.

    Only `execute` is needed. The optional methods, looked for by name:

        def decode(self, tx: bytes) -> T, or decode(self, tx: bytes, chain_id: str) -> T
            Parsing, signatures, hashing: no state. chain_id: of `create(chain_id=...)`, "" if none. At most once a transaction and worker; its exception is
            `execute`'s. Default: the bytes themselves. The result must not be changed afterwards.
        def ante(self, tx: T, state: StateView, ctx: TxContext) -> None
            Before `execute`, in the same transaction; what it wrote stays when `execute` fails. What it raises refuses the
            transaction: nothing of it stays.
        def check(self, tx: T, state: StateView, ctx: TxContext) -> None
            Whether `tx` may wait for a block: `machine.check`. Default: `ante`.
        def query(self, path: str, data: bytes, state: StateView) -> bytes | None
            What a reader asks: `machine.query`.
        def keys(self, tx: T) -> Iterable[bytes]
            Keys the transaction will likely touch: a hint, wrong ones are harmless.
        def migrate(self, state: StateView, ctx: BeginContext, from_version: str) -> None
            Once, in the block that this VM takes over with (`machine.upgrade`), before `begin_block`, and as that.
        def begin_block(self, state: StateView, ctx: BeginContext) -> None
            Once before the first transaction; its writes are part of the block, and lie under all transactions. If it raises, the block fails.
        def end_block(self, state: StateView, ctx: EndContext, receipts: Receipts) -> EndBlock | None
            Once after the last transaction; its writes are part of the block. If it raises, the block fails.
        def gas_limit(self, tx: T) -> int
            The most gas the transaction may use, from what it says itself. Asked only where the state has a schedule (`create(gas=...)`), whose
            limits hold besides. Its exception is `execute`'s.
        version: str | int
            Remembered by the state, which then refuses any other.
        dependencies: list[str]
            Installed distributions whose versions the state records, and then refuses others until they are accepted.

    One in C is an object with `native()`, which returns its capsule (ioi_vm.h), and perhaps

        def verify(self, tx: bytes, chain_id: str) -> None
            Signatures: no state. Once a transaction, before the C code sees it; what it raises fails the transaction.

    What configures it are the arguments of its class: what is set on a class or module after its import reaches no worker.
    """

    def execute(self, tx: T, state: StateView, ctx: TxContext) -> bytes | None:
        """Execute one transaction; what is returned is the receipt's output.

        `Revert` fails it with a code and a text of its own, any other Exception with code 2 and its type, message and
        place in the VM.
        MemoryError, RecursionError, ImportError, an OSError of the system and whatever is no Exception stop the block. An
        OSError that the VM raises itself, without an errno, as in `raise PermissionError("not the owner")`, fails the transaction.
        """
