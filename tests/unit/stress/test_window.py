"""Which part is drawn."""

from __future__ import annotations

import pytest
from simulated_schedule import random_block, simulate

from ioi_exec import InputError
from ioi_stress.tracing.timeline import Timeline
from ioi_stress.tracing.window import Moment, moment, window


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2", 2_000_000),
        ("1.5ms", 1_500_000),
        (".5us", 500),
        ("300 us", 300_000),
        ("7ns", 7),
        ("1s", 10**9),
        ("0", 0),
        ("3.", 3_000_000),
    ],
)
def test_times(text: str, expected: int) -> None:
    assert moment(text) == Moment(expected)


def test_transactions() -> None:
    assert moment("tx120") == moment("tx 120") == Moment(tx=120)
    timeline = Timeline.of(simulate(random_block(2))[0])
    executed = timeline.spans[(timeline.spans["kind"] == 1)]
    first, last = executed[executed["tx"] == 10], executed[executed["tx"] == 20]
    assert window(timeline, Moment(tx=10), Moment(tx=20)) == (first["start"].min(), last["end"].max())
    assert window(timeline, None, None) == (0, timeline.duration)
    assert window(timeline, Moment(5), Moment(10**12)) == (5, timeline.duration)


@pytest.mark.parametrize("text", ["", "tx", "-1", "1m", "1e3", "ms", "tx-1", "1.2.3", "\u0661"])
def test_nonsense(text: str) -> None:
    with pytest.raises(InputError):
        moment(text)


@pytest.mark.parametrize(
    ("begin", "end", "message"),
    [
        (Moment(10**12), None, "after the end"),
        (Moment(500), Moment(400), "nothing"),
        (Moment(tx=60), None, "no transaction 60"),
        (None, Moment(0), "nothing"),
        (None, Moment(tx=99), "no transaction 99"),
    ],
)
def test_windows_with_nothing_in_them(begin: Moment | None, end: Moment | None, message: str) -> None:
    timeline = Timeline.of(simulate(random_block(2))[0])
    with pytest.raises(InputError, match=message):
        window(timeline, begin, end)
