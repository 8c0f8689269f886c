"""Pages: whole, escaped, the same every time, and of what was measured."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
from dataclasses import replace
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jinja2 import UndefinedError
from page_reader import Read, check_page
from simulated_schedule import Tx, random_block, simulate

from ioi_exec.block.record import Record
from ioi_stress.cli import parser
from ioi_stress.cli.plan_options import chosen_options
from ioi_stress.cli.workload_options import chosen_parameters, chosen_workload
from ioi_stress.library import plan_of
from ioi_stress.notation.policy_text import parse_policy
from ioi_stress.notation.text import significant
from ioi_stress.plan import Plan
from ioi_stress.reporting import run_page, sweep_page
from ioi_stress.reporting.again import as_pasted, run_command, sweep_command
from ioi_stress.reporting.rendering import environment
from ioi_stress.reporting.scale import Scale
from ioi_stress.reporting.timeline_data import timeline_data
from ioi_stress.results.figures import FIGURES
from ioi_stress.results.result import BlockMeasurement, Repetition, Result, Verification
from ioi_stress.running.machine_facts import machine_facts
from ioi_stress.running.recording import Recording
from ioi_stress.sweeps import Grid, Sweep
from ioi_stress.sweeps.rows import MEASURED, Row
from ioi_stress.sweeps.run import grid_of
from ioi_stress.tracing.looks import LOOKS, SHADES
from ioi_stress.tracing.segments import Segments
from ioi_stress.tracing.timeline import CLASSES, WAKING, Timeline
from ioi_stress.workload import FixedWorkload
from ioi_stress.workloads import WORKLOADS, make
from ioi_stress.workloads.base import Seeded

NASTY = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&amp;\x00\x1b\u202e\ud800]]>--!>"
PLAN = Plan(workers=2, repeat=6, policy=parse_policy("paper,window=64"))


def measured(number: int, block: int, workers: int = 2, sequential: bool = True) -> BlockMeasurement:
    draw = random.Random(100 * number + block)
    seconds = {"prepare": 0.001, "execute": draw.uniform(0.1, 0.2), "stage": 0.03, "receipts": 0.002}
    beside = {"prepare": 0.001, "execute": draw.uniform(0.2, 0.3), "end_block": 0.001, "stage": 0.03, "receipts": 0.002}
    return BlockMeasurement(
        block,
        1000,
        5,
        "parallel",
        "paper",
        workers,
        1100,
        1500,
        100,
        20,
        0,
        {**seconds, "total": sum(seconds.values()) + 0.001},
        0.02,
        [0.08] * workers,
        {**beside, "total": sum(beside.values())} if sequential else None,
        "ab" * 32,
        "cd" * 32,
        70 << 20,
    )


def result(count: int = 6, blocks: int = 3, name: str = "zipf", **changed: Any) -> Result:
    workload = make("zipf", block_size=1000, blocks=3)
    made = Result(
        {
            "workload": {"name": name, "parameters": dict(workload.parameters), "vm": workload.vm, "vm_args": None},
            "run": PLAN.to_json(),
        },
        {
            "cpu": "a processor",
            "cores": 2,
            "load": 0.5,
            "governor": None,
            "memory_bytes": 8 << 30,
            "python_loop_ns": 100.4,
        },
        [
            Repetition(number, [measured(number, block) for block in range(blocks)], 71 << 20)
            for number in range(1, count + 1)
        ],
        Verification(True, count * blocks, count * blocks),
    )
    return replace(made, **changed)


def recording(record: Record | None = None, workers: int = 2, n: int = 40) -> Recording:
    class Stats:
        seconds, busy_seconds, mode = {"execute": 0.001}, [0.0005] * workers, "parallel"

    class Outcome:
        stats, failed, state_root = Stats(), 0, bytes(32)

    record = simulate(random_block(3, n), workers)[0] if record is None else record
    return Recording(
        FixedWorkload("w", "payments", {}, []),
        1,
        PLAN,
        Outcome(),
        record,
        [record],
        [0.003, 0.004],
        [0.002, 0.003],
        [0.002, 0.003],
    )  # type: ignore[arg-type]


def test_a_page_has_every_figure_and_every_repetition() -> None:
    made = result()
    found = check_page(page := run_page(made, recording()))
    for name, interval in made.summary().items():
        cells = "</td>".join(
            f'<td class="n">{significant(each)}' for each in (interval.median, interval.low, interval.high)
        )
        assert f'<th scope="row">{FIGURES[name].label}</th>{cells}' in page
    for repetition in made.repetitions:
        for block in repetition.blocks:
            assert f"{block.seconds['execute']:.6g}" in found.text
    assert (
        "Verified." in found.text
        and "a processor" in found.text
        and "8.0 GiB" in found.text
        and "not known" in found.text
    )
    for identity in ("figures", "block", "why", "raw", "parameters", "machine"):
        found.by_id(identity)
    assert json.loads(found.by_id("timeline-data").text)["transactions"] == 40
    assert "key/" in found.text  # which keys conflict
    assert page == run_page(result(), recording())


@pytest.mark.parametrize(
    "changed, says, never",
    [
        (
            {},
            ["Verified.", "Of each figure, the true median lies between low and high with at least 95%"],
            ["Interrupted."],
        ),
        ({"verification": Verification(False, 18, 0)}, ["Not verified."], ["Verified."]),
        ({"verification": Verification(True, 18, 17)}, ["Not all verified.", "17 of 18 executions"], []),
        (
            {
                "verification": Verification(
                    True,
                    18,
                    18,
                    [f"block {i}: other roots" for i in range(30)],
                    "shrunk to 2",
                    ["a", "b"],
                    "ioi-stress replay a",
                )
            },
            ["Different.", "block 19: other roots", "and 10 more", "shrunk to 2", "ioi-stress replay a"],
            ["Verified.", "block 20"],
        ),
        ({"interrupted": True}, ["Interrupted."], []),
        ({"error": "VMFault: it broke"}, ["Ended with an error.", "VMFault: it broke"], []),
        (
            {"repetitions": [], "verification": Verification(True)},
            ["Nothing was measured.", "Nothing to verify."],
            ["Verified."],
        ),
        (
            {"repetitions": [Repetition(1, [measured(1, 0, 0, False)])]},
            ["one repetition says nothing of its noise", "one by one"],
            ["times as fast"],
        ),
        ({"repetitions": [Repetition(n, [measured(n, 0)]) for n in (1, 2)]}, ["least and greatest of 2"], ["95%: "]),
    ],
)
def test_what_is_said_first(changed: dict[str, Any], says: list[str], never: list[str]) -> None:
    shown = check_page(run_page(result(**changed), unrecorded="There was none.")).text
    assert all(each in shown for each in (*says, "There was none.")), shown[:3000]
    assert not any(each in shown for each in never)


def same(found: Read, harmless: Read) -> None:
    """The same elements, whatever the texts are."""
    assert [each.name for each in found.elements] == [each.name for each in harmless.elements]
    assert [[key for key in each.attributes] for each in found.elements] == [
        [key for key in each.attributes] for each in harmless.elements
    ]


def of_untrusted(nasty: str) -> str:
    made = result(name=nasty)
    made.parameters["workload"]["parameters"] = {"parameter " + nasty: nasty, "list": [nasty]}
    made.parameters["workload"].update(vm=nasty, vm_args={"of the VM": nasty})
    made.machine.update(cpu=nasty, **{"fact " + nasty: nasty})
    made.verification.mismatches, made.verification.shrunk, made.verification.replay = [nasty], nasty, nasty
    made.error = nasty
    made.repetitions[0].blocks[0].mode = nasty
    made.repetitions[0].blocks[0].state_root = nasty
    record = simulate([Tx((0,), (0,), 700)] * 30, 3, 1)[0]
    record = replace(record, keys=[nasty.encode("utf-8", "surrogatepass")])
    return run_page(made, recording(record, 3))


def test_names_keys_and_parameters_are_text() -> None:
    page = of_untrusted(NASTY)
    found = check_page(page)
    same(found, check_page(of_untrusted("plain")))
    assert "<script>alert" not in page and "<img" not in page and not set("\x00\x1b") & set(page)
    assert "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&amp;" in found.text
    assert (
        check_page(run_page(result(name="\u65e5\u672c")).replace("x", "x"))
        .named("h1")[0]
        .text.startswith("\u65e5\u672c")
    )


def test_names_of_a_sweep_are_text() -> None:
    def page(nasty: str) -> str:
        rows = sweep_rows()
        for row in rows:
            row.update(workload=nasty, machine=nasty, mode=nasty)
            row[nasty] = nasty
        return sweep_page(Sweep(rows, ["accounts", nasty], diverged=[nasty]))

    nasty = "".join(each for each in NASTY if ord(each) >= 32)  # no file of rows has control characters
    same(check_page(page(nasty)), check_page(page("plain")))


def test_keys_as_bytes_that_are_no_text() -> None:
    record = replace(simulate([Tx((0,), (0,), 700)] * 20, 3, 1)[0], keys=[b"</script>\xff\x00" * 9])
    data = json.loads(check_page(run_page(result(), recording(record, 3))).by_id("timeline-data").text)
    assert data["keys"][0].startswith("0x3c2f736372697074")


@pytest.mark.parametrize("workers, n", [(1, 1), (1, 40), (3, 60), (3, 700), (40, 300), (90, 400)])
def test_a_timeline_of_any_size(workers: int, n: int) -> None:
    record = simulate(random_block(5, n), workers)[0]
    page = run_page(result(), recording(record, workers))
    found = check_page(page)
    assert len(page) < 1_500_000
    lanes = page[page.index('id="timeline-lanes"') : page.index('id="timeline-marks"')]
    assert ("piece " in lanes, "share " in lanes) == ((True, False) if n < 300 else (False, True))
    data = json.loads(found.by_id("timeline-data").text)
    assert len(data["lanes"]) == workers and data["end"] > data["begin"] and data["merged"] == 0
    starts = [value for lane in data["lanes"] for value in lane[0::4]]
    assert min(starts) >= 0 and len(data["aborts"]) == len(Timeline.of(record).aborts)


def big(n: int, workers: int = 4) -> Timeline:
    """Many short transactions of an engine that is busy throughout."""
    rng = np.random.default_rng(1)
    record = simulate([Tx((), (), 10)] * 2, 1)[0]
    length = rng.integers(500, 3_000, (workers, 2 * n // workers))
    ends = np.cumsum(length + 200, axis=1)
    events = np.zeros(ends.size, record.events.dtype)
    events["end"], events["start"] = ends.ravel(), (ends - length).ravel()
    events["worker"] = np.repeat(np.arange(workers), ends.shape[1])
    events["kind"] = np.tile([1, 2], len(events) // 2)
    events["result"], events["key"], events["other"] = 1, -1, -1
    events["tx"] = np.repeat(np.arange(len(events) // 2), 2)
    order = np.argsort(events["start"], kind="stable")
    return Timeline.of(Record(events[order], record.reads[:0], record.writes[:0], [b"k"], workers, n))


def test_pieces_are_merged_without_losing_time() -> None:
    timeline = big(10_000)
    segments = Segments.of(timeline)
    whole, merged = (timeline_data(timeline, segments, 0, timeline.duration, pieces) for pieces in (50_000, 2_000))
    assert whole["merged"] == 0 < merged["merged"]
    assert sum(map(len, whole["lanes"])) // 4 == 20_000 and sum(map(len, merged["lanes"])) // 4 <= 2_000
    assert len(json.dumps(whole)) < 1_000_000

    def spent(data: dict[str, Any], until: int) -> dict[tuple[int, int], int]:
        found: dict[tuple[int, int], int] = {}
        pieces = 0
        for worker, lane in enumerate(data["lanes"]):
            at = 0
            for gap, length, code in zip(lane[0::4], lane[1::4], lane[2::4]):
                what, count = (code % 16, 1) if code >= 0 else ((-code - 1) % 16, (-code - 1) // 16)
                at += gap + length
                if at <= until:
                    found[worker, what] = found.get((worker, what), 0) + length
                pieces += count
        assert pieces == 20_000
        return found

    assert spent(whole, timeline.duration) == spent(merged, timeline.duration)
    assert min(gap for lane in merged["lanes"] for gap in lane[0::4]) >= 0  # side by side, not over each other
    half = timeline.duration // 2
    one, other = spent(whole, half), spent(merged, half)
    assert all(abs(one[key] - other[key]) <= 2 * merged["merged"] for key in one)
    kept = segments.what != CLASSES.index(WAKING)
    assert sum(spent(whole, timeline.duration).values()) == (segments.end - segments.start)[kept].sum()


def test_a_block_of_60_000_makes_no_page_that_is_too_large() -> None:
    timeline = big(60_000, 16)
    page = run_page(result(), replace(recording(timeline.record, 16)))
    check_page(page)
    assert len(page) < 3_000_000 and "those of a kind that lie together are merged" in page


def chosen(command: list[str]) -> tuple[Any, Plan]:
    import shlex

    options = parser().parse_args(shlex.split(" ".join(command))[1:])
    workload = chosen_workload(options)
    return workload, plan_of(workload, **chosen_options(options))


@pytest.mark.parametrize("name", [name for name, cls in WORKLOADS.items() if issubclass(cls, Seeded) and (name != "evm" or find_spec("ethereum") is not None)])
def test_the_command_of_a_page_makes_the_same_again(name: str) -> None:
    workload = make(name, block_size=12, seed=77, **({"world": "token"} if name == "evm" else {"cost": "sleep"}))
    plan = Plan(
        workers=3,
        policy=parse_policy("paper,window=64"),
        repeat=7,
        warmup=0,
        sequential=False,
        verify=False,
        tree="iavl",
        pin=False,
    )
    made = Result(
        {
            "workload": {"name": name, "parameters": dict(workload.parameters), "vm": workload.vm, "vm_args": None},
            "run": plan.to_json(),
        },
        {},
    )
    again, its_plan = chosen(run_command(made))
    assert again == workload and its_plan.to_json() == plan.to_json() | {"policy": its_plan.policy.to_json()}
    assert its_plan.policy.of_core() == plan.policy.of_core()
    made.parameters["run"] = {**plan.to_json(), "workers": None, "state": "disk"}
    assert "--state STATE" in run_command(made) and not any(word.startswith("--workers") for word in run_command(made))
    made.repetitions = [Repetition(1, [measured(1, 0, 5)])]
    assert "--workers 5" in run_command(made)


def test_the_command_of_files_and_of_what_no_command_makes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a b.jsonl").write_text('{"reads": ["a"], "writes": ["b"]}\n')
    workload = (
        make("rwset", files=["a b.jsonl"])
        if "files" in {each for each in make_fields("rwset")}
        else make("rwset", file="a b.jsonl")
    )
    made = Result(
        {
            "workload": {"name": "rwset", "parameters": dict(workload.parameters), "vm": workload.vm, "vm_args": None},
            "run": PLAN.to_json(),
        },
        {},
    )
    assert chosen(run_command(made))[0].parameters == workload.parameters
    made.parameters["workload"]["name"] = "auction"
    assert run_command(made) == [] and as_pasted([]) == ""
    page = run_page(result(name="auction"))
    assert "no command line runs it again" in check_page(page).text


def make_fields(name: str) -> list[str]:
    from ioi_stress.workloads import parameters_of

    return [each.name for each in parameters_of(WORKLOADS[name])]


def sweep_rows(
    plan: Plan | None = None, repeat: int = 3, policies: tuple[str, ...] = ("default", "paper,window=64"), **grid: Any
) -> list[Row]:
    axes = grid or {"accounts": [2, 50], "block_size": 20}
    plan = plan or Plan()
    made = Grid.of("uniform", axes, [1, 2], list(policies), plan)
    rows = []
    for number, points in made.rounds(repeat):
        for point in points:
            row: Row = {name: kind(1) for name, kind in MEASURED.items()}
            row.update({name: random.Random(f"{point.key}{number}{name}").uniform(0.5, 2) for name in FIGURES})
            row.update(
                workload="uniform", **point.columns, repetition=number, grid=made.identity, machine="m1", verified=True
            )
            row.update(
                executed_transactions=20,
                total_seconds=0.01 * number,
                sequential_total_seconds=0.02 if plan.sequential else None,
            )
            rows.append(row)
    return rows


def sweep_of(rows: list[Row], **more: Any) -> Sweep:
    return Sweep(
        rows,
        [name for name in rows[0] if name not in MEASURED and name not in ("workload", "workers", "policy")],
        **more,
    )


@pytest.mark.parametrize(
    "plan",
    [
        Plan(),
        Plan(tree="iavl", pin=False),
        Plan(state="somewhere", sequential=False),
        Plan(tree="iavl", state="x", pin=False, sequential=False),
    ],
)
def test_the_command_of_a_sweep_has_the_same_grid(plan: Plan) -> None:
    import shlex


    rows = sweep_rows(plan)
    command = sweep_command(sweep_of(rows))
    given = parser().parse_args(shlex.split(" ".join(command))[1:])
    asked = Plan(sequential=given.sequential, tree=given.tree, state=given.state, pin=given.pin)
    grid, repeat = grid_of(given.workload, chosen_parameters(given), given.workers, given.policy, given.repeat, asked, given.verify)
    assert (grid.identity, repeat) == (rows[0]["grid"], 3)
    assert sweep_command(sweep_of(rows[: len(rows) // 2]))  # a whole round and a half
    assert sweep_command(sweep_of(rows[:1])) == []  # most of its points are not there
    for changes in ({"grid": "0" * 12}, {"workload": "own"}, {"workload": "unknown"}):
        assert sweep_command(sweep_of([{**row, **changes} for row in rows])) == []


def test_a_file_cannot_have_anything_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "evil.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    left_out = ("accounts", "block_size")
    rows: list[Row] = [
        {"workload": "own", "target": "evil:x", **{name: row[name] for name in row if name not in left_out}}
        | {"workload": "own"}
        for row in sweep_rows()
    ]
    assert sweep_command(Sweep(rows, ["target"])) == [] and check_page(sweep_page(Sweep(rows, ["target"])))


def test_a_sweep_s_page_has_its_points_figures_and_rows() -> None:
    rows = sweep_rows()
    sweep = sweep_of(rows)
    page = sweep_page(sweep, {"cpu": "a processor"})
    found = check_page(page)
    assert page == sweep_page(sweep_of(sweep_rows()), {"cpu": "a processor"})
    for line in sweep.summary():
        for figure in ("transactions_per_second", "aborts_per_transaction"):
            assert significant(line[figure].median) in found.text
    for title in (
        "Throughput, policy default",
        "Aborts, policy paper,window=64",
        "Speed-up, policy default",
        "Against workers",
        "Against accounts",
    ):
        assert title in found.text
    assert page.count("<tr>") == 2 + len(sweep.points()) + len(rows)
    assert "Verified." in found.text and "a processor" in found.text and "--policy paper,window=64" in found.text
    assert "m1" in check_page(sweep_page(sweep)).text
    for changed, says in (
        ({"interrupted": True, "wanted": 99}, "24 of 99 rows"),
        ({"diverged": ["row 3"]}, "Different."),
    ):
        assert says in check_page(sweep_page(sweep_of(rows, **changed))).text
    rows[3]["verified"] = None
    assert "23 of 24 rows" in check_page(sweep_page(sweep_of(rows))).text
    assert "0 rows" in check_page(sweep_page(Sweep([], ["accounts"]))).text


def test_throughput_has_one_by_one_beside_it_whatever_the_series_are() -> None:
    rows = sweep_rows(accounts=[10, 20], block_size=[20, 30, 40], policies=("default",))
    for row in rows:
        row["sequential_total_seconds"] = 0.02
    assert "one by one" in check_page(sweep_page(sweep_of(rows))).text  # of series by block size, alike in it
    for row in rows:
        row["sequential_total_seconds"] = 0.001 * row["block_size"]
    found = check_page(sweep_page(sweep_of(rows)))
    assert "one by one, 30" in found.text
    assert {"line sequential s0", "line sequential s2"} <= {each.attributes.get("class") for each in found.named("path")}


@pytest.mark.parametrize(
    "grid, policies",
    [
        ({"accounts": 7}, ("default",)),
        ({"accounts": 7}, ("default", "paper")),
        ({"vm": ["python", "native"]}, ("default",)),
        ({"accounts": list(range(2, 22)), "block_size": [10, 20]}, ("default", "paper", "no-solo")),
        ({"seed": list(range(70))}, ("default",)),
        (
            {"accounts": [2, 3, 4], "block_size": [10, 20, 30], "seed": [1, 2, 3, 4, 5], "cost_us": [1.0, 2.0]},
            ("default",),
        ),
    ],
)
@pytest.mark.parametrize("workers", [None, 0, 2])
def test_sweeps_of_any_shape_are_drawn(grid: dict[str, Any], policies: tuple[str, ...], workers: int | None) -> None:
    rows = [
        row
        for row in sweep_rows(repeat=1, policies=policies, **grid)
        if workers is None or row["workers"] == min(workers + 1, 2)
    ]
    if workers == 0:
        for row in rows:
            row.update(workers=0, speedup=None, speedup_total=None, sequential_total_seconds=None)
    page = sweep_page(sweep_of(rows))
    check_page(page)
    assert "<figure" in page and len(page) < 4_000_000 and "nan" not in page.split("<main>")[1].lower()


def test_many_repetitions_and_blocks() -> None:
    page = run_page(result(30, 100))
    assert "The first 2,000 of 3,000: --csv writes all of them." in page and len(page) < 3_000_000


def test_pages_need_jinja_alone_and_say_so() -> None:
    """matplotlib, rich and SciPy are not even looked for; without Jinja2 nothing fails before a page is asked for."""
    code = """
import sys
sys.modules.update(dict.fromkeys(("matplotlib", "rich", "scipy", *sys.argv[1:])))
from ioi_exec import InputError
from ioi_stress.reporting.rendering import check_templates
from ioi_stress.cli import parser
parser()
try:
    check_templates()
except InputError as error:
    sys.exit(str(error))
"""
    with_it, without = (
        subprocess.run([sys.executable, "-c", code, *blocked], timeout=300, capture_output=True, text=True)
        for blocked in ([], ["jinja2", "markupsafe"])
    )
    assert (with_it.returncode, with_it.stderr) == (0, "")
    assert without.stderr == "pages need Jinja2: pip install 'ioi-exec[stress]'\n"


def test_templates_escape_everything() -> None:
    def rendered(template: str, **values: object) -> str:
        return environment().from_string(template).render(values)

    attacked = rendered('<p class="{{ a }}" data-x="{{ x }}">{{ b }}{{ nothing }}</p>', a='a"b', b="<&'", x=1.5, nothing=None)
    assert attacked == '<p class="a&#34;b" data-x="1.5">&lt;&amp;&#39;</p>'
    assert rendered("{{ a }}|{{ b }}", a="\x07\u202e\ud83d", b="\u65e5\n") == "\ufffd\ufffd\ufffd|\u65e5\n"
    assert rendered("{{ a ~ b }} {{ [a, b] | join('<') }}", a="<", b="\x07") == "&lt;\ufffd &lt;&lt;\ufffd"
    assert [rendered("{{ x }}", x=each) for each in (2.0, 1 / 3, 0.1 + 0.2, 7, -0.5)] == ["2", "0.33", "0.3", "7", "-0.5"]
    script = rendered("{{ data | tojson }}", data={"b": ["</script><!--&"], "a": "\ud83d"})
    assert script == '{"b":["\\u003c/script\\u003e\\u003c!--\\u0026"],"a":"\\ud83d"}'
    with pytest.raises(ValueError):
        rendered("{{ data | tojson }}", data=float("nan"))
    with pytest.raises(UndefinedError):
        rendered("{{ missing }}")


def test_no_template_turns_escaping_off() -> None:
    folder = files("ioi_stress.reporting").joinpath("templates")
    sources = {each.name: each.read_text() for each in folder.iterdir()}
    assert len(sources) > 8
    for name, source in sources.items():
        environment().get_template(name)
        assert not re.search(r"\|\s*(safe|forceescape)|autoescape|[\"']safe[\"']", source), name


def test_looks_stand_once() -> None:
    """What a class of the timeline looks like on a page is what it looks like in a picture."""
    style = check_page(run_page(result(), recording())).named("style")[0].text
    light, dark = style.split("@media screen and (prefers-color-scheme: dark)")[:2]
    for look in LOOKS.values():
        for shade in (look.ground, look.text):
            assert f"--{shade.name}: {shade.light};" in light and f"--{shade.name}: {shade.dark};" in dark
        assert style.count(f"\n.{look.style} {{") == 1
    for name in ("drawings.css", "page.css"):
        source = files("ioi_stress.reporting").joinpath(name).read_text()
        assert not any(f"--{shade.name}:" in source for shade in SHADES)


def test_scales() -> None:
    scale = Scale.from_zero([3.2, 0.1], 100, 0)
    assert (scale.low, scale.high, scale.at(0), scale.at(4)) == (0, 4, 100, 0) and scale.ticks() == [0, 1, 2, 3, 4]
    assert Scale.from_zero([], 0, 1).high == 1 and Scale.from_zero([0.0], 0, 1).ticks()[0] == 0
    logarithmic = Scale.around([1, 10, 100], 0, 100)
    assert (
        logarithmic.log
        and logarithmic.at(10) == pytest.approx(50)
        and 0 < logarithmic.at(1) < logarithmic.at(100) < 100
    )
    assert (
        not Scale.around([0, 100], 0, 1).log
        and Scale.around([5], 0, 10).at(5) == 5
        and Scale.around([0], 0, 10).at(0) == 5
    )


def test_the_facts_of_this_machine_are_shown() -> None:
    shown = check_page(run_page(result(machine=machine_facts()))).text
    assert "processor" in shown and " GiB" in shown and "CPython" in shown
