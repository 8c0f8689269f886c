"""Rows of a sweep, chosen by their columns."""

from __future__ import annotations

from typing import Any, Collection, Iterable, Mapping, Sequence

from ioi_exec import InputError
from ioi_stress.sweeps.rows import Row, as_text, parsed

_MOST = 12  # values that an error lists


def parse_where(given: Iterable[str], columns: Collection[str]) -> dict[str, list[str]]:
    """What COLUMN=VALUE,...,COLUMN=VALUE,... chooses. A value may hold = and commas, as the policy `paper,window=64` does:
    a new column begins where its name is one of `columns`. Raises InputError."""
    where: dict[str, list[str]] = {}
    for text in given:
        pieces: list[tuple[str, list[str]]] = []
        for part in text.split(","):
            name, equals, value = part.partition("=")
            if equals and (name.strip() in columns or not pieces):
                pieces.append((name.strip(), [value]))
            elif not pieces:
                raise InputError(f"--where {text}: give COLUMN=VALUE, of the columns {', '.join(columns)}")
            elif equals and pieces[-1][0] != "policy":
                raise InputError(f"--where {text}: there is no column {name.strip()}: there are {', '.join(columns)}")
            else:
                pieces[-1][1].append(part)
        for name, values in pieces:
            joined = ",".join(values)
            where.setdefault(name, []).extend([joined] if "=" in joined else values)
    return where


def chosen(rows: Sequence[Row], where: Mapping[str, Any], name: str) -> list[Row]:
    """The rows whose columns have these values; a list allows several. name: of whatever holds the rows.

    Raises InputError for a column that is not there, a value that no row has, and if nothing is left."""
    found = list(rows)
    said: list[str] = []
    for column, wanted in where.items():
        if rows and column not in rows[0]:
            raise InputError(f"{name}: has no column {column} to choose by: it has {', '.join(rows[0])}")
        there = {as_text(row[column]): row[column] for row in rows}
        texts = []
        for value in wanted if isinstance(wanted, (list, tuple, set, frozenset, range)) else [wanted]:
            written = _written(column, value)
            if rows and not written & there.keys():
                raise InputError(f"{name}: no row where {column} is {_shown(value)}: it is {_listed(there)}")
            texts.append(written)
        said.append(f"{column} is {' or '.join(sorted(min(written, key=len) for written in texts))}")
        accepted: set[str] = set().union(*texts)
        found = [row for row in found if as_text(row[column]) in accepted]
    if rows and not found:
        raise InputError(f"{name}: no row where {' and '.join(said) or 'anything'}: each is there, but not together")
    return found


def _written(column: str, value: object) -> set[str]:
    """The ways in which a file may have it: 2 is chosen by "2", by 2 and by 2.0."""
    text = _shown(value)
    found = {text}
    try:
        number = parsed(column, text)
    except (ValueError, OverflowError):
        return found
    found.add(as_text(number))
    if isinstance(number, float) and number.is_integer():
        found.add(as_text(int(number)))
    elif isinstance(number, int) and not isinstance(number, bool) and abs(number) < 1 << 53:
        found.add(as_text(float(number)))
    return found


def _shown(value: object) -> str:
    try:
        return as_text(value)
    except InputError:  # a control character, which no file has
        return repr(value)


def _listed(values: Mapping[str, Any]) -> str:
    ordered = sorted(values, key=lambda text: (isinstance(values[text], str), values[text] if text and not isinstance(values[text], str) else 0, text))
    more = f" and {len(ordered) - _MOST:,} more" if len(ordered) > _MOST else ""
    return ", ".join(text or "(empty)" for text in ordered[:_MOST]) + more
