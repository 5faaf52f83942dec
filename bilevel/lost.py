"""Numbers that a dtype cannot hold are refused, and not taken for 0."""

from __future__ import annotations

import math

import torch

from bilevel.problem import NonFiniteError

INNER = "Multiply the inner loss by a number that brings its curvature near 1: g₂ stays as it is."
OUTER = (
    "Multiply the outer loss by one that brings its gradient near 1: g₂ is multiplied by it too."
)


def refuse_lost(length: float, what: str, dtype: torch.dtype) -> None:
    """Raise if a length is 0 or infinite in its dtype that can be neither."""
    if not 0 < length <= torch.finfo(dtype).max:
        raise NonFiniteError(
            f"{what} has length {length:.3g} in {dtype}: its numbers are too small or too large "
            f"for it. {INNER} {OUTER}"
        )


def refuse_lost_curvature(curvature: float, n: int, dtype: torch.dtype) -> None:
    """Raise if squares in products with a Hessian of n rows lose digits or are infinite."""
    _refuse_lost_squares(curvature, "the inner loss has curvature", INNER, n, dtype)


def refuse_lost_gradient(length: float, n: int, dtype: torch.dtype) -> None:
    """Raise if squares of the n numbers of ∇_ω L_val lose digits or are infinite."""
    _refuse_lost_squares(length, "∇_ω L_val has length", OUTER, n, dtype)


def _refuse_lost_squares(number: float, what: str, remedy: str, n: int, dtype: torch.dtype) -> None:
    limits = torch.finfo(dtype)
    small = 0 < number < math.sqrt(n * limits.tiny / limits.eps)
    if small or number > limits.max:
        raise NonFiniteError(
            f"{what} {number:.3g}, and squares of such numbers are too "
            f"{'small' if small else 'large'} for {dtype}: lengths would be wrong. {remedy}"
        )
