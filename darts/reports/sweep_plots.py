"""The picture of a sweep: every trial, and each setting's mean and deviation."""

from collections.abc import Sequence

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from darts.records.run_folder import Record
from darts.reports.plots import BLUE, INK, STYLE


def sweep_figure(
    settings: Sequence[Record], first: tuple[str, str], second: tuple[str, str]
) -> Figure:
    """Two quantities side by side, (name, title) each; settings from left to right."""
    wanted = [first] if first == second else [first, second]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8.6, 3.1), layout="constrained")
        for axes, (quantity, title) in zip(
            figure.subplots(1, len(wanted), squeeze=False)[0], wanted, strict=True
        ):
            for place, setting in enumerate(settings):
                statistics = setting.get(quantity)
                if statistics is None:
                    continue
                values, middle = statistics["values"], statistics["mean"]
                spread = statistics["sd"] or 0.0
                axes.plot([place] * len(values), values, "o", ms=4.5, color=BLUE, alpha=0.55)
                axes.plot([place - 0.22, place + 0.22], [middle] * 2, color=INK, lw=1.8)
                axes.plot([place] * 2, [middle - spread, middle + spread], color=INK, lw=1.0)
            axes.set_title(title)
            axes.set_xlim(-0.6, len(settings) - 0.4)
            axes.set_xticks(range(len(settings)), [setting["name"] for setting in settings])
            axes.yaxis.set_major_locator(MaxNLocator(nbins=6, integer=quantity == "skips_kept"))
    return figure
