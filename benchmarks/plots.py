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
        timed = sorted((r for r in part["rows"] if "time" in r), key=lambda r: r["time"]["median"])
        below = 0  # the same 20 steps by several programs: their names go one below the other
        above, last = 0, (0.0, 1.0)  # other names near the last one go one above the other
        for row in timed:
            color = COLORS.get(row["source"], "C3")
            error = max(row["error"], 1e-16)
            time = row["time"]
            spread = [[time["median"] - time["low"]], [time["high"] - time["median"]]]
            axes.errorbar(time["median"], error, xerr=spread, fmt="o", color=color, markersize=4)
            same = row["hessian_products"] == loop_products(part) and row["error"] < 1
            same = same and abs(row["error"] / loop_error(part) - 1) < 0.02
            below += same
            if not same:
                crowded = time["median"] < 4 * last[0] and 1 / 1.4 < error / last[1] < 1.4
                above = above + 1 if crowded else 0
                last = time["median"], error
            axes.annotate(
                f"{row['name']} ({row['hessian_products']})",
                (time["median"], error),
                xytext=(4, 3 - 9 * below if same else 3 + 9 * above),
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


def loop_products(part: dict[str, Any]) -> int:
    """Hessian products of the hand-written loop."""
    return int(_loop(part).get("hessian_products", -1))


def loop_error(part: dict[str, Any]) -> float:
    """Its relative error."""
    return float(_loop(part).get("error", 1.0))


def _loop(part: dict[str, Any]) -> dict[str, Any]:
    return next((row for row in part["rows"] if row["name"].startswith("hand-written")), {})


def main() -> None:
    given = [Path(argument) for argument in sys.argv[1:]]
    record = json.loads((given[0] if given else RECORD).read_text())
    print(draw_benchmark(record, given[1] if len(given) > 1 else CHART))


if __name__ == "__main__":
    main()
