"""Whether ∇_ω L_val and ∇_α L_val are the derivatives of the values of L_val."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from bilevel.diagnostics.agreement import (
    Agreement,
    Direction,
    gaussian,
    gradient_agreement,
    sized_norm,
)
from bilevel.diagnostics.check_report import Finding
from bilevel.problem import BilevelProblem
from bilevel.vector import Vector

SHARE = 1e-3
"""Of the gradient that an error may be."""
SHARE_NEAR = 1e-6
"""The same beside a kink, where leaves may be so small that a fault of theirs is small as well."""


@dataclass(frozen=True)
class OuterGradients:
    """The findings, and the number of values of L_val that they took."""

    findings: list[Finding]
    values: int


def outer_gradients(
    problem: BilevelProblem,
    omega: Vector,
    alpha: Vector,
    direction: Direction,
    generator: torch.Generator,
) -> OuterGradients:
    """Compare both gradients of L_val with its values: one gradient, and four values for each.

    Where they differ they are compared at a smaller step, and then at a point beside this one: at a
    kink, such as a ReLU of zeros, there are two derivatives. A gradient in α that is not right is a
    note: g₁ is often 0 by design, H and B are not.
    """
    _, in_omega, in_alpha = problem.outer_gradients_as_they_are(omega, alpha)
    along_alpha = gaussian(alpha, generator, direction.sizes_alpha)
    beside = _Beside(problem, direction, generator)
    findings = [
        found
        for found in (
            beside.look("ω", omega, alpha, in_omega, direction.v),
            beside.look("α", omega, alpha, in_alpha, along_alpha),
        )
        if found is not None
    ]
    return OuterGradients(findings, beside.values)


class _Beside:
    """Gradients of L_val beside its values, which are counted."""

    def __init__(
        self, problem: BilevelProblem, direction: Direction, generator: torch.Generator
    ) -> None:
        self.problem, self.direction, self.generator = problem, direction, generator
        self.values = 0

    def look(
        self, name: str, omega: Vector, alpha: Vector, gradient: Vector, along: Vector
    ) -> Finding | None:
        """What to say of the gradient in ω or in α, along a direction."""
        if not math.isfinite(self._size(name, gradient)):
            return Finding("L_val", f"∇_{name} L_val is NaN or infinite at this point.")
        if self._wrong(name, omega, alpha, gradient, along) is None:
            return None
        if omega.dtype != torch.float64:  # kinks and rounding cannot be told from errors
            return None
        omega, alpha = self._near(name, omega, alpha)
        _, in_omega, in_alpha = self.problem.outer_gradients_as_they_are(omega, alpha)
        gradient = in_omega if name == "ω" else in_alpha
        found = self._wrong(name, omega, alpha, gradient, along, SHARE_NEAR)
        if found is None:
            return None
        return Finding(
            "L_val",
            f"∇_{name} L_val is not the derivative of its values: they differ by "
            f"{found.relative:.2g} of its norm along a random direction. Look for detach(), "
            "no_grad(), .data or .item() on the way, for a straight-through estimator, a "
            "derivative by forward mode inside the loss, a gradient reversal and a custom "
            "backward.",
            wrong=name == "ω",
        )

    def _wrong(
        self,
        name: str,
        omega: Vector,
        alpha: Vector,
        gradient: Vector,
        along: Vector,
        share: float = SHARE,
    ) -> Agreement | None:
        """How far they differ at both steps, or None. The second meets fewer kinks."""
        scale = self._size(name, gradient)
        if scale == 0:  # no dependence, which `connections` has told, or a stationary point
            return None
        found = None
        for step in (1e-4, 1e-6):
            values = []
            for side in (step, -step, step / 2, -step / 2):
                moved = side * along
                at = (omega + moved, alpha) if name == "ω" else (omega, alpha + moved)
                values.append(self.problem.outer_value(*at).item())
            self.values += len(values)
            slope, eps = float(gradient.dot(along)), torch.finfo(omega.dtype).eps
            found = gradient_agreement(values, slope, scale, step, eps, share)
            if not found.wrong:
                return None
        return found

    def _near(self, name: str, omega: Vector, alpha: Vector) -> tuple[Vector, Vector]:
        """A point a thousandth of its size away, in ω or in α."""
        one = self.direction
        if name == "ω":
            small = tuple(1e-3 * size for size in one.sizes)
            return omega + gaussian(omega, self.generator, small, one.padding), alpha
        small = tuple(1e-3 * size for size in one.sizes_alpha)
        return omega, alpha + gaussian(alpha, self.generator, small)

    def _size(self, name: str, gradient: Vector) -> float:
        one = self.direction
        return sized_norm(gradient, one.sizes if name == "ω" else one.sizes_alpha)
