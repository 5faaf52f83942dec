"""Whether two evaluations of a loss at one point give equal bits."""

from __future__ import annotations

from bilevel.diagnostics.check_report import Finding
from bilevel.problem import BilevelProblem
from bilevel.randomness import REMEDY, Draws
from bilevel.vector import Vector

Taken = tuple[float, Vector, Vector]
"""A loss's value, and its gradients in ω and α."""


def unsteady(
    problem: BilevelProblem, omega: Vector, alpha: Vector, *, times: int = 2
) -> tuple[list[Finding], bool]:
    """The losses that differ from one evaluation to the next. Two gradients of each, or `times`.

    Returns:
        The findings, and whether a global generator moved, which `replaying` can mend.
    """
    findings: list[Finding] = []
    drawn = False
    for name, gradients in (
        ("L_train", problem.inner_gradients),
        ("L_val", problem.outer_gradients_as_they_are),
    ):
        draws = Draws(omega.device)
        first, gap = gradients(omega, alpha), None
        for _ in range(times - 1):
            gap = gap or _gap(first, gradients(omega, alpha))
        if draws.any():  # few masks can coincide, so that no gap is no proof
            drawn = True
            findings.append(
                Finding(
                    name,
                    f"it draws random numbers; two evaluations differ by {gap or 'nothing'}, "
                    f"others will. {REMEDY}",
                )
            )
        elif gap is not None:
            findings.append(
                Finding(
                    name,
                    f"two evaluations at one point differ by {gap}, and not by global "
                    "generators: something changes between them. Look for a batch that is drawn "
                    "inside the loss, a generator of its own, a buffer that is written (batch "
                    "norm's statistics, a counter) or kernels that add in no fixed order "
                    "(torch.use_deterministic_algorithms(True) names them).",
                )
            )
    return findings, drawn


def _gap(first: Taken, second: Taken) -> str | None:
    """By how much two evaluations differ, in words; None if by not one bit."""
    if first[0] != second[0]:
        return f"{abs(first[0] - second[0]):.3g} (of {first[0]:.4g})"
    gap = max(float((first[1] - second[1]).norm()), float((first[2] - second[2]).norm()))
    return f"{gap:.3g} in the norm of the gradient" if gap > 0 else None
