"""How results show themselves: numbers that a reader can take in, and tables for notebooks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape

import torch

from bilevel.vector import Vector


def degrees(angle: float | None, of: Vector) -> str:
    """An angle between vectors like `of`; below what rounding leaves of an angle it is 0°.

    A unit vector of m numbers is known to about m·ε, and so is an angle, in radians.
    """
    if angle is None:
        return ""
    rounding = math.degrees(of.numel * torch.finfo(of.dtype).eps)
    return "0°" if angle <= rounding else f"{angle:.3g}°"


def short(number: float | None, digits: int = 3) -> str:
    """A number with so many digits; "" where there is none."""
    return "" if number is None else f"{number:.{digits}g}"


def html_table(
    heading: str, columns: Sequence[str], rows: Iterable[Sequence[str]], notes: Sequence[str] = ()
) -> str:
    """A table for a notebook: the first column names the row, the others stand right."""
    head = "".join(f"<th>{escape(name)}</th>" for name in columns)
    body = "".join(
        "<tr>"
        + "".join(
            f'<td style="text-align:{"left" if place == 0 else "right"}">{escape(cell)}</td>'
            for place, cell in enumerate(row)
        )
        + "</tr>"
        for row in rows
    )
    below = "".join(f"<p>{escape(note)}</p>" for note in notes)
    head = f"<thead><tr>{head}</tr></thead>" if any(columns) else ""
    return f"<table><caption>{escape(heading)}</caption>{head}<tbody>{body}</tbody></table>{below}"
