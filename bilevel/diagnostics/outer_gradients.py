"""Whether ∇_ω L_val and ∇_α L_val are the derivatives of the values of L_val."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from bilevel.diagnostics.agreement import Direction, gaussian, gradient_agreement
from bilevel.diagnostics.check_report import Finding
from bilevel.problem import BilevelProblem
from bilevel.vector import Vector


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

    A gradient in α that is not right is a note: g₁ is often 0 by design, H and B are not.
    """
    findings: list[Finding] = []
    _, in_omega, direct = problem.outer_gradients_as_they_are(omega, alpha)
    along_alpha = gaussian(alpha, generator, direction.sizes_alpha)
    double = omega.dtype == torch.float64
    eps = torch.finfo(omega.dtype).eps
    no_y, no_v = alpha.zeros_like(), omega.zeros_like()
    values = 0
    for name, v, y, own, sizes in (
        ("ω", direction.v, no_y, in_omega, direction.sizes),
        ("α", no_v, along_alpha, direct, direction.sizes_alpha),
    ):
        scale = math.hypot(
            *(
                size * float(torch.linalg.vector_norm(leaf))
                for size, leaf in zip(sizes, own.leaves, strict=True)
            )
        )
        if not math.isfinite(scale):
            findings.append(Finding("L_val", f"∇_{name} L_val is NaN or infinite at this point."))
            continue
        if scale == 0:  # no dependence, which `connections` has told, or a stationary point
            continue
        along = float(own.dot(v if name == "ω" else y))

        def off(step: float, v: Vector = v, y: Vector = y) -> list[float]:
            return [
                problem.outer_value(omega + side * v, alpha + side * y).item()
                for side in (step, -step, step / 2, -step / 2)
            ]

        found = gradient_agreement(off(1e-4), along, scale, 1e-4, eps)
        values += 4
        if found.wrong:
            found = gradient_agreement(off(1e-6), along, scale, 1e-6, eps)  # with fewer kinks
            values += 4
        if found.wrong and double:
            findings.append(
                Finding(
                    "L_val",
                    f"∇_{name} L_val is not the derivative of its values: they differ by "
                    f"{found.relative:.2g} of its norm along a random direction. Look for "
                    "detach(), no_grad(), .data or .item() on the way, for a straight-through "
                    "estimator, a derivative by forward mode inside the loss and a custom "
                    "backward.",
                    wrong=name == "ω",
                )
            )
    return OuterGradients(findings, values)
