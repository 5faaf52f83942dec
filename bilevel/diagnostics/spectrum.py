"""The point of an estimate: the ends of H's spectrum, and how far ω is from stationary."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from scipy.sparse.linalg import eigsh

from bilevel.derivatives import Autograd, Derivatives
from bilevel.point import point_of
from bilevel.problem import BilevelProblem, finite_curvature
from bilevel.vector import Tree


@dataclass(frozen=True)
class SpectrumEnds:
    """The smallest and largest eigenvalue of the inner Hessian.

    Attributes:
        lowest: λ_min.
        highest: λ_max.
    """

    lowest: float
    highest: float

    @property
    def positive_definite(self) -> bool:
        """Whether ω is an isolated inner minimum, if it is stationary."""
        return self.lowest > 0

    @property
    def condition(self) -> float:
        """κ = λ_max/λ_min of a positive definite H; infinite for any other."""
        return self.highest / self.lowest if self.lowest > 0 else float("inf")


@torch.inference_mode(False)
def spectrum_ends(
    problem: BilevelProblem,
    omega: Tree,
    alpha: Tree,
    *,
    derivatives: Derivatives | None = None,
    tolerance: float = 1e-6,
) -> SpectrumEnds:
    """λ_min and λ_max of H by implicitly restarted Lanczos (ARPACK), or dense up to n = 20.

    Takes tens to thousands of products: a diagnostic, not part of a step. Small λ_min beside a
    large λ_max is the slow case.

    Args:
        derivatives: how H products are taken; `Autograd()` by default.
        tolerance: relative accuracy of the eigenvalues.

    Raises:
        scipy.sparse.linalg.ArpackNoConvergence: an end was not reached.
    """
    at, hyper = point_of(omega, alpha)
    hessian = (derivatives or Autograd())(problem, at, hyper).hessian
    if at.numel <= 20:
        dense = hessian.dense().double()
        finite_curvature(float(dense.abs().sum()))
        values = torch.linalg.eigvalsh((dense + dense.T) / 2)
        return SpectrumEnds(float(values[0]), float(values[-1]))
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(at.numel, generator=generator, device=generator.device).double()
    image = hessian @ at.like(drawn.to(at.leaves[0]))
    if finite_curvature(float(image.norm())) == 0:
        return SpectrumEnds(0.0, 0.0)  # ARPACK knows no zero operator
    operator, start = hessian.to_scipy(), drawn.numpy()
    ends = (
        eigsh(operator, 1, which=which, v0=start, tol=tolerance, return_eigenvectors=False)
        for which in ("SA", "LA")
    )
    lowest, highest = (float(end[0]) for end in ends)
    return SpectrumEnds(lowest, highest)


@dataclass(frozen=True)
class Stationarity:
    """How large ∇_ω L_train is beside ∇_ω L_val. g₂ is exact where it is zero.

    Attributes:
        inner_gradient_norm: ‖∇_ω L_train‖.
        outer_gradient_norm: ‖∇_ω L_val‖.
    """

    inner_gradient_norm: float
    outer_gradient_norm: float

    @property
    def ratio(self) -> float:
        """The number that estimators compare with their `stationary`."""
        if self.outer_gradient_norm == 0:
            return 0.0 if self.inner_gradient_norm == 0 else float("inf")
        return self.inner_gradient_norm / self.outer_gradient_norm


@torch.inference_mode(False)
def stationarity(problem: BilevelProblem, omega: Tree, alpha: Tree) -> Stationarity:
    """Both gradients' norms at (ω, α): two gradient evaluations."""
    at, hyper = point_of(omega, alpha)
    _, gradient = problem.inner_gradient(at, hyper)
    _, outer_gradient, _ = problem.outer_gradients(at, hyper)
    return Stationarity(float(gradient.norm()), float(outer_gradient.norm()))
