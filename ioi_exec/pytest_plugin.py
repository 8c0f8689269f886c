"""pytest: the fixture `ioi` hands out machines over a state in memory, and runs the test at several worker counts.

    def test_market(ioi):
        machine = ioi(vm=OrderBook, genesis={b"k": b"v"})
        result = machine.execute([...])

The fixture `ioi_chain` hands out chains, which make blocks of what they are sent (it needs `pip install 'ioi-exec[signed]'`):

    def test_market_on_a_chain(ioi_chain):
        chain = ioi_chain(vm=OrderBook, genesis={b"k": b"v"})
        before = chain.snapshot()
        assert chain.send(b"...").ok
        chain.submit(b"..."), chain.mine()
        chain.revert(before)

`ioi.workers` is the count of this run. Set the counts with `ioi_workers = 0 1 4` in the ini file or
`--ioi-workers=0,4`. Workers are not pinned, and live for the session: all machines share them.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any, Iterator

import pytest

if TYPE_CHECKING:
    from ioi_exec.block.preparation import Genesis
    from ioi_exec.execution.executors import SharedPools
    from ioi_exec.machine import ExecutionMachine
    from ioi_exec.node.dev_chain import DevChain

# The engine is imported where it is used: every pytest run loads this file, most never use the fixture.

DEFAULT_WORKERS = (0, 1, 4)
_SECOND_NS = 10**9
_BEGIN_NS = 1_700_000_000 * _SECOND_NS


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("ioi", "ioi-exec: parallel block execution")
    group.addoption("--ioi-workers", metavar="N,N,...", help="worker counts to run tests of the fixture ioi at")
    parser.addini("ioi_workers", "worker counts to run tests of the fixture ioi at", "args", list(map(str, DEFAULT_WORKERS)))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "ioi" in metafunc.fixturenames:
        counts = _worker_counts(metafunc.config)
        metafunc.parametrize("ioi", counts, indirect=True, ids=[f"workers={count}" for count in counts])


class Machines:
    """What the fixture `ioi` is: call it for a machine, which is closed when the test ends."""

    def __init__(self, workers: int, pools: SharedPools) -> None:
        self.workers = workers
        self._pools = pools
        self._machines: list[ExecutionMachine] = []

    def __call__(
        self, vm: str | type | object = "payments", genesis: Genesis | None = None, **options: Any
    ) -> ExecutionMachine:
        """A machine over a state in memory. options: as of ExecutionMachine.create."""
        from ioi_exec.machine import ExecutionMachine
        from ioi_exec.policy import Policy

        every = Policy.named("all-workers")  # a test is about what several of them do
        settings = {"workers": self.workers, "pin": False, "executors": self._pools.executors(), "policy": every, **options}
        machine = ExecutionMachine.create(None, vm, genesis=genesis, **settings)
        self._machines.append(machine)
        return machine

    def close(self) -> None:
        while self._machines:
            self._machines.pop().close()


@pytest.fixture(scope="session")
def ioi_pools() -> Iterator[SharedPools]:
    """The workers of this session; `assert_serializable` takes it as `pools`."""
    from ioi_exec.execution.executors import SharedPools

    pools = SharedPools()
    yield pools
    pools.close()


@pytest.fixture
def ioi(request: pytest.FixtureRequest, ioi_pools: SharedPools) -> Iterator[Machines]:
    """Machines over a state in memory; the test runs once for each worker count."""
    machines = Machines(request.param, ioi_pools)
    yield machines
    machines.close()


class Chains:
    """What the fixture `ioi_chain` is: call it for a chain, which is closed when the test ends."""

    def __init__(self, pools: SharedPools) -> None:
        self._pools = pools
        self._chains: list[DevChain] = []

    def __call__(self, vm: str | type | object = "payments", genesis: Genesis | None = None, **options: Any) -> DevChain:
        """A chain of one validator in memory (ioi_exec.node.dev_chain.DevChain). It executes in this process, and its blocks are a second
        apart, from the same time on in every run. options: as of DevChain, and of ExecutionMachine.create."""
        from ioi_exec.node.dev_chain import DevChain

        ticks = count(_BEGIN_NS, _SECOND_NS)
        settings = {"workers": 0, "pin": False, "executors": self._pools.executors(), "clock": lambda: next(ticks), **options}
        self._chains.append(DevChain(vm, genesis, **settings))
        return self._chains[-1]

    def close(self) -> None:
        while self._chains:
            self._chains.pop().close()


@pytest.fixture
def ioi_chain(ioi_pools: SharedPools) -> Iterator[Chains]:
    """Chains that make blocks of what they are sent, with `mine`, `snapshot` and `revert`."""
    chains = Chains(ioi_pools)
    yield chains
    chains.close()


def _worker_counts(config: pytest.Config) -> list[int]:
    given: str | None = config.getoption("--ioi-workers")
    texts = given.split(",") if given is not None else [part for text in config.getini("ioi_workers") for part in text.split(",")]
    try:
        counts = [int(text) for text in texts if text.strip()]
    except ValueError:
        counts = []
    if not counts or min(counts) < 0:
        raise pytest.UsageError(f"ioi_workers: {' '.join(texts)!r} are no worker counts: give numbers such as 0,1,4")
    return list(dict.fromkeys(counts))
