"""What the commands do, as functions: `ioi-stress explain zipf --s 1.1 --repeat 3` is `ioi_stress.explain("zipf", s=1.1, repeat=3)`.

The commands call these, so that both take the same options with the same defaults and do the same; a command adds where its results
are printed or written. Options that are no option of a function are parameters of the workload.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ioi_exec import BlockResult, InputError, InputTypeError
from ioi_exec.arguments import path, wrong_type
from ioi_exec.block.record import Record
from ioi_exec.cli.streams import output_file
from ioi_exec.execution.executors import SharedPools
from ioi_exec.files.whole import read_whole
from ioi_exec.policy import Policy
from ioi_stress.explaining.explanation import Explanation
from ioi_stress.notation.policy_text import parse_policy
from ioi_stress.plan import Plan
from ioi_stress.refusals import refusing
from ioi_stress.results.result import Result
from ioi_stress.running.machine_facts import machine_facts
from ioi_stress.running.measure import Observer, OnMismatch, measure
from ioi_stress.running.recording import Recording, record_block
from ioi_stress.running.verify import on_by_default
from ioi_stress.sweeps import Sweep
from ioi_stress.sweeps.rows import LASTING, machine_id
from ioi_stress.tracing.perfetto import write_trace
from ioi_stress.tracing.picture import check_picture, write_picture
from ioi_stress.tracing.rwset import write_rwset
from ioi_stress.tracing.summary import counts_line, shares_table
from ioi_stress.tracing.text import drawn
from ioi_stress.tracing.timeline import Timeline
from ioi_stress.tracing.window import Moment, moment, window
from ioi_stress.workload import Workload, lacking
from ioi_stress.workloads import make

RWSET_ROUNDS = 5
"""Executions that `trace` records at least where a file of costs is wanted: what a transaction takes is the least of them."""
COST_ROUNDS = 15
"""And where it measures what recording costs."""


@refusing
def run(
    workload: str | Workload,
    plan: Plan | None = None,
    observer: Observer | None = None,
    *,
    workers: int | None = None,
    policy: str | Policy = "default",
    repeat: int = Plan.repeat,
    warmup: int = Plan.warmup,
    sequential: bool = True,
    verify: bool | None = None,
    tree: str = Plan.tree,
    state: str | None = None,
    pin: bool = True,
    pools: SharedPools | None = None,
    on_mismatch: OnMismatch | None = None,
    **parameters: Any,
) -> Result:
    """Execute a workload in parallel and one by one, measure it, and verify every result.

        ioi_stress.run("zipf", s=1.1, workers=2, repeat=3)

    workload: a name of `ioi_stress.workloads.WORKLOADS`, with `parameters`, or a Workload. The options are those of Plan; verify None:
    on, unless `sequential` is off and that would take long. plan: instead of all of them. observer, pools, on_mismatch: as
    `ioi_stress.running.measure.measure` takes them. Raises InputError or InputTypeError before anything is executed, and the engine's
    errors.
    """
    made = chosen_workload(workload, parameters)
    if plan is None:
        plan = plan_of(
            made, workers=workers, policy=policy, repeat=repeat, warmup=warmup, sequential=sequential, verify=verify, tree=tree,
            state=state, pin=pin,
        )
    if not isinstance(plan, Plan):
        raise wrong_type("plan", plan, "a Plan, or None")
    return measure(made, plan, observer, pools=pools, on_mismatch=on_mismatch)


@refusing
def explain(
    workload: str | Workload,
    *,
    block: int = 0,
    workers: int | None = None,
    policy: str | Policy = "default",
    repeat: int = 5,
    warmup: int = 1,
    pin: bool = True,
    **parameters: Any,
) -> Explanation:
    """Why one block was as fast as it was: conflicts, critical path, best possible speed-up. `print` shows what the command does.

    block: which, from 0 on. repeat: executions of each kind, one by one, in parallel and recorded; the least of each counts.
    Raises as `run` does, and Diverged if an execution ended otherwise than one by one.
    """
    return Explanation.of(_recorded(workload, parameters, block, workers, policy, repeat, warmup, pin))


@dataclass(frozen=True, eq=False)
class Trace:
    """One recorded block: its recording, its timeline, and the part of that which is drawn, in nanoseconds. files: (what, path, about)
    of those that were written."""

    recording: Recording
    timeline: Timeline
    begin: int
    end: int
    files: tuple[tuple[str, str, str], ...] = ()
    measured_cost: bool = False
    """Whether there are enough executions for `recording.cost()`."""

    def text(self, width: int = 100, *, ascii_only: bool = False) -> str:
        """The timeline, drawn with characters."""
        return drawn(self.timeline, self.begin, self.end, width, ascii_only=ascii_only)

    @property
    def title(self) -> str:
        return self.recording.title

    @property
    def about(self) -> dict[str, Any]:
        """What was recorded, as files keep it."""
        recording = self.recording
        return {
            "workload": recording.workload.name,
            "parameters": dict(recording.workload.parameters),
            "block": recording.number,
            "policy": recording.plan.policy.to_json(),
            "state_root": recording.result.state_root.hex(),
        }

    def __str__(self) -> str:
        return "\n\n".join([self.title, self.text(), f"{shares_table(self.timeline)}\n{counts_line(self.timeline)}"])


@refusing
def trace(
    workload: str | Workload,
    *,
    block: int = 0,
    workers: int | None = None,
    policy: str | Policy = "default",
    repeat: int = 1,
    warmup: int = 1,
    pin: bool = True,
    output: str | os.PathLike[str] | None = None,
    picture: str | os.PathLike[str] | None = None,
    rwset: str | os.PathLike[str] | None = None,
    begin: str | float | Moment | None = None,
    end: str | float | Moment | None = None,
    measure_cost: bool = False,
    **parameters: Any,
) -> Trace:
    """What every worker did while one block was executed. `print` shows it as text.

    output: file to write for the Perfetto UI. picture: .png, .svg or .pdf. rwset: JSON lines of what each transaction read, wrote and
    took, which the workload `rwset` replays. begin, end: of the part that is drawn: milliseconds, "300us" or "tx120".
    measure_cost: execute often enough to tell what recording costs (`recording.cost()`). block and the others: as in `explain`.
    Raises as `explain` does, InputError for a part that is empty and for files, and ResourceError.
    """
    output, picture, rwset = (
        None if each is None else path(name, each) for name, each in (("output", output), ("picture", picture), ("rwset", rwset))
    )
    if picture is not None:
        check_picture(picture)
    if repeat and (measure_cost or rwset is not None):
        repeat = max(repeat, COST_ROUNDS if measure_cost else RWSET_ROUNDS)
    recording = _recorded(workload, parameters, block, workers, policy, repeat, warmup, pin)
    timeline = recording.timeline()
    made = Trace(recording, timeline, *window(timeline, _moment(begin), _moment(end)), measured_cost=measure_cost)
    files = []
    if output is not None:
        with output_file(output) as stream:
            count = write_trace(timeline, stream, made.about)
        files.append(("trace", output, f"{count:,} events; open it at ui.perfetto.dev"))
    if rwset is not None:
        with output_file(rwset) as stream:
            write_rwset(recording.record, recording.work(), stream, recording.number)
        files.append(("rwset", rwset, f"ioi-stress explain rwset {rwset}"))
    if picture is not None:
        write_picture(timeline, picture, made.begin, made.end, made.title)
        files.append(("picture", picture, f"{(made.end - made.begin) / 1e6:,.3f} ms"))
    return replace(made, files=tuple(files))


@refusing
def save_rwset(recorded: BlockResult | Record | Sequence[BlockResult | Record], output: str | os.PathLike[str]) -> None:
    """Write blocks that were executed with `record=True` as JSON lines of what each transaction read, wrote and took, which the
    workload `rwset` replays: the same keys, read and written by the same transactions. Raises InputError for a block without a
    record, and ResourceError."""
    output = path("output", output)
    records: list[Record] = []
    blocks = [recorded] if isinstance(recorded, (BlockResult, Record)) else recorded
    if not isinstance(blocks, Sequence) or not all(isinstance(each, (BlockResult, Record)) for each in blocks):
        raise wrong_type("recorded", recorded, "a BlockResult that was recorded, or a list of them")
    for each in blocks:
        record = each.record if isinstance(each, BlockResult) else each
        if record is None:
            raise InputError("a block was not recorded: execute it with record=True, on at least one worker")
        records.append(record)
    with output_file(output) as stream:
        for number, record in enumerate(records):
            write_rwset(record, Timeline.of(record).work(), stream, number)


@refusing
def report(
    file: str | os.PathLike[str] | Result | Sweep, output: str | os.PathLike[str] | None = None, *, recording: Recording | None = None
) -> str:
    """One page (HTML) that needs no network, of a result, a sweep, or the file of one.

    output: where to write it as well. recording: of a block of a result, whose timeline the page then has
    (`explain(...).recording`, say). The same for the same arguments. Raises InputError for what is neither, or damaged, and ResourceError.
    """
    named = isinstance(file, (str, os.PathLike))
    output = None if output is None else path("output", output)
    page = page_of(read(file) if isinstance(file, (str, os.PathLike)) else file, str(file) if named else "", recording)
    if output is not None:
        with output_file(output) as stream:
            stream.write(page)
    return page


UNRECORDED = "A saved result keeps no timeline. `ioi-stress run ... --report FILE` records one and shows it here."


def page_of(source: Result | Sweep, name: str = "", recording: Recording | None = None) -> str:
    """What `report` writes. name: of the file it is from, for errors."""
    from ioi_stress.reporting import run_page, sweep_page  # they say what to install where Jinja2 is missing

    if isinstance(source, Sweep) and source.simulated:
        raise InputError(f"{name or 'the sweep'}: there is no page of a simulated sweep: `ioi-stress plot` draws it")
    try:
        if isinstance(source, Result):
            return run_page(source, recording, "" if recording is not None else UNRECORDED)
        if isinstance(source, Sweep):
            return sweep_page(source, same_machine(source))
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        # Its frame alone was looked at when it was read.
        where = f"{name}: has" if name else "it has"
        raise InputError(f"{where} values that were not measured, damaged or of another version: {error!r}") from error
    raise InputTypeError(f"a report of {type(source).__name__}: give a Result, a Sweep, or the file of one")


def read(file: str | os.PathLike[str]) -> Result | Sweep:
    """What `ioi-stress run --save` or `sweep -o` wrote. Raises InputError, OSError."""
    name = path("file", file)
    with open(name, "rb") as stream:
        content = read_whole(stream, name)
    if content.lstrip()[:1] != b"{":
        return Sweep.read(name)
    try:
        return Result.from_json(content.decode(), name)
    except UnicodeDecodeError as error:
        raise InputError(f"{name}: no JSON: {error}") from None


def same_machine(sweep: Sweep) -> Mapping[str, Any] | None:
    """The facts of this machine that last, if all rows were measured on it."""
    facts = machine_facts()
    if {row["machine"] for row in sweep.rows} != {machine_id(facts)}:
        return None
    return {name: facts[name] for name in LASTING}


def chosen_workload(workload: str | Workload, parameters: Mapping[str, Any]) -> Workload:
    """By its name and parameters, or as it is. Raises InputError, InputTypeError."""
    if isinstance(workload, str):
        return make(workload, **parameters)
    if parameters:
        raise InputError(f"{', '.join(parameters)}: no option, and a workload that is made already takes no parameters")
    if missing := lacking(workload):
        raise InputTypeError(
            f"{type(workload).__name__} is no workload: it has no {', '.join(missing)} (give the name of one, or an "
            "ioi_stress.FixedWorkload of a state and blocks)"
        )
    return workload


def plan_of(workload: Workload, *, policy: str | Policy, sequential: bool, verify: bool | None, **options: Any) -> Plan:
    """Of the options of `run`."""
    if verify is None:
        verify = on_by_default(workload, sequential)
    return Plan(policy=_policy(policy), sequential=sequential, verify=verify, **options)


def _policy(policy: str | Policy) -> Policy:
    if isinstance(policy, Policy):
        return policy
    if not isinstance(policy, str):
        raise InputTypeError(f"policy is {type(policy).__name__}: give a Policy, or text as --policy takes it")
    return parse_policy(policy)


def _moment(given: str | float | Moment | None) -> Moment | None:
    return given if given is None or isinstance(given, Moment) else moment(str(given))


def _recorded(
    workload: str | Workload, parameters: Mapping[str, Any], block: int, workers: int | None, policy: str | Policy, repeat: int,
    warmup: int, pin: bool,
) -> Recording:
    plan = Plan(workers=workers, policy=_policy(policy), repeat=repeat, warmup=warmup, pin=pin)
    return record_block(chosen_workload(workload, parameters), block, plan)
