"""Numbers that a dtype cannot hold are refused, and not taken for 0."""

from __future__ import annotations

import math

import torch

from bilevel.problem import NonFiniteError


def refuse_lost(length: float, what: str, dtype: torch.dtype) -> None:
    """Raise if a length is 0 or infinite that can be neither."""
    if not 0 < length < math.inf:
        raise NonFiniteError(
            f"{what} has length {length:.3g} in {dtype}: its numbers are too small or too large "
            "for it. Multiply the inner loss by a number that brings its curvature near 1: g₂ "
            "stays as it is. Multiply the outer loss by one that brings its gradient near 1: g₂ "
            "is multiplied by it too."
        )
