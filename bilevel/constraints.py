"""Sets that α may be kept in: an α outside goes to the nearest point of the set."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real

import torch
from torch import Tensor

from bilevel.vector import Tree, Vector


@dataclass(frozen=True)
class Box:
    """lower ≤ α ≤ upper in every coordinate; the nearest point is a clamp.

    Args:
        lower: the least value of a coordinate; −∞ does not bind.
        upper: the greatest one; ∞ does not bind.

    Raises:
        ValueError: there is nothing between them.
        TypeError: a bound is no number. Bounds that differ between coordinates are a function of
            one's own: `lambda alpha: alpha.clamp(lower, upper)`.
    """

    lower: float = -float("inf")
    upper: float = float("inf")

    def __post_init__(self) -> None:
        for name, bound in (("lower", self.lower), ("upper", self.upper)):
            if not isinstance(bound, Real):
                raise TypeError(
                    f"Box({name}=...) is a {type(bound).__name__}; it takes one number for all "
                    "coordinates. For bounds that differ pass a function as the constraint: "
                    "lambda alpha: alpha.clamp(lower, upper)."
                )
        if not self.lower <= self.upper:
            raise ValueError(
                f"Box(lower={self.lower}, upper={self.upper}): the lower bound must not be above "
                "the upper one."
            )

    def __call__(self, alpha: Tree) -> Tree:
        point = Vector.of(alpha)
        leaves = tuple(leaf.clamp(self.lower, self.upper) for leaf in point.leaves)
        return Vector(leaves, point.treespec).tree()


@dataclass(frozen=True)
class Simplex:
    """Every row of every leaf is a distribution: α ≥ 0, and the last axis sums to `total`.

    The nearest point is found by sorting (Duchi et al. 2008): max(α − θ, 0) with the θ that gives
    the sum.

    Args:
        total: the sum of each row.

    Raises:
        ValueError: total is not positive and finite; or, when it is called, a leaf has no axis, or
            numbers that are not finite.
    """

    total: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.total < float("inf"):
            raise ValueError(f"Simplex(total={self.total}): must be positive and finite.")

    def __call__(self, alpha: Tree) -> Tree:
        point = Vector.of(alpha)
        for name, leaf in zip(point.names(), point.leaves, strict=True):
            if leaf.dim() == 0:
                raise ValueError(
                    f"Simplex(): the leaf {name} of α is a number and has no axis to sum over. "
                    "Give it one, or keep it in a Box."
                )
            if not bool(leaf.isfinite().all()):
                raise ValueError(
                    f"Simplex(): the leaf {name} of α holds NaN or infinite numbers, to which no "
                    "point is nearest. Lower the outer learning rate."
                )
        return Vector(tuple(map(self._nearest, point.leaves)), point.treespec).tree()

    def _nearest(self, rows: Tensor) -> Tensor:
        if rows.numel() == 0:
            return rows
        descending = rows.sort(-1, descending=True).values
        largest = descending[..., :1]
        # beside a large one the total is lost to rounding; the nearest point does not move with it
        shift = torch.where(largest.abs() > 100 * self.total, largest, 0)
        rows, descending = rows - shift, descending - shift
        excess = descending.cumsum(-1) - self.total
        count = torch.arange(1, rows.shape[-1] + 1, dtype=rows.dtype, device=rows.device)
        kept = (descending * count > excess).sum(-1, keepdim=True)
        return (rows - excess.gather(-1, kept - 1) / kept).clamp_min(0)
