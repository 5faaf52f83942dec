"""Tables of a report as HTML, and the statistics that go with its numbers."""

import dataclasses
from collections.abc import Sequence
from html import escape
from math import sqrt
from statistics import mean, stdev
from typing import Any

from darts.config.as_json import LOCATIONS, differences, to_json
from darts.config.retrain import RetrainConfig
from darts.config.search import SearchConfig
from darts.records.run_folder import Record
from darts.reports.drawing import operation_label
from darts.spaces import CellGenotype, named_by_edges


@dataclasses.dataclass(frozen=True)
class Interval:
    """A 95 % interval, in per cent."""

    low: float
    high: float


def wilson_interval(accuracy_percent: float, images: int) -> Interval:
    """Wilson's 95 % interval for a share of `images` independent images.

    It covers the choice of test images, not the seed of the run.
    """
    z, p = 1.959964, accuracy_percent / 100
    centre = (p + z * z / (2 * images)) / (1 + z * z / images)
    reach = z * sqrt(p * (1 - p) / images + z * z / (4 * images**2)) / (1 + z * z / images)
    return Interval(100 * (centre - reach), 100 * (centre + reach))


def mean_and_deviation(values: Sequence[float], digits: int = 2) -> str:
    """ "99.01 ± 0.22", the deviation being that of a sample (n − 1)."""
    if len(values) == 1:
        return f"{values[0]:.{digits}f}"
    return f"{mean(values):.{digits}f} ± {stdev(values):.{digits}f}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], name: str = "") -> str:
    """An HTML table; cells are HTML already."""
    heads = "".join(f"<th>{cell}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    header = f"<thead><tr>{heads}</tr></thead>" if head else ""
    return f'<div class="scroll"><table class="{name}">{header}<tbody>{body}</tbody></table></div>'


def mixing_table(
    epoch: Record, kind: str, edges: Sequence[tuple[int, int]], cell: CellGenotype
) -> str:
    """Mixing weights of every edge in per cent, shaded; the operation that was kept is marked."""
    operations = epoch["operations"]
    kept = {
        (source, node + cell.first): operation
        for node in range(cell.nodes)
        for operation, source in cell.inputs(node)
    }
    rows = []
    for edge, weights in zip(edges, epoch["mixing"][kind], strict=True):
        shades = []
        for operation, weight in zip(operations, weights, strict=True):
            mark = " class=kept" if kept.get(edge) == operation else ""
            shade = f"background:rgba(37,99,168,{min(weight, 1) * 0.75:.3f})"
            shades.append(f'<span{mark} style="{shade}">{100 * weight:.1f}</span>')
        rows.append([f"{_state(edge[0], cell.first)} → {_state(edge[1], cell.first)}", *shades])
    return table(["edge", *(operation_label(name) for name in operations)], rows, "mixing")


def settings_table(stage: SearchConfig | RetrainConfig | Record, usual: Any) -> str:
    """Every setting beside the paper's; those that differ are set bold."""
    asked = stage if isinstance(stage, dict) else to_json(stage)
    paper = to_json(usual)
    unequal = differences(asked, paper)
    if _exact(asked) and _exact(paper):  # two ways to the same numbers
        unequal = [line for line in unequal if not line.startswith("estimator.derivatives.")]
    changed = {line.partition(":")[0].split(".")[0] for line in unequal}
    rows = []
    for name, value in asked.items():
        if name in ("type", "checkpoint_share") or name in LOCATIONS:
            continue
        differs = name in changed and name != "seed"
        mine, theirs = setting_text(value), setting_text(paper.get(name))
        rows.append(
            [
                name.replace("_", " "),
                f"<b>{mine}</b>" if differs else mine,
                "" if name == "seed" else theirs,
            ]
        )
    return table(["setting", "this run", "paper"], rows, "settings")


def _exact(stage: Record) -> bool:
    """Whether a search takes its products exactly."""
    how = stage.get("estimator", {}).get("derivatives", {}).get("type")
    return how in ("Autograd", "ReverseOverForward")


def setting_text(value: Any) -> str:
    """One setting, as a reader would write it."""
    if isinstance(value, dict) and value.get("type") == "Space":
        return escape(str(named_by_edges(value)["name"]))
    if isinstance(value, dict):
        inside = ", ".join(
            f"{key}={setting_text(item)}"
            for key, item in value.items()
            if key not in ("type", "velocity") and item is not None
        )
        return f"{escape(str(value.get('type')))}({inside})"
    if isinstance(value, list | tuple):
        return ", ".join(setting_text(item) for item in value)
    if isinstance(value, float):
        return f"{value:g}"
    return "none" if value is None else escape(str(value))


def _state(number: int, inputs: int) -> str:
    return f"k−{inputs - number}" if number < inputs else str(number - inputs + 1)
