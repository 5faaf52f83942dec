"""Whether ∇_α L_train is the derivative of the values of L_train, leaf by leaf where it is not."""

from __future__ import annotations

import math

import torch

from bilevel.diagnostics.agreement import Agreement, gaussian, gradient_agreement, sized_norm
from bilevel.diagnostics.check_report import Finding
from bilevel.problem import BilevelProblem
from bilevel.vector import Vector

STEPS = (1e-4, 1e-6)
"""Of the differences, relative to each leaf's size; the second meets fewer kinks."""
SHARE = 1e-6
"""Of ‖∇_α L_train‖ that an error may be: one coordinate of many is to be seen."""


class InnerAlphaGradient:
    """The comparison at one point, in float64.

    Attributes:
        values: the values of L_train that it took.
    """

    def __init__(
        self,
        problem: BilevelProblem,
        sizes: tuple[float, ...],
        generator: torch.Generator,
    ) -> None:
        """Take a problem in float64, the sizes of the leaves of α, and random numbers."""
        self.problem, self.sizes, self.generator = problem, sizes, generator
        self.values = 0

    def look(self, omega: Vector, alpha: Vector, gradient: Vector) -> list[Finding]:
        """Compare ⟨∇_α L_train, y⟩ along a random y with differences of values: four values.

        Where they differ they are compared at a smaller step, and then at a point beside this one:
        at the edge of a clamp, where α may well begin, there are two derivatives. Only then they
        are compared leaf by leaf.

        Args:
            gradient: ∇_α L_train at (ω, α).
        """
        if not math.isfinite(sized_norm(gradient, self.sizes)):
            return [Finding("L_train", "∇_α L_train is NaN or infinite at this point.")]
        try:
            if not self._wrong(omega, alpha, gradient):
                return []
            alpha = alpha + gaussian(alpha, self.generator, tuple(1e-3 * s for s in self.sizes))
            _, _, gradient = self.problem.inner_gradients(omega, alpha)
            found = self._wrong(omega, alpha, gradient)
            return [self._finding(omega, alpha, gradient, found)] if found else []
        except Exception as error:  # a loss may be defined on a part of the space alone
            first = str(error).partition("\n")[0]
            text = f"it has no value beside this α, so that ∇_α L_train was not compared: {first}"
            return [Finding("L_train", text, wrong=False)]

    def _wrong(
        self, omega: Vector, alpha: Vector, gradient: Vector, only: int | None = None
    ) -> Agreement | None:
        """How far they differ along a random direction, of one leaf or of all; None if they agree.

        Both steps have to say so.
        """
        y = gaussian(alpha, self.generator, self.sizes)
        if only is not None:
            leaves = zip(y.leaves, y.zeros_like().leaves, strict=True)
            chosen = [own if place == only else no for place, (own, no) in enumerate(leaves)]
            y = Vector(tuple(chosen), y.treespec)
        found = None
        for step in STEPS:
            values = [
                self.problem.inner_value(omega, alpha + side * y).item()
                for side in (step, -step, step / 2, -step / 2)
            ]
            self.values += len(values)
            found = gradient_agreement(
                values,
                float(gradient.dot(y)),
                sized_norm(gradient, self.sizes),
                step,
                torch.finfo(alpha.dtype).eps,
                share=SHARE,
            )
            if not found.wrong:
                return None
        return found

    def _finding(self, omega: Vector, alpha: Vector, gradient: Vector, found: Agreement) -> Finding:
        wrong = [
            name
            for place, name in enumerate(alpha.names())
            if alpha.leaves[place].numel() and self._wrong(omega, alpha, gradient, only=place)
        ]
        where = f", in {', '.join(wrong[:3])}{', ...' if len(wrong) > 3 else ''}" if wrong else ""
        return Finding(
            "L_train",
            f"∇_α L_train is not the derivative of its values{where}: they differ by "
            f"{found.relative:.2g} of its norm along a random direction. Hypergradients lack what "
            "α does there. Look for detach(), no_grad(), .data or .item() on the way from α to the "
            "loss, for a straight-through estimator, a gradient reversal and a custom backward.",
        )
