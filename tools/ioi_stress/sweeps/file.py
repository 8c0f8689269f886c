"""The file of a sweep: CSV, one row appended at a time, which an interruption at any byte leaves good to go on with.

CSV, because that is what people open. Plain: a line of names, then rows; what grid they are of stands in a column of
its own, so nothing is lost when the file is copied, cut or opened elsewhere. A row is one write of one line and counts
when its line end is there. (An interrupted write leaves a beginning of it, which is cut off when the file is opened
again.)
"""

from __future__ import annotations

import csv
import fcntl
import os
from io import StringIO
from typing import Any, Iterable, Sequence

from ioi_storage.disk.descriptors import keep_standard

from ioi_exec import InputError, StateInUse
from ioi_exec.files.whole import read_whole
from ioi_stress.sweeps.grid import Grid, describe_values
from ioi_stress.sweeps.rows import COLUMNS, MEASURED, SIMULATED, Row, as_text, check_simulated, parsed


def columns_of(parameters: Iterable[str], simulated: bool = False) -> list[str]:
    return ["workload", *parameters, "workers", "policy", *MEASURED, *(SIMULATED if simulated else ())]


class SweepFile:
    """The rows of one grid in a file, open for more. `with`: closes it.

    Raises InputError if it holds something else (another grid, no sweep, a damaged line), StateInUse if another sweep
    has it open. rows: what it held. done: of which points, as text, with their repetitions. dropped: bytes of a last
    row that had not been written to its end.
    """

    def __init__(self, path: str | os.PathLike[str], grid: Grid) -> None:
        self.path = os.fspath(path)
        self.columns = columns_of(grid.axes, grid.costs is not None)
        if os.path.exists(self.path) and not os.path.isfile(self.path):
            raise InputError(f"{self.path}: no plain file, whose rows could be read again: give another")
        keep_standard()
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise StateInUse(f"{self.path}: another sweep is writing it") from None
            with open(self._file, "rb", closefd=False) as stream:
                data = stream.read()
            whole = data[: data.rfind(b"\n") + 1]
            if data and not whole and not (_line(self.columns) + "\n").encode().startswith(data):
                raise InputError(f"{self.path}: holds no rows of a sweep: give another file")
            self.rows, self.done = _read(self.path, whole, self.columns, grid)
            self.dropped = len(data) - len(whole)
            os.ftruncate(self._file, len(whole))
            os.lseek(self._file, 0, os.SEEK_END)
            if not whole:
                self._write(self.columns)
        except BaseException:
            os.close(self._file)
            raise

    def append(self, row: Row) -> None:
        """Raises OSError."""
        self._write([as_text(row.get(name)) for name in self.columns])

    def _write(self, cells: Sequence[str]) -> None:
        line = (_line(cells) + "\n").encode()
        try:
            while line:
                line = line[os.write(self._file, line) :]
        except OSError as error:
            error.filename = self.path
            raise

    def __enter__(self) -> SweepFile:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)


def read_rows(path: str | os.PathLike[str]) -> tuple[list[str], list[Row]]:
    """(columns, rows) of a finished or unfinished sweep; a last row that is not whole does not count. Raises
    InputError."""
    name = os.fspath(path)
    with open(name, "rb") as stream:
        data = read_whole(stream, name)
    lines = _lines(name, data[: data.rfind(b"\n") + 1])
    columns = lines[0] if lines else []
    if not set(COLUMNS) <= set(columns):
        raise InputError(f"{name}: holds no rows of a sweep: its first line is not one that `ioi-stress sweep` writes")
    return columns, _rows(name, lines)[0]


_Keys = set[tuple[str, ...]]


def _read(path: str, data: bytes, columns: list[str], grid: Grid) -> tuple[list[Row], _Keys]:
    lines = _lines(path, data)
    if not lines:
        return [], set()
    if not set(COLUMNS) <= set(lines[0]):
        raise InputError(f"{path}: holds something else than rows of a sweep: give another file")
    rows, done = _rows(path, lines)
    others = {row["grid"] for row in rows} - {grid.identity}
    if lines[0] != columns or others:
        raise InputError(
            f"{path}: holds rows of another grid ({_difference(lines[0], rows, columns, grid)}): give another file"
        )
    points = {point.key for point in grid.points}
    for key in done:
        if key[:-1] not in points:
            raise InputError(
                f"{path}: holds a row of this grid at a point that it does not have: {', '.join(key)}; delete it"
            )
    return rows, set(done)


def _difference(there: list[str], rows: list[Row], columns: list[str], grid: Grid) -> str:
    """What is different, in words."""
    if set(there) ^ set(columns) == set(SIMULATED):
        return "one of them is simulated, the other measured"
    for name in sorted(set(there) ^ set(columns)):
        return f"there {'is' if name in there else 'is no'} {name}, here {'there is' if name in columns else 'there is none'}"
    here: dict[str, list[Any]] = {
        "workload": list(grid.names),
        **{name: list(values) for name, values in grid.axes.items()},
        "workers": list(grid.workers),
        "policy": [policy.name for policy in grid.policies],
    }
    found = {name: list(dict.fromkeys(as_text(row[name]) for row in rows)) for name in here}
    wanted = {name: {as_text(value) for value in values} for name, values in here.items()}
    # What is missing there may just not have been reached, so it says less than what is missing here.
    for name in [
        *(name for name in here if not set(found[name]) <= wanted[name]),
        *(name for name in here if set(found[name]) != wanted[name]),
    ]:
        return f"there {name} is {describe_values(found[name])}, here {describe_values(here[name])}"
    return (
        "the same parameters, but other defaults of the workload, another policy of that name, another tree, place of the "
        "state or pinning, other costs of a simulated machine"
    )


def _lines(path: str, data: bytes) -> list[list[str]]:
    try:
        return list(csv.reader(StringIO(data.decode(), newline="")))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: no CSV: {error}") from None


def _rows(path: str, lines: list[list[str]]) -> tuple[list[Row], list[tuple[str, ...]]]:
    """The rows, and for each its point and repetition as they are written."""
    columns = lines[0]
    rows, keys = [], dict[tuple[str, ...], None]()
    last = columns.index("repetition") + 1
    for number, cells in enumerate(lines[1:], 2):
        try:
            row = {name: parsed(name, text) for name, text in zip(columns, cells, strict=True)}
            check_simulated(row)
        except ValueError as error:
            raise InputError(
                f"{path}, line {number}: damaged: {error}; delete that line, and its repetition is run again"
            ) from None
        key = tuple(cells[1:last])
        if key in keys:
            raise InputError(f"{path}, line {number}: a repetition that another line has already: delete one of them")
        keys[key] = None
        rows.append(row)
    return rows, list(keys)


def _line(cells: Sequence[str]) -> str:
    out = StringIO()
    csv.writer(out, lineterminator="").writerow(cells)
    return out.getvalue()
