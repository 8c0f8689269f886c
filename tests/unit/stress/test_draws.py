"""Random integers, exact shares and Zipf's law: the same everywhere, and as likely as they should be."""

from __future__ import annotations

import hashlib
from decimal import Decimal, getcontext
from fractions import Fraction

import pytest

from ioi_stress.workloads.draws import Draws, before, chosen, distinct
from ioi_stress.workloads.parameters import exact
from ioi_stress.workloads.popularity import Popularity, _ends


def test_words_are_shake_128() -> None:
    draws = Draws(7, "zipf", "accounts", 3)
    expected = b"".join(hashlib.shake_128(b"7/zipf/accounts/3/%d" % part).digest(8192) for part in range(2))
    assert [draws.word() for _ in range(1030)] == [
        int.from_bytes(expected[8 * i : 8 * i + 8], "little") for i in range(1030)
    ]


def test_below_takes_the_high_bits() -> None:
    words = Draws(1, "x")
    same = Draws(1, "x")
    assert [same.below(10) for _ in range(2000)] == [words.word() * 10 >> 64 for _ in range(2000)]
    found = [Draws(1, "y").below(1), *(Draws(2, i).below(3) for i in range(100))]
    assert found[0] == 0 and set(found[1:]) == {0, 1, 2}


@pytest.mark.parametrize("share", [0.0, 1e-3, 0.1, 1 / 3, 0.5, 0.999, 1.0])
@pytest.mark.parametrize("size", [1, 7, 100, 1001])
def test_a_share_is_exact_over_any_number_of_blocks(share: float, size: int) -> None:
    total = 0
    for block in range(20):
        picked = chosen(exact(share), block * size, size, Draws(1, block))
        assert len(picked) == size
        total += sum(picked)
        assert total == int(exact(share) * size * (block + 1)) == before(exact(share), size * (block + 1))


def test_every_position_is_chosen_as_often_as_the_others() -> None:
    counts, draws = [0] * 10, Draws(1)
    for _ in range(5000):
        for i, hit in enumerate(chosen(Fraction(3, 10), 0, 10, draws)):
            counts[i] += hit
    assert sum(counts) == 15_000 and all(1300 < count < 1700 for count in counts)


def test_decimal_shares() -> None:
    assert exact(0.1) == Fraction(1, 10) and exact(1e-7) == Fraction(1, 10**7) and exact(1) == 1


def test_distinct() -> None:
    assert sorted(distinct(Draws(1), 50, 50)) == list(range(50))
    seen, draws = [0] * 6, Draws(1)
    for _ in range(6000):
        found = distinct(draws, 6, 2)
        assert len(set(found)) == 2
        seen[found[1]] += 1
    assert all(850 < count < 1150 for count in seen)


@pytest.mark.parametrize("s", [0.0, 0.5, 0.99, 1.0, 2.5, 10.0])
def test_zipf_weights_are_the_powers(s: float) -> None:
    getcontext().prec = 40
    count = 100_000
    popularity = Popularity(count, s)
    scale = 1 << 62 - count.bit_length()
    for item in [*range(50), 99, 999, 4095, 4096, 65_535, 99_998, 99_999]:
        power = (-Decimal(repr(s)) * Decimal(item + 1).ln()).exp() * scale
        assert abs(popularity.weight(item) - max(power, 1)) <= 1 + power * Decimal("1e-12"), item
    assert popularity.total == sum(popularity.weight(item) for item in range(count)) < 1 << 63


def test_zipf_of_a_million_is_the_same_everywhere() -> None:
    ends = _ends(1_000_000, 0.99)
    assert (
        hashlib.sha256(ends.tobytes()).hexdigest() == "5233e2d302eb759f54321f382045775c783cb9bd27edf7e86c107d5f911b8676"
    )


@pytest.mark.parametrize("s", [0.0, 1.0, 1.5])
def test_zipf_draws_are_as_frequent_as_their_weights(s: float) -> None:
    popularity, draws, n = Popularity(8, s), Draws(5, "frequency"), 40_000
    counts, others = [0] * 8, [0] * 8
    for _ in range(n):
        counts[popularity.draw(draws)] += 1
        others[popularity.draw_other(draws, 2)] += 1
    assert others[2] == 0
    for item in range(8):
        for count, share in (
            (counts[item], popularity.weight(item) / popularity.total),
            (others[item], popularity.weight(item) / (popularity.total - popularity.weight(2)) if item != 2 else 0.0),
        ):
            assert abs(count - n * share) <= 5 * (n * share) ** 0.5, (item, count, n * share)


def test_the_others_of_a_pair() -> None:
    popularity, draws = Popularity(2, 10.0), Draws(1)
    assert {popularity.draw_other(draws, 0) for _ in range(50)} == {1}
    assert {popularity.draw_other(draws, 1) for _ in range(50)} == {0}
