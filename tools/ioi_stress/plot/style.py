"""How figures look, and how they are written: the same bytes from the same rows.

matplotlib is used without pyplot: no window, no display, no state shared with a notebook's own plots.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from io import BytesIO
from typing import Any, Iterator, Sequence, cast

from ioi_exec import Error, InputError
from ioi_stress.notation.text import compact, thinned

# No other module here loads matplotlib: whoever is imported first, this is what says that it is missing.
try:
    import matplotlib
    from matplotlib.axes import Axes
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator
except ImportError as error:
    raise Error(f"figures need matplotlib, which is not installed ({error}): pip install 'ioi-exec[stress]'") from None

FORMATS = (".png", ".pdf", ".svg")
SEQUENTIAL = "#555555"
# Okabe and Ito's colours, which are told apart with any colour vision; yellow, which white paper swallows, left out.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
_MARKERS = "os^Dvp*"
_SETTINGS: dict[str, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "legend.fontsize": 8,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E0E0E0",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.4,
    "lines.markersize": 4.5,
    "legend.frameon": False,
    "legend.handlelength": 2.2,
    "figure.constrained_layout.use": True,
    "svg.hashsalt": "ioi-stress",
    "pdf.fonttype": 42,  # text stays text
}


class Drawing(Figure):
    """A figure that a notebook shows by itself."""

    def _repr_png_(self) -> bytes:
        out = BytesIO()
        self.savefig(out, format="png", dpi=110)
        return out.getvalue()


@contextmanager
def settings() -> Iterator[None]:
    """matplotlib as these figures want it, and as it was before afterwards."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(cast(Any, _SETTINGS))
        yield


def drawing(
    width: float, height: float, rows: int = 1, columns: int = 1, **options: Any
) -> tuple[Drawing, list[list[Axes]]]:
    """A figure in inches, and its panels by row and column."""
    figure = Drawing(figsize=(width, height))
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False, **options)
    return figure, [list(row) for row in axes]


def save(figure: Figure, path: str | os.PathLike[str] | None) -> None:
    """As its ending says: PNG, PDF or SVG, in which no date and no version stands. Raises InputError, OSError."""
    if path is None:
        return
    name = os.fspath(path)
    ending = os.path.splitext(name)[1].lower()
    if ending not in FORMATS:
        raise InputError(
            f"{name}: figures are written as PNG, PDF or SVG: give a name that ends with {', '.join(FORMATS)}"
        )
    metadata: dict[str, Any] = {
        ".png": {"Software": None},
        ".pdf": {"CreationDate": None, "Producer": None, "Creator": None},
        ".svg": {"Date": None, "Creator": None},
    }[ending]
    with settings():
        figure.savefig(name, format=ending[1:], dpi=200, metadata=metadata)


def series_styles(values: Sequence[Any]) -> list[dict[str, Any]]:
    """A style for each of several series. Numbers are an order, and so are their colours, from dark to light; names get
    colours that are far apart. Markers differ as well, for those who print in grey."""
    ordered = len(values) > 1 and all(
        isinstance(value, (int, float)) and not isinstance(value, bool) for value in values
    )
    if ordered:
        shades = matplotlib.colormaps["viridis"]
        colours = [matplotlib.colors.to_hex(shades(0.85 * i / max(len(values) - 1, 1))) for i in range(len(values))]
    else:
        colours = [_COLOURS[i % len(_COLOURS)] for i in range(len(values))]
    return [{"color": colour, "marker": _MARKERS[i % len(_MARKERS)]} for i, colour in enumerate(colours)]


def scale_for(axes: Axes, column: str, values: Sequence[Any]) -> None:
    """The x axis: logarithmic where values span a factor of 8 or more (32 of workers, for what doubles with them should
    look as if it did); a tick at each value that was measured."""
    numbers = sorted(float(value) for value in values)
    if numbers[0] > 0 and numbers[-1] / numbers[0] >= (32 if column == "workers" else 8):
        axes.set_xscale("log")
        axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(thinned(numbers, 8))
    low, high = numbers[0], numbers[-1]
    room = 0.07
    if low == high:
        axes.set_xlim(0.5 * low, 1.5 * low or 1)
    elif axes.get_xscale() == "log":
        axes.set_xlim(low * (low / high) ** room, high * (high / low) ** room)
    else:
        axes.set_xlim(low - room * (high - low), high + room * (high - low))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: compact(value)))
    axes.xaxis.set_minor_formatter(NullFormatter())


def from_zero(axes: Axes) -> None:
    """The y axis begins at 0, so that heights can be compared."""
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: compact(value)))
