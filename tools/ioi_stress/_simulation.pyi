Block = object  # a capsule
Costs = tuple[int, int, int, int, int, int, int, int]

def prepare(
    txs: list[bytes], base: list[tuple[bytes, bytes]], limits: tuple[int, int, int, int, int, int], oversleep_ns: int, /
) -> tuple[Block, dict[bytes, bytes | None]] | None:
    """A block of programs to simulate, on the state `base`, ascending by key; and what it writes (None: deletes). None if a
    program scans or adds."""

def play(
    block: Block,
    scheduler: str | None,
    workers: int,
    policy: tuple[int, int, bool, bool, bool],
    spins: int,
    spin_ns: int,
    seed: int,
    costs: Costs,
    /,
) -> dict[str, int]:
    """Play it in virtual time: sim_result of play.h. scheduler: None is the engine's own, else sequential, oracle, or the path
    of a library. Raises RuntimeError if it ends otherwise than it must, ValueError for a library that is none."""

def bounds(block: Block, costs: Costs, /) -> tuple[int, int]:
    """Nanoseconds: of all transactions one by one, and of the longest chain of those that read what the one before wrote."""

def measure() -> tuple[int, int, int, int]:
    """Of this machine, nanoseconds: moving a cache line (0: there is but one core), a wake call, from there until the sleeper runs,
    what a sleep of 1 ms takes longer."""

def measure_work(block: Block, /) -> tuple[int, int]:
    """Nanoseconds that a transaction takes here, in real time: by one worker of the engine's core, and one by one."""
