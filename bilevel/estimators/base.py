"""The base classes of estimators: (problem, ω, α) ↦ g₁ and an estimate of g₂."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from typing import ClassVar

import torch

from bilevel.derivatives import Autograd, Curvature, Derivatives
from bilevel.estimators.alerts import (
    ChangedGradient,
    Disconnected,
    HypergradientWarning,
    NeglectedDecay,
    RandomLoss,
    Stranger,
    levels_to_the_caller,
)
from bilevel.estimators.results import Hypergradient, Solve, Status
from bilevel.lost import refuse_lost
from bilevel.point import point_of
from bilevel.problem import BilevelProblem, NonFiniteError, finite_curvature
from bilevel.randomness import REMEDY, Draws
from bilevel.reading import finite, leaving, read
from bilevel.scope import passed
from bilevel.vector import Tree, Vector


class Estimator(ABC):
    """A map (problem, ω, α) ↦ `Hypergradient`. It writes nothing: no `.grad`, no buffer.

    Attributes:
        has_implicit_term: whether it estimates g₂ at all.
    """

    has_implicit_term: ClassVar[bool] = True

    @torch.inference_mode(False)
    def __call__(self, problem: BilevelProblem, omega: Tree, alpha: Tree) -> Hypergradient:
        """Estimate the hypergradient of `problem` at (ω, α), two pytrees of floating tensors.

        Where the estimate is zero in a leaf of α, one evaluation more finds out whether the
        losses use it at all.
        Warns `RandomLoss` where a loss draws from a global generator, `Stranger` where it uses
        trainable parameters that are neither in ω nor in α, and `ChangedGradient` where a hook
        changes a first derivative.

        Raises:
            TypeError: a leaf is not a floating tensor or in half precision, or a loss does not
                return a tensor.
            ValueError: dtypes or devices differ; a loss is not one finite number, or its
                curvature not finite; a loss writes to ω or α; no loss uses a leaf of α, or one
                takes it, or a leaf of ω, from the enclosing scope (`DisconnectedError`).
        """
        given = Vector.of(omega), Vector.of(alpha)
        at, hyper = point_of(*(point.tree() for point in given))
        draws = Draws(at.device)
        with passed(ω=given[0], α=given[1]) as scope:
            result = self.estimate(problem, at, hyper)
        if scope.strangers:
            found = list(scope.strangers.values())
            self.warn(
                Stranger,
                "trainable parameters take part that are neither in ω nor in α "
                f"({len(found)}, such as one {found[0]}). They are constants here. Put them "
                "into ω if they are to be trained, and say requires_grad_(False) if not.",
            )
        if scope.hooked:
            self.warn(
                ChangedGradient,
                "a hook in a loss changes a gradient (register_hook, register_full_backward_hook). "
                "This estimate is that of the loss only if the hook makes the gradient right, as "
                "in an implicit layer: bilevel.check compares. One that clips or scales makes it "
                "wrong: give `clip` to solve or alternating_step, or weigh a term of the loss.",
            )
        if draws.any():
            self.warn(
                RandomLoss,
                "a loss draws random numbers, and the terms of this estimate may belong to "
                f"different draws. {REMEDY}",
            )
        direct, implicit = self._norms(result, "direct"), self._norms(result, "implicit")
        if not leaving():  # on the device: what follows decides by numbers
            self._look_at_zeros(problem, at, hyper, direct.tolist(), implicit.tolist())
        return result

    @abstractmethod
    def estimate(self, problem: BilevelProblem, omega: Vector, alpha: Vector) -> Hypergradient:
        """The same on vectors, without the checks."""

    def following(
        self, optimizer: torch.optim.Optimizer, omega: Tree, *, clip: float | None = None
    ) -> Estimator:
        """The estimator to use before a step of ω in an alternation; most return themselves.

        Args:
            optimizer: the optimiser of ω, which steps next.
            omega: pytree of the tensors that the optimiser moves.
            clip: largest norm of the gradient that it steps with; None: no limit.
        """
        return self

    def uses(self, omega: Vector, alpha: Vector) -> frozenset[int]:
        """The places of leaves of α that the estimator itself computes with; most use none."""
        return frozenset()

    def warn(self, kind: type[HypergradientWarning], message: str) -> None:
        """Warn, with this estimator's name, at the line that called into this package."""
        message = f"{type(self).__name__}: {message}"
        warnings.warn(message, kind, stacklevel=levels_to_the_caller())

    def _norms(self, result: Hypergradient, term: str) -> torch.Tensor:
        """The norm of each leaf of a term, refused where one is not finite."""
        norms = torch.stack(list(torch._foreach_norm(Vector.of(getattr(result, term)).leaves)))
        size = read(torch.linalg.vector_norm(norms))
        if not finite(size):
            raise NonFiniteError(
                f"{type(self).__name__}: the {term} term has norm {size} although both "
                f"losses are finite (outer loss {result.outer_loss:.4g}). A square root, norm "
                "or logarithm in a loss has no finite derivative at this point."
            )
        return norms

    def _look_at_zeros(
        self,
        problem: BilevelProblem,
        omega: Vector,
        alpha: Vector,
        direct: list[float],
        implicit: list[float],
    ) -> None:
        """Refuse leaves of α that no loss uses, and say where L_val does not use ω."""
        zero = [
            place
            for place, both in enumerate(zip(direct, implicit, strict=True))
            if not any(both) and alpha.leaves[place].numel() > 0
        ]
        # a leaf that L_val does not use is all that a first-order estimate can see of it
        if zero and (self.has_implicit_term or len(zero) == len(alpha.leaves)):
            used = self.uses(omega, alpha)
            if unused := [place for place in zero if place not in used]:
                problem.refuse_unused(omega, alpha, unused)
        looked = self.has_implicit_term and not any(implicit)
        if looked and not problem.outer_uses_omega(omega, alpha):
            self.warn(
                Disconnected,
                "the outer loss does not depend on ω at all, so that g₂ is 0 and nothing is "
                "differentiated through. If it should, compute it from the ω that is passed in, "
                "without detach() or no_grad().",
            )


@dataclass(frozen=True)
class ImplicitEstimator(Estimator):
    """An estimator of the form g₁ − B q. A subclass has one method to write, `solve`.

    Args:
        derivatives: the way H and B products are taken, `Autograd()` or `CentralDifference()`.
    """

    derivatives: Derivatives = field(default=Autograd(), kw_only=True)

    @abstractmethod
    def solve(self, curvature: Curvature, outer_gradient: Vector) -> Solve:
        """Find q, an approximation of H⁻¹ ∇_ω L_val.

        Args:
            curvature: H is `curvature.hessian`, and B `curvature.mixed`.
            outer_gradient: ∇_ω L_val.
        """

    def checked_solve(self, curvature: Curvature, outer_gradient: Vector) -> Solve:
        """`solve`, after the checks that a family of estimators shares."""
        return self.solve(curvature, outer_gradient)

    def estimate(self, problem: BilevelProblem, omega: Vector, alpha: Vector) -> Hypergradient:
        # first L_val, so that its graph is gone before the larger one of the curvature is built
        outer_loss, outer_gradient, direct = problem.outer_gradients(omega, alpha)
        curvature = self.derivatives(problem, omega, alpha)
        found = self.checked_solve(curvature, outer_gradient)
        return with_q(found, curvature, outer_gradient, direct, outer_loss)

    def following(
        self, optimizer: torch.optim.Optimizer, omega: Tree, *, clip: float | None = None
    ) -> Estimator:
        """This estimator itself. Warns `NeglectedDecay`."""
        rates = [float(group.get("weight_decay", 0)) for group in optimizer.param_groups]
        if any(rates):
            self.warn(
                NeglectedDecay,
                f"the inner optimiser's weight decay of {max(rates, key=abs):.3g} is no part of "
                "L_train, so that H and the minimum that this estimate is about lack it. Set "
                "weight_decay=0 there and add ½λ‖ω‖² to the inner loss: SGD takes the same steps.",
            )
        return self


def with_q(
    solve: Solve, curvature: Curvature, outer_gradient: Vector, direct: Vector, outer_loss: float
) -> Hypergradient:
    """g₁ − Bq, with a note where the second term is 0.

    Raises:
        NonFiniteError: the residual is not finite, or ∇_ω L_val or q is lost to rounding.
    """
    if solve.residual is not None:
        finite_curvature(solve.residual)
    implicit = -(curvature.mixed @ solve.value)
    if not leaving() and float(implicit.norm()) == 0:
        solve = _explained(solve, outer_gradient)
    return Hypergradient(direct.tree(), implicit.tree(), outer_loss, solve)


def _explained(solve: Solve, outer_gradient: Vector) -> Solve:
    """The solve of an implicit term that is 0, with a note on why."""
    length, found = float(outer_gradient.norm()), float(solve.value.norm())
    if length == 0 and any(bool(leaf.any()) for leaf in outer_gradient.leaves):
        raise NonFiniteError(
            f"∇_ω L_val has entries that are not 0, and so small that their squares are, in "
            f"{outer_gradient.dtype}: g₂ is lost. Multiply the outer loss by a large number."
        )
    if length == 0:
        why = "∇_ω L_val is 0 at this point: g₂ is 0"
    elif found == 0:
        if solve.status is Status.CONVERGED and solve.certificate is None:
            refuse_lost(found, "the solution q of Hq = ∇_ω L_val", outer_gradient.dtype)
        why = "no curvature was met along ∇_ω L_val: q is 0, and g₂ is not known"
    else:
        why = "L_train has no mixed derivative along q here: Bq is 0"
    return replace(solve, note="; ".join(filter(None, (solve.note, why))))
