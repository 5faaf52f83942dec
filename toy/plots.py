"""Pictures of the toy examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure


def draw_trajectories(trajectories: Mapping[str, Sequence[float]], path: Path) -> Path:
    """Draw α against the number of steps, one line per estimator, and return where.

    The vertical axis is linear near 0 and logarithmic beyond ±1, so that a run-away fits.
    """
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    for position, (values, names) in enumerate(_coinciding(trajectories).items()):
        name = "\n".join(names)
        axes.plot(values, color=f"C{position}", linewidth=1.8)
        axes.annotate(
            name,
            (len(values) - 1, values[-1]),
            xytext=(6, 0),
            textcoords="offset points",
            color=f"C{position}",
            fontsize=8,
            va="center",
        )
    axes.set_yscale("symlog", linthresh=1.0)
    axes.axhline(0, color="0.6", linewidth=0.8)
    axes.set_xlim(0, 1.42 * max(len(values) - 1 for values in trajectories.values()))
    axes.set_xlabel("steps of gradient descent on α")
    axes.set_ylabel("α   (the minimum is at 0)")
    axes.set_title("A.1: only an estimate whose total has the right sign finds the minimum")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)
    return path


def _coinciding(trajectories: Mapping[str, Sequence[float]]) -> dict[tuple[float, ...], list[str]]:
    """Names by trajectory, so that curves that lie on each other share one label."""
    found: dict[tuple[float, ...], list[str]] = {}
    for name, values in trajectories.items():
        found.setdefault(tuple(round(value, 9) for value in values), []).append(name)
    return found
