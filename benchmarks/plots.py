"""The benchmark's chart: `python -m benchmarks.plots [record.json] [chart.png]`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

RECORD = Path("docs/records/estimators.json")
CHART = Path("docs/figures/estimators.png")
COLORS = {"this project": "C0", "loop": "0.3"}


def draw_benchmark(record: dict[str, Any], path: Path) -> Path:
    """Relative error of g₂ against time in units of the hand-written loop of 20 products."""
    figure = Figure(figsize=(12, 5), layout="constrained")
    panels = figure.subplots(1, len(record["problems"]))
    for axes, (name, part) in zip(panels, record["problems"].items(), strict=True):
        for row in part["rows"]:
            if "time" not in row:
                continue
            color = COLORS.get(row["source"], "C3")
            error = max(row["error"], 1e-16)
            time = row["time"]
            spread = [[time["median"] - time["low"]], [time["high"] - time["median"]]]
            axes.errorbar(time["median"], error, xerr=spread, fmt="o", color=color, markersize=4)
            axes.annotate(
                f"{row['name']} ({row['hessian_products']})",
                (time["median"], error),
                xytext=(4, 3),
                textcoords="offset points",
                fontsize=7,
                color=color,
            )
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.margins(x=0.3)
        axes.set_title(f"{name}: n = {part['sizes'][0]}, m = {part['sizes'][1]}")
        axes.set_xlabel("time / hand-written CG of 20 products")
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("relative error of g₂ (in brackets: Hessian products)")
    figure.suptitle(f"blue: this project, red: public libraries; commit {record.get('commit')}")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
    return path


def main() -> None:
    given = [Path(argument) for argument in sys.argv[1:]]
    record = json.loads((given[0] if given else RECORD).read_text())
    print(draw_benchmark(record, given[1] if len(given) > 1 else CHART))


if __name__ == "__main__":
    main()
