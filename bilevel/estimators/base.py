"""What every estimator takes and returns: (problem, ω, α) ↦ g₁ and an estimate of g₂."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from enum import Enum

import torch

from bilevel.derivatives import Autograd, Curvature, Derivatives
from bilevel.estimators.alerts import RandomLoss
from bilevel.estimators.certificate import Certificate
from bilevel.linear import LinearOperator
from bilevel.problem import BilevelProblem, NonFiniteError
from bilevel.randomness import REMEDY, Draws
from bilevel.reading import finite, read
from bilevel.vector import Tree, Vector


class Status(Enum):
    """How a solve of Hq = ∇_ω L_val ended."""

    CONVERGED = "the residual is below the tolerance asked for"
    TRUNCATED = "stopped after a set number of products; q is an approximation by design"
    NEGATIVE_CURVATURE = "a direction with vᵀHv ≤ 0 was met; H is not positive definite"
    DIVERGED = "the residual grew"
    UNCERTIFIED = "the products allowed were spent before the angle could be guaranteed"


@dataclass(frozen=True)
class Solve:
    """What stands in for q* = H⁻¹ ∇_ω L_val.

    Attributes:
        value: q, a vector of Ω.
        products: Hessian products spent.
        status: how the solve ended.
        residual: ‖v − Hq‖ / ‖v‖, where the method knows it. With damping too it is that of the
            undamped system.
        curvature: the smallest pᵀHp / pᵀp met; λ_min(H) is not above it.
        note: what the method chose or estimated by itself, in words.
        certificate: what is guaranteed about the angle to g₂, for `Certified`.
    """

    value: Vector
    products: int
    status: Status
    residual: float | None = None
    curvature: float | None = None
    note: str = ""
    certificate: Certificate | None = None


@dataclass(frozen=True)
class Hypergradient:
    """An estimate of dΦ/dα, its two terms apart. All three trees have the structure of α.

    Attributes:
        direct: g₁ = ∇_α L_val.
        implicit: the estimate of g₂ = −B H⁻¹ ∇_ω L_val.
        outer_loss: L_val where the slope was taken.
        solve: how q was found; None for estimators that are not −B q.
    """

    direct: Tree
    implicit: Tree
    outer_loss: float
    solve: Solve | None = None

    @property
    def total(self) -> Tree:
        """g₁ plus the estimate of g₂."""
        return (Vector.of(self.direct) + Vector.of(self.implicit)).tree()

    @property
    def certificate(self) -> Certificate | None:
        """What is guaranteed about `implicit`; None where nothing is."""
        return None if self.solve is None else self.solve.certificate


class Estimator(ABC):
    """A map (problem, ω, α) ↦ `Hypergradient`. It writes nothing: no `.grad`, no buffer."""

    def __call__(self, problem: BilevelProblem, omega: Tree, alpha: Tree) -> Hypergradient:
        """Estimate the hypergradient of `problem` at (ω, α), two pytrees of floating tensors.

        Warns `RandomLoss` where a loss draws from PyTorch's global generators.

        Raises:
            TypeError: a leaf is not a floating tensor, or a loss does not return one.
            ValueError: dtypes or devices differ, or a loss is not one finite number.
        """
        at, hyper = Vector.of(omega).detach(), Vector.of(alpha).detach()
        if (at.dtype, at.device) != (hyper.dtype, hyper.device):
            raise ValueError(
                f"ω is {at.dtype} on {at.device}, but α is {hyper.dtype} on {hyper.device}. "
                "Bring both to one dtype and device."
            )
        draws = Draws(at.device)
        result = self.estimate(problem, at, hyper)
        if draws.any():
            warnings.warn(
                f"{type(self).__name__}: a loss draws random numbers, and the terms of this "
                f"estimate may belong to different draws. {REMEDY}",
                RandomLoss,
                stacklevel=2,
            )
        for term in ("direct", "implicit"):
            size = read(Vector.of(getattr(result, term)).norm())
            if not finite(size):
                raise NonFiniteError(
                    f"{type(self).__name__}: the {term} term has norm {size} although both "
                    f"losses are finite (outer loss {result.outer_loss:.4g}). A square root, norm "
                    "or logarithm in a loss has no finite derivative at this point."
                )
        return result

    @abstractmethod
    def estimate(self, problem: BilevelProblem, omega: Vector, alpha: Vector) -> Hypergradient:
        """The same on vectors, without the checks."""

    def following(self, optimizer: torch.optim.Optimizer, omega: Tree) -> Estimator:
        """This estimator, knowing what it needs of the optimiser that moves ω: mostly nothing."""
        return self

    def redrawn(self, step: int) -> Estimator:
        """This estimator for a step of an alternation, with random draws of its own if it draws."""
        return self


@dataclass(frozen=True)
class ImplicitEstimator(Estimator):
    """An estimator of the form g₁ − B q; subclasses say how q is found.

    Args:
        derivatives: how H and B products are taken, `Autograd()` or `CentralDifference()`.
    """

    derivatives: Derivatives = field(default=Autograd(), kw_only=True)

    @abstractmethod
    def solve(self, hessian: LinearOperator, slope: Vector) -> Solve:
        """Find q, an approximation of H⁻¹ slope."""

    def solve_at(self, curvature: Curvature, slope: Vector) -> Solve:
        """`solve`, for methods that look at more of the curvature than H."""
        return self.solve(curvature.hessian, slope)

    def outer_point(self, problem: BilevelProblem, omega: Vector, alpha: Vector) -> Vector:
        """Where the gradients of L_val are taken: ω, unless a subclass looks elsewhere."""
        return omega

    def estimate(self, problem: BilevelProblem, omega: Vector, alpha: Vector) -> Hypergradient:
        point = self.outer_point(problem, omega, alpha)
        # first L_val, so that its graph is gone before the larger one of the curvature is built
        outer_loss, slope, direct = problem.outer_gradients(point, alpha)
        curvature = self.derivatives(problem, omega, alpha)
        solve = self.solve_at(curvature, slope)
        implicit = -(curvature.mixed @ solve.value)
        return Hypergradient(direct.tree(), implicit.tree(), outer_loss, solve)
