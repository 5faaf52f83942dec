"""Figures of a run, drawn from its records."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path as Curve
from matplotlib.ticker import MaxNLocator

from darts.records.run_folder import Record
from darts.reports.drawing import operation_label
from darts.reports.shares import NONE, SKIP
from darts.spaces import CellGenotype

INK, PALE, RULE = "#23272f", "#8a919e", "#e3e6ea"
BLUE, RED, GREEN, AMBER = "#2563a8", "#c8443a", "#2f855a", "#b7791f"
FAMILIES = {"skip": RED, "none": PALE, "max": AMBER, "avg": AMBER, "sep": BLUE, "dil": GREEN}
"""Colour of an operation by the first word of its name."""

PAGE_FONT = "'Helvetica Neue', Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"

STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "svg.fonttype": "none",
    "axes.edgecolor": PALE,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.titlesize": 10.5,
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
}


def svg(figure: Figure, salt: str) -> str:
    """The figure as an SVG element; `salt` keeps the ids of figures on one page apart."""
    buffer = io.StringIO()
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": salt}):
        figure.savefig(
            buffer,
            format="svg",
            transparent=True,
            metadata={"Date": None, "Creator": None, "Format": None, "Type": None},
        )
    text = buffer.getvalue()
    # measured with the font that matplotlib brings, set in the page's, which is narrower
    return text[text.index("<svg") :].replace("'DejaVu Sans'", PAGE_FONT)


def operation_colour(name: str) -> str:
    return FAMILIES.get(name.split("_")[0], INK)


def cell_figure(cell: CellGenotype) -> Figure:
    """A cell as an arc diagram: states from left to right, operations on the arcs.

    A node's inputs, the longest first, arrive from above and below in turn; nodes that make up
    the cell's output drop to the line at the bottom.
    """
    states = cell.nodes + cell.first
    spans: tuple[list[int], list[int]] = ([], [])
    arcs = []
    for node in range(cell.nodes):
        target = node + cell.first
        for side, (operation, source) in enumerate(sorted(cell.inputs(node), key=lambda e: e[1])):
            spans[side % 2].append(target - source)
            arcs.append((source, target, side % 2 == 0, operation))
    top, floor = _RISE * max(spans[0]) + 0.15, -_RISE * max(spans[1], default=0) - 0.25
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8.6, 1.55 * (top - floor + 0.15)))
        axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
        axes.axis("off")
        for state in cell.concat:
            axes.plot([state, state], [0, floor], color=RULE, lw=1.4, zorder=0)
        end = states - 0.2
        axes.plot([min(cell.concat), end], [floor, floor], color=RULE, lw=1.4, zorder=0)
        axes.text(end + 0.06, floor, "output", va="center", ha="left", color=INK)
        for source, target, up, operation in arcs:
            _arc(axes, source, target, up, operation)
        for state in range(states):
            is_input = state < cell.first
            name = f"cell k−{cell.first - state}" if is_input else str(state - cell.first + 1)
            _state(axes, state, name, is_input)
        axes.set_xlim(-0.45, states + 0.35)
        axes.set_ylim(floor - 0.15, top)
    return figure


_RISE = 0.34
"""Height of an arc over the centre line for each state that it spans."""


def _state(axes: Axes, x: int, label: str, is_input: bool) -> None:
    axes.text(
        x,
        0,
        label,
        ha="center",
        va="center",
        fontsize=9 if is_input else 10,
        color=INK if is_input else "white",
        fontweight="normal" if is_input else "bold",
        bbox={
            "boxstyle": "round,pad=0.45" if is_input else "circle,pad=0.35",
            "facecolor": RULE if is_input else INK,
            "edgecolor": "none",
        },
        zorder=4,
    )


def _arc(axes: Axes, source: int, target: int, up: bool, operation: str) -> None:
    """From source to target, rising in proportion to the distance, with an arrow head."""
    sign = 1 if up else -1
    peak = sign * _RISE * (target - source)
    start, stop, lift = source + 0.07, target - 0.07, sign * 0.15
    control = (4 * peak - lift) / 3  # a cubic reaches 3/4 of its control height from the ends
    colour = operation_colour(operation)
    path = Curve(
        [(start, 0), (start + 0.1, control), (stop - 0.05, control), (stop, lift)],
        [Curve.MOVETO, Curve.CURVE4, Curve.CURVE4, Curve.CURVE4],
    )
    axes.add_patch(PathPatch(path, fill=False, edgecolor=colour, lw=1.6, zorder=1))
    axes.plot([stop], [lift], marker="v" if up else "^", ms=6, mec="none", color=colour, zorder=3)
    axes.text(
        (start + stop) / 2 + 0.02,
        peak - lift / 8,  # where the cubic is half-way
        operation_label(operation),
        ha="center",
        va="center",
        fontsize=9,
        color=colour,
        bbox={"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none"},
        zorder=2,
    )


def weights_figure(epochs: Sequence[Record]) -> Figure:
    """Mean mixing weight over the edges of skip-connect, none and the rest, by epoch."""
    kinds = list(epochs[0]["mixing"])
    panels_of = [[kind] for kind in kinds] if len(kinds) <= 2 else [kinds]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8.6, 2.9), layout="constrained")
        panels = figure.subplots(1, len(panels_of), sharey=True, squeeze=False)[0]
        for axes, shown in zip(panels, panels_of, strict=True):
            _weights(axes, epochs, shown)
            axes.set_title(_cells_title(shown))
        bottom, top = panels[0].get_ylim()
        panels[0].set_ylim(bottom, top + 0.2 * (top - bottom))  # room for the legends
        figure.supylabel("mean mixing weight", fontsize=9.5)
    return figure


def _cells_title(kinds: Sequence[str]) -> str:
    if len(kinds) > 1:
        return f"All {len(kinds)} cells"
    return {"reduce": "Reduction cells", "cell": "Cells"}.get(
        kinds[0], f"{kinds[0].capitalize()} cells"
    )


def _weights(axes: Axes, epochs: Sequence[Record], kinds: Sequence[str]) -> None:
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
    axes.axhline(1 / len(operations), color=PALE, lw=0.9, ls=(0, (2, 3)))
    if rest:
        low = [min(means[name][at] for name in rest) for at in range(len(epochs))]
        high = [max(means[name][at] for name in rest) for at in range(len(epochs))]
        middle = [sum(means[name][at] for name in rest) / len(rest) for at in range(len(epochs))]
        axes.fill_between(passes, low, high, color=BLUE, alpha=0.13, lw=0)
        axes.plot(passes, middle, color=BLUE, marker=_marker(passes), ms=3, label="the rest, mean")
    for name, colour, label in ((SKIP, RED, "skip"), (NONE, INK, "none")):
        if name in means:
            axes.plot(passes, means[name], color=colour, marker=_marker(passes), ms=3, label=label)
    axes.legend(loc="upper left", ncols=3, handlelength=1.4, borderaxespad=0.2)
    _whole_epochs(axes, passes)


def search_figure(epochs: Sequence[Record]) -> Figure:
    """Losses of the supernet, and its accuracy on the half that α saw."""
    passes = [record["epoch"] + 1 for record in epochs]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8.6, 2.7), layout="constrained")
        losses, accuracy = figure.subplots(1, 2)
        for name, colour, label in (
            ("train_loss", BLUE, "ω’s half, with weight decay"),
            ("val_loss", RED, "α’s half"),
        ):
            _line(losses, passes, [record[name] for record in epochs], colour, label)
        losses.set_title("Loss of the supernet")
        losses.legend()
        _line(accuracy, passes, [r["val_accuracy_percent"] for r in epochs], RED, "")
        accuracy.set_title("Accuracy of the supernet on α’s half, %")
        for axes in (losses, accuracy):
            _whole_epochs(axes, passes)
    return figure


def table_figure(epochs: Sequence[Record], names: Mapping[str, str]) -> Figure:
    """True accuracies of the current cell by epoch; `names` says which, and their titles."""
    passes = [record["epoch"] + 1 for record in epochs]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8.6, 2.4), layout="constrained")
        for axes, (name, title) in zip(figure.subplots(1, len(names)), names.items(), strict=True):
            _line(axes, passes, [record[name] for record in epochs], RED, "")
            axes.set_title(title)
            _whole_epochs(axes, passes)
    return figure


def retrain_figure(epochs: Sequence[Record]) -> Figure:
    """Loss and accuracy of the derived network while it is trained, and where it was tested."""
    passes = [record["epoch"] + 1 for record in epochs]
    tested = [record for record in epochs if "test_loss" in record]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8.6, 2.7), layout="constrained")
        for axes, name, title in zip(
            figure.subplots(1, 2),
            ("loss", "accuracy_percent"),
            ("Loss", "Accuracy, %"),
            strict=True,
        ):
            _line(axes, passes, [r[f"train_{name}"] for r in epochs], BLUE, "training images")
            axes.plot(
                [record["epoch"] + 1 for record in tested],
                [record[f"test_{name}"] for record in tested],
                color=RED,
                marker="o",
                ms=5,
                label="test images",
            )
            axes.set_title(title)
            axes.legend()
            _whole_epochs(axes, passes)
    return figure


def norms_figure(steps: Sequence[Record]) -> Figure:
    """Sizes of the hypergradient's two terms, and the angle between them, at every step."""
    counts = range(1, len(steps) + 1)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8.6, 2.9), layout="constrained")
        sizes, angles = figure.subplots(1, 2)
        sizes.plot(
            counts, [_positive(r["direct_norm"]) for r in steps], color=BLUE, lw=1.2, label="‖g₁‖"
        )
        implicit = [_positive(record["implicit_norm"]) for record in steps]
        if any(value is not None for value in implicit):
            sizes.plot(counts, implicit, color=RED, lw=1.2, label="‖g₂′‖")
        sizes.set_yscale("log")
        sizes.set_title("Norm of the direct and the implicit term")
        sizes.legend()
        angles.axhline(90, color=PALE, lw=0.9, ls=(0, (2, 3)))
        angles.plot(
            counts,
            [record["angle_degrees"] for record in steps],
            color=INK,
            lw=1.2,
        )
        angles.set_ylim(0, 180)
        angles.set_yticks([0, 45, 90, 135, 180])
        angles.set_title("Angle between the two, degrees")
        for axes in (sizes, angles):
            axes.set_xlabel("step")
    return figure


def _line(axes: Axes, x: Sequence[int], y: Sequence[float], colour: str, label: str) -> None:
    axes.plot(x, y, color=colour, marker=_marker(x), ms=3, label=label)


def _marker(points: Sequence[Any]) -> str:
    return "o" if len(points) <= 30 else ""


def _positive(value: float) -> float | None:
    return value if value > 0 else None


def _column_mean(rows: list[list[float]], column: int) -> float:
    return sum(row[column] for row in rows) / len(rows)


def _whole_epochs(axes: Axes, passes: Sequence[int]) -> None:
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if len(passes) == 1:
        axes.set_xlim(0, 2)
