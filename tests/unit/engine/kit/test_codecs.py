"""The bytes of the kit's keys and values: they are consensus, so these are fixed; and what is refused, in words."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from ioi_exec import InputError, InputTypeError
from ioi_exec.kit import Bytes, Signed, Unsigned
from ioi_exec.kit.codecs import codec


class Pair(NamedTuple):
    name: str
    number: int


GOLDEN = [
    (int, 0, "80"),
    (int, 5, "8105"),
    (int, -5, "7ffa"),
    (int, 255, "81ff"),
    (int, 256, "820100"),
    (int, -255, "7f00"),
    (int, -256, "7efeff"),
    (int, 1 << 64, "89010000000000000000"),
    (int, -(1 << 64), "77feffffffffffffffff"),
    (Unsigned(8), 7, "0000000000000007"),
    (Unsigned(1), 255, "ff"),
    (Signed(8), -1, "7fffffffffffffff"),
    (Signed(2), -32768, "0000"),
    (bytes, b"", ""),
    (bytes, b"a\x00\xff", "6100ff"),
    (Bytes(3), b"abc", "616263"),
    (str, "aé", "61c3a9"),
    (bool, False, "00"),
    (bool, True, "01"),
    (tuple[bytes, bytes], (b"a\x00b", b"c\x00d"), "6100ff62" "0001" "630064"),
    (tuple[str, int], ("", -5), "0001" "7ffa"),
    (tuple[str, tuple[str, str], str], ("a", ("b", "c"), "d"), "610001" "620001" "630001" "64"),
    ((Bytes(2), Unsigned(2), bytes), (b"xy", 1, b"\x00"), "7879" "0001" "00"),
    (Pair, Pair("n", 1), "6e0001" "8101"),
]


@pytest.mark.parametrize("spec, value, hexed", GOLDEN, ids=[f"{spec}-{value!r:.20}" for spec, value, _ in GOLDEN])
def test_the_bytes_are_fixed(spec: Any, value: Any, hexed: str) -> None:
    made = codec("it", spec)
    assert made.pack(value).hex() == hexed
    back = made.whole(bytes.fromhex(hexed))
    assert back == value and type(back) is type(value)


@pytest.mark.parametrize(
    "spec, hexed, words",
    [
        (int, "", "0 bytes are left where 1 are needed"),
        (int, "8100", "shortest"),
        (int, "7fff", "shortest"),
        (int, "820001", "shortest"),
        (int, "00" + "00" * 128, "shortest"),
        (int, "810500", "1 bytes follow"),
        (Unsigned(2), "00", "1 bytes are left where 2 are needed"),
        (Bytes(2), "616263", "1 bytes follow"),
        (str, "ff", "no UTF-8"),
        (bool, "02", "neither 00 nor 01"),
        (tuple[bytes, bytes], "6162", "no end"),
        (tuple[bytes, bytes], "610002", "no end"),
        (tuple[bytes, bytes], "6100", "no end"),
    ],
)
def test_bytes_that_nothing_makes_are_refused(spec: Any, hexed: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        codec("it", spec).whole(bytes.fromhex(hexed))


@pytest.mark.parametrize(
    "spec, value, error, words",
    [
        (int, True, InputTypeError, "bool"),
        (int, "5", InputTypeError, "'5' is str: give an integer"),
        (int, 1 << 1016, InputError, "127 bytes"),
        (Unsigned(1), 256, InputError, "from 0 to 255"),
        (Unsigned(1), -1, InputError, "from 0 to 255"),
        (Signed(1), 128, InputError, "from -128 to 127"),
        (bytes, "x", InputTypeError, "give bytes"),
        (Bytes(2), b"x", InputError, "has 1 bytes: give 2"),
        (str, b"x", InputTypeError, "give text"),
        (str, "\ud800", InputError, "surrogate"),
        (bool, 1, InputTypeError, "True or False"),
        (tuple[int, int], [1, 2], InputTypeError, "a tuple of 2"),
        (tuple[int, int], (1, 2, 3), InputError, "has 3 parts: give 2"),
    ],
)
def test_values_that_do_not_fit_are_refused(spec: Any, value: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        codec("it", spec).pack(value)


@pytest.mark.parametrize("spec", [float, tuple, tuple[int, ...], (), "int", None, tuple[int, float], dict])
def test_what_is_no_codec_is_refused_by_name(spec: Any) -> None:
    with pytest.raises(InputTypeError, match="^the thing"):
        codec("the thing", spec)


def test_structs() -> None:
    msgspec = pytest.importorskip("msgspec")
    Config = msgspec.defstruct("Config", [("name", str), ("limits", dict[str, int])])  # fields in their order
    made = codec("it", Config)
    value = Config("x", {"b": 1, "a": 2})
    assert made.pack(value).hex() == "82a46e616d65a178a66c696d69747382a16102a16201"
    assert made.whole(made.pack(value)) == value
    with pytest.raises(InputTypeError, match="give Config"):
        made.pack({"name": "x"})
    with pytest.raises(InputError, match="should be Config is none"):
        made.whole(b"\x80")
    with pytest.raises(InputError, match="make the whole a struct"):
        codec("it", (Config, int))
