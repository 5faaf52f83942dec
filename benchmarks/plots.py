"""Charts of the records: `python -m benchmarks.plots` draws all of them again.

`python -m benchmarks.plots RECORD.json CHART.png` draws one, of the estimators or of the supernet.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

from benchmarks.steps import EXACT, REFERENCE, UNIT

CHARTS = {
    Path("docs/records/estimators.json"): Path("docs/figures/estimators.png"),
    Path("docs/records/supernet.json"): Path("docs/figures/supernet.png"),
}
OFFSET = "offset points"
COLORS = {"this project": "C0", "loop": "0.3"}


def draw_benchmark(record: dict[str, Any], path: Path) -> Path:
    """Relative error of g₂ against time in units of the hand-written loop of 20 products."""
    figure = Figure(figsize=(12, 5), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(record["problems"]))
    names: list[Annotation] = []
    for axes, (name, part) in zip(panels, record["problems"].items(), strict=True):
        # the certificate on a guess is for the table: it is no estimate of another error
        shown = [r for r in part["rows"] if "time" in r and "guessed" not in r["name"]]
        for row in sorted(shown, key=lambda r: r["time"]["median"]):
            color = COLORS.get(row["source"], "C3")
            error = max(row["error"], 1e-16)
            time = row["time"]
            spread = [[time["median"] - time["low"]], [time["high"] - time["median"]]]
            axes.errorbar(time["median"], error, xerr=spread, fmt="o", color=color, markersize=4)
            text, place = f"{row['name']} ({row['hessian_products']})", (time["median"], error)
            look = {"textcoords": OFFSET, "fontsize": 7, "color": color}
            names.append(axes.annotate(text, place, xytext=PLACES[0], **look))
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.margins(x=0.3)
        axes.set_title(f"{name}: n = {part['sizes'][0]}, m = {part['sizes'][1]}")
        axes.set_xlabel("time / hand-written CG of 20 products")
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("relative error of g₂ (in brackets: Hessian products)")
    figure.suptitle("blue: this project, red: public libraries")
    set_apart(names, figure)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
    return path


PLACES = [
    (x, y)
    for y in (3, *(side * (6 + 9 * row) for row in range(6) for side in (-1, 1)))
    for x in (5, -5)
]
"""Where a name may stand beside its point, in points, the first one first; left of it if x < 0."""


def set_apart(names: Sequence[Annotation], figure: Figure) -> None:
    """Put each name at the first place where it hides no other name and no point.

    A name for which there is none stays at the last place.
    """
    figure.draw_without_rendering()
    points = [name.axes.transData.transform(name.xy) for name in names if name.axes is not None]
    taken = [Bbox.from_bounds(x - 4, y - 4, 8, 8) for x, y in points]
    for number, name in enumerate(names):
        others = [box for place, box in enumerate(taken) if place != number]
        for x, y in PLACES:
            name.set(position=(x, y), horizontalalignment="left" if x > 0 else "right")
            box = name.get_window_extent()
            if not box.count_overlaps(others):
                break
        taken.append(box)


def draw_supernet(record: dict[str, Any], path: Path) -> Path:
    """Steps and memory in own weight steps, how cost grows, and what recomputation trades."""
    figure = Figure(figsize=(13, 8), layout="constrained")
    steps, memory, growth, trade = figure.subplots(2, 2).flat
    settings = {name: part for name, part in record.items() if name.startswith("S1")}
    times = {
        setting: {name: row[f"in units of {UNIT}"] for name, row in part["steps"].items()}
        for setting, part in settings.items()
    }
    _bars(steps, times, "CPU time / own weight step")
    steps.set_xscale("log")
    peaks = {
        setting: {name: mib / part["peak MiB"][UNIT] for name, mib in part["peak MiB"].items()}
        for setting, part in settings.items()
    }
    _bars(memory, peaks, "peak memory / own weight step's")
    for color, (what, part) in enumerate(record.get("slopes", {}).items()):
        for style, name in (("o-", UNIT), ("s--", EXACT), ("^:", REFERENCE)):
            row = part[name]
            first = row["seconds"][0]["median"]
            growth.plot(
                [size / part["sizes"][0] for size in part["sizes"]],
                [value["median"] / first for value in row["seconds"]],
                style,
                color=f"C{color}",
                label=f"{what}, {name}: {row['slope']:.2f}",
            )
    growth.set(xscale="log", yscale="log", xlabel="size / smallest", ylabel="time / smallest")
    growth.legend(fontsize=6, title="slope", title_fontsize=7, bbox_to_anchor=(1.0, 1.0))
    points = record.get("trade", {}).get("cells recomputed", {})
    for way, row in points.items():
        trade.plot(row["time"]["median"], row["memory"], "o", color="C0")
        place = row["time"]["median"], row["memory"]
        trade.annotate(way, place, (4, 4), textcoords=OFFSET, fontsize=7)
    trade.axhline(1.5, color="0.6", linewidth=0.8)
    trade.axvline(4.0, color="0.6", linewidth=0.8)
    trade.set_xlabel("exact amended, cells recomputed: time / weight step")
    trade.set_ylabel("memory / weight step's; grey: the goals")
    trade.set_visible(bool(points))
    for axes in (steps, memory, growth, trade):
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle("one thread, medians and spreads")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    return path


def _bars(axes: Any, values: dict[str, dict[str, Any]], title: str) -> None:
    """One group of bars a name, one bar a setting; a spread where a value has one."""
    names = list(dict.fromkeys(name for part in values.values() for name in part))
    height = 0.8 / max(len(values), 1)
    for number, (setting, part) in enumerate(values.items()):
        for name, value in part.items():
            place = names.index(name) + (number - (len(values) - 1) / 2) * height
            color = f"C{number}" if not name.startswith("reference") else f"C{number + 4}"
            middle = value["median"] if isinstance(value, dict) else value
            axes.barh(place, middle, height, color=color)
            if isinstance(value, dict):
                spread = [[middle - value["low"]], [value["high"] - middle]]
                axes.errorbar(middle, place, xerr=spread, color="0.2", linewidth=0.8)
            axes.annotate(
                f"{middle:.2f}  {setting}",
                (value["high"] if isinstance(value, dict) else middle, place),
                (3, 0),
                textcoords=OFFSET,
                fontsize=6,
                va="center",
            )
    axes.set_yticks(range(len(names)), names, fontsize=7)
    axes.invert_yaxis()
    axes.margins(x=0.15)
    axes.set_title(title, fontsize=9)


def draw(record: dict[str, Any], path: Path) -> Path:
    """The chart that a record is for."""
    return (draw_benchmark if "problems" in record else draw_supernet)(record, path)


def main() -> None:
    given = [Path(argument) for argument in sys.argv[1:]]
    if len(given) not in (0, 2):
        raise SystemExit(__doc__)
    for record, chart in ({given[0]: given[1]} if given else CHARTS).items():
        print(draw(json.loads(record.read_text()), chart))


if __name__ == "__main__":
    main()
