"""The bytes of the kit's keys sort as the keys do and are those keys again; a scan by a prefix finds just what begins with it."""

from __future__ import annotations

from typing import Any

import effort
import hypothesis
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ioi_exec.kit import Bytes, Map, Signed, Unsigned
from ioi_exec.kit.codecs import codec

pytestmark = pytest.mark.sampled
EXAMPLES = effort.amount("IOI_KIT_KEYS", sample=60, many=600)


def played(test: Any) -> Any:
    """The same examples every time; in the long run others."""
    settled = settings(max_examples=EXAMPLES, deadline=None, database=None, derandomize=not effort.long)(test)
    return hypothesis.seed(effort.seed(1))(settled) if effort.long else settled


NUMBERS = st.one_of(
    st.integers(-300, 300),
    st.builds(lambda power, by, sign: sign * ((1 << power) + by), st.integers(0, 130), st.integers(-1, 1), st.sampled_from((-1, 1))),
)
OCTETS = st.one_of(st.binary(max_size=6), st.text("\x00\x01\xffab", max_size=6).map(lambda text: text.encode("latin-1")))
TEXT = st.one_of(st.text(max_size=5), st.text("\x00\x01a\U0001f600\ue000", max_size=5))
KINDS: dict[str, tuple[Any, st.SearchStrategy[Any]]] = {
    "int": (int, NUMBERS),
    "unsigned": (Unsigned(2), st.integers(0, 65535)),
    "signed": (Signed(2), st.integers(-32768, 32767)),
    "bytes": (bytes, OCTETS),
    "fixed": (Bytes(2), st.binary(min_size=2, max_size=2)),
    "text": (str, TEXT),
    "bool": (bool, st.booleans()),
    "pair": (tuple[bytes, int], st.tuples(OCTETS, NUMBERS)),
    "texts": (tuple[str, str, bytes], st.tuples(TEXT, TEXT, OCTETS)),
    "nested": (tuple[tuple[bytes, int], str], st.tuples(st.tuples(OCTETS, NUMBERS), TEXT)),
    "numbers": (tuple[int, int, bool], st.tuples(NUMBERS, NUMBERS, st.booleans())),
}


@pytest.mark.parametrize("kind", KINDS)
@played
@given(data=st.data())
def test_order_and_round_trip(kind: str, data: st.DataObject) -> None:
    spec, values = KINDS[kind]
    one, other = data.draw(values), data.draw(values)
    made = codec(kind, spec)
    packed, packed_other = made.pack(one), made.pack(other)
    assert made.whole(packed) == one
    assert (packed < packed_other) == (one < other) and (packed == packed_other) == (one == other)
    inside = made.pack(one, False)
    assert made.unpack(inside + b"\xff\x00", 0, False) == (one, len(inside))
    assert (inside < made.pack(other, False)) == (one < other)


@played
@given(keys=st.lists(st.tuples(OCTETS, NUMBERS), max_size=12), first=OCTETS, bound=st.tuples(OCTETS, NUMBERS))
def test_bounds_take_what_the_tuples_say(keys: list[tuple[bytes, int]], first: bytes, bound: tuple[bytes, int]) -> None:
    """Where the first parts are often equal, and often begin with each other."""
    pairs = Map("pairs", key=tuple[bytes, int], value=int)

    def between(*bounds: Any) -> list[tuple[bytes, int]]:
        low, high = pairs.bounds(*bounds)
        return [key for key in keys if low <= pairs.key(key) and (high is None or pairs.key(key) < high)]

    assert between((first,), None, None) == [key for key in keys if key[0] == first]
    assert between(None, bound, None) == [key for key in keys if key >= bound]
    assert between(None, None, bound) == [key for key in keys if key < bound]
    assert between(None, (first,), bound) == [key for key in keys if key[0] >= first and key < bound]
    assert between((first,), bound, (first, 5)) == [key for key in keys if key[0] == first and bound <= key < (first, 5)]
