"""Charts of runs, drawn from their records; one panel each, which a page sets side by side."""

import io
from collections.abc import Callable, Mapping, Sequence
from math import nan
from typing import Any

import matplotlib
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from darts.records.run_folder import Record
from darts.reports.cell_names import cell_called
from darts.spaces.space import NONE, SKIP

INK, PALE, RULE = "#23272f", "#8a919e", "#e3e6ea"
BLUE, RED, GREEN, AMBER = "#2563a8", "#c8443a", "#2f855a", "#b7791f"
SERIES = (BLUE, RED, GREEN, AMBER, "#7c4fb0", "#0e7f86")
"""Colours of runs over one another, in order; more than six begin again."""

_ON_PAGE = {INK: "--ink", PALE: "--line", RULE: "--rule", BLUE: "--accent", RED: "--red"}
_ON_PAGE |= {GREEN: "--green", AMBER: "--amber"}
PAGE_FONT = "'Helvetica Neue', Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"

STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "svg.fonttype": "none",
    "text.color": INK,
    "axes.edgecolor": PALE,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlecolor": INK,
    "xtick.color": PALE,
    "ytick.color": PALE,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": RULE,
    "lines.linewidth": 1.7,
    "legend.frameon": False,
    "legend.fontsize": 9.5,
}

Draw = Callable[[Axes], None]


def panel(title: str, draw: Draw, salt: str, height: float = 2.7) -> Markup:
    """One chart as an SVG element in the page's colours; `salt` keeps ids on one page apart."""
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": salt}):
        figure = Figure(figsize=(4.4, height), layout="constrained")
        axes = figure.subplots()
        draw(axes)
        axes.set_title(title)
        buffer = io.StringIO()
        figure.savefig(
            buffer,
            format="svg",
            transparent=True,
            metadata={"Date": None, "Creator": None, "Format": None, "Type": None},
        )
    text = buffer.getvalue()
    text = text[text.index("<svg") :].replace("<svg", '<svg role="img"', 1)
    for colour, variable in _ON_PAGE.items():  # so that a page in the dark has its own
        text = text.replace(colour, f"var({variable})")
    # measured with the font that matplotlib brings, set in the page's, which is narrower
    return Markup(text.replace("'DejaVu Sans'", PAGE_FONT))


def weight_panels(epochs: Sequence[Record], even: float) -> list[Markup]:
    """Mean mixing weight over the edges of skip-connect, `none` and the rest, by epoch.

    A dotted line is at `even`, the weight where all α are equal.
    """
    kinds = list(epochs[0]["mixing"])
    shown = [[kind] for kind in kinds] if len(kinds) <= 2 else [kinds]
    return [
        panel(
            f"Mean mixing weight, {cells_title(some)}",
            lambda axes, some=some: _weights(axes, epochs, some, even),  # type: ignore[misc]
            f"weights-{some[0]}",
        )
        for some in shown
    ]


def cells_title(kinds: Sequence[str]) -> str:
    if len(kinds) > 1:
        return f"all {len(kinds)} cells"
    return f"{cell_called(kinds[0])}s"


def _weights(axes: Axes, epochs: Sequence[Record], kinds: Sequence[str], even: float) -> None:
    operations = epochs[0]["operations"]
    passes = [record["epoch"] + 1 for record in epochs]
    means = {
        name: [
            _column_mean([row for kind in kinds for row in record["mixing"][kind]], column)
            for record in epochs
        ]
        for column, name in enumerate(operations)
    }
    rest = [name for name in operations if name not in (SKIP, NONE)]
    axes.axhline(even, color=PALE, lw=0.9, ls=(0, (2, 3)))
    if rest:
        low = [min(means[name][at] for name in rest) for at in range(len(epochs))]
        high = [max(means[name][at] for name in rest) for at in range(len(epochs))]
        middle = [sum(means[name][at] for name in rest) / len(rest) for at in range(len(epochs))]
        axes.fill_between(passes, low, high, color=BLUE, alpha=0.13, lw=0)
        line(axes, passes, middle, BLUE, "the rest, mean")
    for name, colour, label in ((SKIP, RED, "skip"), (NONE, INK, "none")):
        if name in means:
            line(axes, passes, means[name], colour, label)
    bottom, top = axes.get_ylim()
    axes.set_ylim(bottom, top + 0.22 * (top - bottom))  # room for the legend
    axes.legend(loc="upper left", ncols=3, handlelength=1.4, borderaxespad=0.2)
    whole_epochs(axes, passes)


def curve_panel(
    title: str, epochs: Sequence[Record], names: Mapping[str, tuple[str, str]], salt: str
) -> Markup:
    """Some numbers of epochs' records: by name a colour and a label, which may be empty.

    An epoch that lacks a number, or has None for it, has no point.
    """

    def draw(axes: Axes) -> None:
        for name, (colour, label) in names.items():
            known = [(r["epoch"] + 1, r[name]) for r in epochs if r.get(name) is not None]
            line(axes, [x for x, _ in known], [y for _, y in known], colour, label)
        if any(label for _, label in names.values()):
            axes.legend()
        whole_epochs(axes, [record["epoch"] + 1 for record in epochs])

    return panel(title, draw, salt)


def step_panel(
    title: str, steps: Sequence[Record], names: Mapping[str, tuple[str, str]], salt: str
) -> Markup:
    """Numbers of every step; sizes on a logarithmic scale, an angle from 0 to 180°."""

    def draw(axes: Axes) -> None:
        counts = range(1, len(steps) + 1)
        for name, (colour, label) in names.items():
            values = [record[name] or nan for record in steps]
            axes.plot(counts, values, color=colour, lw=1.2, label=label)
        axes.set_xlabel("step")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if all(name.endswith("_degrees") for name in names):
            axes.axhline(90, color=PALE, lw=0.9, ls=(0, (2, 3)))
            axes.set_ylim(0, 180)
            axes.set_yticks([0, 45, 90, 135, 180])
        else:
            axes.set_yscale("log")
            axes.legend()

    return panel(title, draw, salt)


def line(axes: Axes, x: Sequence[int], y: Sequence[float], colour: str, label: str) -> None:
    """With a mark at each point where there are few."""
    axes.plot(x, y, color=colour, marker="o" if len(x) <= 30 else "", ms=3, label=label or None)


def _column_mean(rows: list[list[float]], column: int) -> float:
    return sum(row[column] for row in rows) / len(rows)


def whole_epochs(axes: Axes, passes: Sequence[int]) -> None:
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if len(passes) == 1:
        axes.set_xlim(0, 2)
