"""Formulas and figures as SVG, by matplotlib; no display and no network."""

from __future__ import annotations

import io
import re
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import mathtext
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties


def formula_svg(tex: str) -> str:
    """A mathtext formula as an inline <svg> element."""
    buffer = io.BytesIO()
    with matplotlib.rc_context({"mathtext.fontset": "cm", "svg.hashsalt": tex}):
        mathtext.math_to_image(
            f"${tex}$", buffer, prop=FontProperties(size=13.0), format="svg", dpi=72
        )
    # no metadata and no white paper: the page has its own, light or dark
    text = re.sub(r"<metadata>.*?</metadata>", "", _element(buffer), flags=re.DOTALL)
    return text.replace("fill: #ffffff", "fill: none").replace("<svg", '<svg role="img"', 1)


def figure_svg(figure: Figure) -> str:
    """A figure as an inline <svg> element, the same bytes every time."""
    buffer = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "proofs_checks"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None}, dpi=150)
    return _element(buffer)


def _element(buffer: io.BytesIO) -> str:
    text = buffer.getvalue().decode()
    return text[text.index("<svg") :]


COLOURS = {"amended": "#cf222e", "DARTS": "#0969da", "Neumann-1": "#1a7f37"}
Record = dict[str, Any]


def draw_wrong_signs(record: Record) -> Figure:
    figure, axes = _axes("condition number κ", "share of wrong signs")
    conditions = record["conditions"]
    for name, colour in COLOURS.items():
        row = record[name]
        share = row["share"]
        below = [s - low for s, (low, _) in zip(share, row["interval"], strict=True)]
        above = [high - s for s, (_, high) in zip(share, row["interval"], strict=True)]
        axes.errorbar(
            conditions, share, yerr=[below, above], fmt="o", ms=4, color=colour, capsize=2
        )
        axes.plot(conditions, row["exact"], "-", lw=1.4, color=colour, label=name)
    axes.axhline(0.5, color="#888888", lw=0.8, ls=":")
    axes.set_xscale("log")
    axes.set_ylim(-0.01, 0.54)
    axes.legend(loc="center right", frameon=False)  # between the curves
    return figure


def draw_cosines(record: Record) -> Figure:
    figure, axes = _axes("condition number κ", "cosine of the angle to H⁻¹v")
    condition, darts, amended = zip(*record["points"], strict=True)
    axes.plot(condition, amended, ".", ms=3, alpha=0.35, color=COLOURS["amended"], rasterized=True)
    axes.plot(condition, darts, ".", ms=3, alpha=0.35, color=COLOURS["DARTS"], rasterized=True)
    grid = [10 ** (k / 50) for k in range(1, 206)]
    floors = {
        "amended": [2 * k / (k**2 + 1) for k in grid],
        "DARTS": [2 * k**0.5 / (k + 1) for k in grid],
    }
    labels = {"DARTS": "DARTS: 2√κ/(κ + 1)", "amended": "amended: 2κ/(κ² + 1)"}
    for name, label in labels.items():
        axes.plot(grid, floors[name], "-", lw=1.8, color=COLOURS[name], label=label)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.legend(loc="lower left", frameon=False)
    return figure


def draw_certificate(record: Record) -> Figure:
    figure, axes = _axes("conjugate-gradient step", "angle to the true term (degrees)")
    steps = record["steps"]
    certified = [s for s in steps if s["bound"] is not None]
    first = certified[0]["step"] if certified else steps[-1]["step"] + 1
    axes.axvspan(steps[0]["step"] - 0.5, first - 0.5, color="#eeeeee")
    axes.plot(
        [s["step"] for s in certified],
        [s["bound"] for s in certified],
        "s-",
        ms=3.5,
        color="#1a7f37",
        label="certified bound, arcsin(δ/‖Bq‖)",
    )
    axes.plot(
        [s["step"] for s in steps],
        [s["angle"] for s in steps],
        "o-",
        ms=3.5,
        color="#57606a",
        label="true angle",
    )
    axes.set_yscale("log")
    axes.legend(loc="upper right", frameon=False)
    return figure


def _axes(x: str, y: str) -> tuple[Figure, Any]:
    figure = Figure(figsize=(6.4, 3.8), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    return figure, axes
