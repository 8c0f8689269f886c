"""ioi-stress explain for real: the report, the same as JSON, and a trace whose answer is known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable

import pytest
from test_trace_command import refused

Cli = Callable[..., Any]
EXPLAIN = {
    "format",
    "workload",
    "block",
    "transactions",
    "failed",
    "workers",
    "policy",
    "state_root",
    "verified",
    "seconds",
    "speedup",
    "work_ns",
    "critical_path",
    "duration_ns",
    "counts",
    "worker_ns",
    "solo_ns",
    "busy_workers",
    "wasted_share",
    "preempted_share",
    "lost_ns",
    "conflicting_keys",
    "keys",
    "pairs",
}


def declared(path: Path, *transactions: tuple[list[str], list[str], int]) -> str:
    path.write_text(
        "".join(
            json.dumps({"reads": reads, "writes": writes, "cost_ns": cost}) + "\n"
            for reads, writes, cost in transactions
        )
    )
    return path.name


def test_report(stress: Cli) -> None:
    done = stress(
        "explain",
        "chain",
        "--vm",
        "python",
        "--block-size",
        "30",
        "--cost-us",
        "100",
        "--workers",
        "2",
        "--repeat",
        "2",
        "--top",
        "2",
    )
    assert done.err == ""
    for part in (
        "chain: block 0, 30 transactions, 2 workers, policy default",
        "verified:",
        "Speed-up it had on 2 workers:",
        "Best on any number of cores:",
        "no schedule is above",
        "Assumed:",
        "Where the workers' time went",
        "Critical path:",
        "What follows\n- ",
    ):
        assert part in done.out, part
    assert done.out.rstrip().splitlines()[-1].startswith("- ")


def test_known_dependencies(stress: Cli, tmp_path: Path) -> None:
    """Three chains of 4, 8 and 12 ms transactions on keys of their own, and one that reads the ends of all."""
    chains = [([f"chain {i % 3}"], [f"chain {i % 3}"], (1 + i % 3) * 4_000_000) for i in range(12)]
    name = declared(tmp_path / "chains.jsonl", *chains, (["chain 0", "chain 1", "chain 2"], ["end"], 4_000_000))
    found = stress(
        "explain", "rwset", name, "--cost", "sleep", "--workers", "3", "--no-pin", "--repeat", "3", "--json"
    ).object
    assert found.keys() == EXPLAIN and found["format"] == "ioi-stress/explain/1"
    path = found["critical_path"]
    assert path["transactions"] == [2, 5, 8, 11, 12]
    assert [key["name"] for key in path["keys"]] == ["chain 2"] * 4
    assert bytes.fromhex(path["keys"][0]["key"]) == b"chain 2"
    # Sleeping takes as long as it says and a little more: 100 ms of work, 52 on the longest chain.
    assert 100e6 <= found["work_ns"] and 52e6 <= path["ns"] < found["work_ns"]
    assert found["speedup"]["best"] == pytest.approx(found["work_ns"] / path["ns"])
    assert len(found["pairs"]) <= 10 and found["counts"]["executions"] >= 13
    assert path["by_key"][0]["best_without"] >= found["speedup"]["best"]


def test_independent_transactions(stress: Cli, tmp_path: Path) -> None:
    name = declared(tmp_path / "apart.jsonl", *((["common"], [f"own {i}"], 0) for i in range(20)))
    done = stress("explain", "rwset", name, "--workers", "2", "--repeat", "1")
    assert "No key caused a conflict." in done.out and "none reads what another one wrote" in done.out
    assert "Next to nothing was lost to conflicts." in done.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("uniform", "--top", "0"), "at least 1"),
        (("uniform", "--vm", "payments", "--block-size", "10", "--block", "7"), "there is no block 7"),
        (("uniform", "--workers", "0"), "at least 1"),
        (("rwset", "bad.jsonl"), "bad.jsonl:2"),
        (("rwset", "missing.jsonl"), "missing.jsonl"),
    ],
)
def test_what_it_refuses(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.jsonl").write_text('{"reads": ["a"], "writes": []}\n{"reads": "a"}\n')
    assert message in refused(capsys, "explain", *arguments)
