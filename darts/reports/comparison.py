"""Any runs beside one another on one page: curves with bands, differences with intervals."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import mean

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from darts.records.run_folder import Record
from darts.records.writing import write_atomically
from darts.reports.answer import difference_words, interval_words, signed
from darts.reports.entries import QUANTITIES, TEST_IMAGES, Entry, Group, differing
from darts.reports.page import render
from darts.reports.plots import INK, SERIES, panel, whole_epochs
from darts.reports.shares import share
from darts.reports.statistics import (
    Interval,
    mean_and_deviation,
    mean_difference,
    paired_difference,
    unpaired_difference,
)
from darts.spaces.space import NONE, SKIP

RANKED = {
    "test_accuracy_percent": "test accuracy",
    "sample_accuracy_percent": "accuracy on held-out training images",
    "val_accuracy_percent": "accuracy of the supernet on α’s half",
}
"""What groups are compared by, the first of these that all have, and its name in sentences."""

Curve = Callable[[Record], float | None]


def write_comparison(path: Path, title: str, groups: Sequence[Group]) -> Path:
    """Write the page; links in it are relative to its folder.

    Raises:
        ValueError: no run is finished.
    """
    shown = [group for group in groups if group.entries]
    if not shown:
        missing = ", ".join(name for group in groups for name in group.missing)
        raise ValueError(f"Nothing to compare: no run is finished ({missing}).")
    check = any(group.checks for group in shown)
    head, rows = group_table(shown)
    values: Record = {
        "title": title,
        "lead": _lead(groups),
        "answer": sentences(shown),
        "check": check,
        "charts": _charts(shown),
        "head": head,
        "rows": rows,
        "differences": [] if check else difference_rows(shown),
        "settings_head": ["option", *(group.name for group in shown)],
        "settings": differing(shown),
        "runs_head": ["run", *(name for _, name in _shown(shown))],
        "runs": _run_rows(shown, path.parent),
    }
    return write_atomically(path, render("comparison.html", **values))


def sentences(groups: Sequence[Group]) -> list[str]:
    """Which group is best, by how much, and whether that is beyond noise."""
    if any(group.checks for group in groups):
        return [
            "These runs only check that everything runs: no statistics are made of them, and they "
            "say nothing about a method."
        ]
    quantity = _ranked(groups)
    if quantity is None:
        return []
    ordered = sorted(groups, key=lambda group: -mean(group.values(quantity)))
    best = ordered[0]
    numbers = best.values(quantity)
    several = f" (n = {len(numbers)})" if len(numbers) > 1 else ""
    value = f"{mean_and_deviation(numbers)} %{several}."
    found = [
        f"{best.name} has the highest {RANKED[quantity]}: {value}"
        if len(ordered) > 1
        else f"{best.name}: {RANKED[quantity]} {value}"
    ]
    for other in ordered[1:4]:
        interval, _ = _difference(best, other, quantity)
        points = mean(numbers) - mean(other.values(quantity))
        words = difference_words(points, interval)
        unknown = "" if interval else "; one seed each says nothing of the spread"
        apart = "" if _tested_alike(best, other) else "; the two had other test images"
        found.append(f"It has {words} {other.name}{unknown}{apart}.")
    return found + _warnings(groups)


def _tested_alike(first: Group | Entry, second: Group | Entry) -> bool:
    """Whether nothing says that two had other test images."""
    one, other = first.inputs.get(TEST_IMAGES), second.inputs.get(TEST_IMAGES)
    return one is None or other is None or one == other


def _warnings(groups: Sequence[Group]) -> list[str]:
    """What keeps the runs of a group from being draws of one kind."""
    found = []
    for group in groups:
        if not all(_tested_alike(group, entry) for entry in group.entries):
            found.append(
                f"The runs of {group.name} did not have the same test images: their mean mixes "
                "data sets."
            )
        seeds = [entry.seed for entry in group.entries if entry.seed is not None]
        if len(set(seeds)) < len(seeds):
            found.append(
                f"Runs of {group.name} that repeat a seed ({len(seeds) - len(set(seeds))} of "
                f"{len(seeds)}) are no further draws: the deviation is too small."
            )
    return found


def group_table(groups: Sequence[Group]) -> tuple[list[str], list[list[str]]]:
    """Every quantity as mean ± deviation, a row for each group."""
    quantities = _shown(groups)
    rows = [
        [
            group.name,
            str(len(group.entries)),
            *(
                _in_cell(group, values, name) if (values := group.values(name)) else "–"
                for name, _ in quantities
            ),
        ]
        for group in groups
    ]
    return ["setting", "n", *(title for _, title in quantities)], rows


def _in_cell(group: Group, values: Sequence[float], quantity: str) -> str:
    """Mean and deviation; of runs that only check that everything runs the values alone."""
    if group.checks:
        return ", ".join(_number(quantity, value) for value in values)
    return mean_and_deviation(values, 3 if quantity == "params_millions" else 2)


def _number(quantity: str, value: float) -> str:
    """That of one run, as tables have it."""
    digits = {"params_millions": 3, "skips_kept": 0}.get(quantity, 2)
    return f"{value:.{digits}f}"


def difference_rows(groups: Sequence[Group]) -> list[list[str]]:
    """Each group minus the first: difference, 95 % interval, and what it covers."""
    quantity = _ranked(groups)
    if quantity is None:
        return []
    rows = []
    base = groups[0]
    for group in groups[1:]:
        interval, how = _difference(group, base, quantity)
        points = mean(group.values(quantity)) - mean(base.values(quantity))
        words = interval_words(interval) if interval else "–"
        noise = "yes" if interval and interval.has_zero else "no" if interval else "unknown"
        rows.append([f"{group.name} − {base.name}", signed(points), words, noise, how])
    return rows


def _difference(first: Group, second: Group, quantity: str) -> tuple[Interval | None, str]:
    one, other = first.values(quantity), second.values(quantity)
    interval = mean_difference(one, other)
    if interval is not None:
        return interval, "seeds and all that they draw (Welch)"
    if len(one) == len(other) == 1 and quantity == "test_accuracy_percent":
        a, b = first.entries[0], second.entries[0]
        if a.right and b.right and len(a.right) == len(b.right) and _tested_alike(a, b):
            return paired_difference(a.right, b.right), "choice of test images, in pairs"
        if a.images and a.images == b.images:
            return unpaired_difference(one[0], other[0], a.images), "choice of test images"
    return None, "too few runs"


def _ranked(groups: Sequence[Group]) -> str | None:
    return next((name for name in RANKED if all(group.values(name) for group in groups)), None)


def _shown(groups: Sequence[Group]) -> list[tuple[str, str]]:
    return [entry for entry in QUANTITIES if any(group.values(entry[0]) for group in groups)]


def _lead(groups: Sequence[Group]) -> str:
    count = sum(len(group.entries) for group in groups)
    missing = [
        f"{group.name}/{name}" if len(groups) > 1 else name
        for group in groups
        for name in group.missing
    ]
    settings = f" of {len(groups)} settings" if len(groups) > 1 else ""
    left = f"Not finished: {', '.join(missing)}." if missing else "None is missing."
    return f"{count} {'run' if count == 1 else 'runs'}{settings}. {left}"


def _run_rows(groups: Sequence[Group], folder: Path) -> list[list[str | Markup]]:
    rows = []
    for group in groups:
        for entry in group.entries:
            name: str | Markup = f"{group.name}/{entry.name}" if len(groups) > 1 else entry.name
            if entry.folder is not None:
                place = os.path.relpath(entry.folder / "report.html", folder)
                name = Markup('<a href="{}">{}</a>').format(Path(place).as_posix(), name)
            numbers = (
                _number(key, entry.numbers[key]) if key in entry.numbers else "–"
                for key, _ in _shown(groups)
            )
            rows.append([name, *numbers])
    return rows


def _weight(operation: str) -> Curve:
    def curve(record: Record) -> float | None:
        part = share(record, operation)
        return None if part is None else part.weight_percent

    return curve


_CURVES: Mapping[str, tuple[str, Curve]] = {
    "Mean weight of skip, %": ("search", _weight(SKIP)),
    "Mean weight of “none”, %": ("search", _weight(NONE)),
    "Accuracy of the supernet on α’s half, %": (
        "search",
        lambda record: record.get("val_accuracy_percent"),
    ),
    "Training accuracy of the networks, %": (
        "training",
        lambda record: record.get("train_accuracy_percent"),
    ),
}


def _charts(groups: Sequence[Group]) -> list[Record]:
    dots = [
        panel(title, _dots(groups, name), f"dots-{name}", 0.9 + 0.42 * len(groups))
        for name, title in _shown(groups)
        if name in (*RANKED, "skips_kept")
    ]
    curves = [
        panel(title, draw, f"curve-{number}")
        for number, (title, (stage, curve)) in enumerate(_CURVES.items())
        if (draw := _bands(groups, stage, curve)) is not None
    ]
    found = [
        {
            "pictures": dots,
            "caption": "Each point is a run, each upright stroke the mean of a setting.",
        }
    ]
    if curves:
        found.append(
            {
                "pictures": curves,
                "caption": "Lines are means over the runs of a setting, bands reach from the "
                "lowest to the highest of them; an epoch is drawn where all its runs have it.",
            }
        )
    return [chart for chart in found if chart["pictures"]]


def _dots(groups: Sequence[Group], quantity: str) -> Callable[[Axes], None]:
    def draw(axes: Axes) -> None:
        for row, group in enumerate(groups):
            values = group.values(quantity)
            axes.plot(values, [row] * len(values), "o", ms=5, alpha=0.6, color=_colour(row))
            if values:
                axes.plot([mean(values)] * 2, [row - 0.28, row + 0.28], color=INK, lw=1.8)
        axes.set_ylim(len(groups) - 0.4, -0.6)
        found = [value for group in groups for value in group.values(quantity)]
        least = 1.0 if quantity == "skips_kept" else 0.5  # whole numbers, with one on each side
        room = max(0.08 * (max(found) - min(found)), least)
        axes.set_xlim(min(found) - room, max(found) + room)
        axes.set_yticks(range(len(groups)), [_short(group.name) for group in groups])
        axes.grid(visible=True, axis="x")
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=quantity == "skips_kept"))

    return draw


def _bands(groups: Sequence[Group], stage: str, curve: Curve) -> Callable[[Axes], None] | None:
    """Mean and range of a curve for each group; None if no run has it."""
    drawn = []
    for row, group in enumerate(groups):
        runs = [values for entry in group.entries if (values := _values(entry, stage, curve))]
        if runs:
            columns = list(zip(*runs, strict=False))
            drawn.append((row, group.name, columns))
    if not drawn:
        return None

    def draw(axes: Axes) -> None:
        for row, name, columns in drawn:
            passes = range(1, len(columns) + 1)
            axes.plot(passes, list(map(mean, columns)), color=_colour(row), label=_short(name))
            low, high = list(map(min, columns)), list(map(max, columns))
            axes.fill_between(passes, low, high, color=_colour(row), alpha=0.15, lw=0)
        if len(drawn) > 1:
            axes.legend()
        whole_epochs(axes, range(1, max(len(columns) for _, _, columns in drawn) + 1))

    return draw


def _values(entry: Entry, stage: str, curve: Curve) -> list[float]:
    found = [curve(record) for record in getattr(entry, stage)]
    return [value for value in found if value is not None]


def _colour(row: int) -> str:
    return SERIES[row % len(SERIES)]


def _short(name: str) -> str:
    return name if len(name) <= 28 else f"{name[:27]}…"
