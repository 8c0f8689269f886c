"""The process that `ioi-exec serve` is: a home's machine, its application, and the socket, until a signal."""

from __future__ import annotations

import logging
import signal
from contextlib import ExitStack
from functools import partial
from types import FrameType, TracebackType
from typing import Any

from ioi_exec.errors import InputError, VMMismatch
from ioi_exec.machine import ExecutionMachine
from ioi_exec.node import logs
from ioi_exec.node.abci import Abci
from ioi_exec.node.addresses import address_of
from ioi_exec.node.application import Application, Joining
from ioi_exec.node.home import CONFIG, Home
from ioi_exec.node.joining import Joiner, settled
from ioi_exec.node.monitor import Monitor
from ioi_exec.node.readiness import Readiness
from ioi_exec.node.records import Records
from ioi_exec.node.retention import Retention
from ioi_exec.node.server import Server
from ioi_exec.node.snapshots import Snapshots

log = logging.getLogger("ioi_exec.node")

EDGE_SECONDS = 5.0  # that a block which is decided has to be committed, once the daemon is to end
_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def opened_machine(home: Home, accept_interpreter: bool, accept_vm: bool, cross_check: bool) -> ExecutionMachine:
    """Of a home, as its settings say. Raises what `ExecutionMachine.open` raises."""
    config = home.config
    try:
        return ExecutionMachine.open(
            home.state, vm=config.chain.vm, vm_args=config.chain.args(),
            workers=None if config.engine.workers < 0 else config.engine.workers, keep=config.engine.keep or None,
            accept_interpreter=accept_interpreter, accept_vm=accept_vm, cross_check=cross_check,
        )
    except VMMismatch as error:
        raise VMMismatch(f"{error}. A node is given its VM by chain.vm and chain.vm_args of {home.path / CONFIG}") from None


class Daemon:
    """Everything is open, and it listens, once it is made; `run` answers. Close it, or use `with`. In the main thread alone."""

    def __init__(
        self, home: Home, *, log_format: str | None = None, accept_interpreter: bool = False, accept_vm: bool = False, cross_check: bool = False
    ) -> None:
        """log_format: in the place of what the settings say. Raises what opening a machine raises, and InputError."""
        config = home.config
        logs.begin(log_format or config.log.format, config.log.level)
        with ExitStack() as opened:
            settled(home.state)
            open_machine = partial(opened_machine, home, accept_interpreter, accept_vm, cross_check)
            machine = open_machine()
            opened.callback(machine.close)
            self._info = machine.info
            if self._info.chain_id != config.chain.id:
                raise InputError(f"{home.path}: its settings say the chain {config.chain.id!r}, and its state is of {self._info.chain_id!r}")
            records = Records(home.consensus)
            opened.callback(records.close)
            engine = config.engine
            self._application = Application(
                machine, records, retention=Retention(engine.min_retain_blocks, engine.keep), propose_seconds=engine.propose_ms / 1000 or None,
                halt_height=engine.halt_height, at_halt=lambda: self._server.stop(), simulates=engine.simulate == 1,
                snapshots=Snapshots(home.snapshots, home.state, every=config.snapshots.every, keep=config.snapshots.keep),
                joining=Joining(Joiner(home.state), open_machine),
            )
            self._server = Server(Abci(self._application), address_of(config.abci.listen, home.path, "abci.listen"), config.abci.message_bytes)
            opened.callback(self._server.close)
            self._monitor = self._monitoring(home)
            opened.pop_all()

    def _monitoring(self, home: Home) -> Monitor | None:
        settings = home.config.monitoring
        if not settings.listen:
            return None
        from ioi_exec.node.metrics import Metrics

        metrics = Metrics(self._application, state=home.state, connections=lambda: self._server.connections)
        readiness = Readiness(self._application, lambda: self._server.connections, settings.ready_seconds)
        return Monitor(address_of(settings.listen, home.path, "monitoring.listen"), readiness, metrics.text)

    def described(self) -> dict[str, Any]:
        info = self._info
        monitoring = {} if self._monitor is None else {"monitoring": self._monitor.address}
        return {
            "proxy_app": self._server.address, "chain_id": info.chain_id, "vm": str(info.vm),
            "height": info.height if info.version else 0, **monitoring,
        }

    def run(self) -> None:
        """Until a signal that asks to end. Raises what the application failed with."""

        def end(number: int, frame: FrameType | None) -> None:
            self._server.stop()

        before = {number: signal.signal(number, end) for number in _ENDING}
        try:
            self._server.serve()
        except BaseException as error:
            logs.told(log, "failed", logging.ERROR, error=f"{type(error).__name__}: {error}")
            raise
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        logs.told(log, "ending")
        self._application.wait_for_edge(EDGE_SECONDS)

    def close(self) -> None:
        if self._monitor is not None:
            self._monitor.close()
        self._server.close()
        self._application.close()

    def __enter__(self) -> Daemon:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
