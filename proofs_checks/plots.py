"""Formulas and figures as SVG, by matplotlib; no display and no network."""

from __future__ import annotations

import io

import matplotlib

matplotlib.use("Agg")
from matplotlib import mathtext
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties


def formula_svg(tex: str, size: float = 13.0) -> str:
    """A mathtext formula as an inline <svg> element."""
    buffer = io.BytesIO()
    with matplotlib.rc_context({"mathtext.fontset": "cm", "svg.hashsalt": tex}):
        mathtext.math_to_image(
            f"${tex}$", buffer, prop=FontProperties(size=size), format="svg", dpi=72
        )
    return _element(buffer)


def figure_svg(figure: Figure) -> str:
    """A figure as an inline <svg> element, the same bytes every time."""
    buffer = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "proofs_checks"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return _element(buffer)


def _element(buffer: io.BytesIO) -> str:
    text = buffer.getvalue().decode()
    return text[text.index("<svg") :]
