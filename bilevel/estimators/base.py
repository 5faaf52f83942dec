"""What every estimator takes and returns: (problem, ω, α) ↦ g₁ and an estimate of g₂."""

from __future__ import annotations

import math
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import ClassVar

import torch

from bilevel.derivatives import Autograd, Curvature, Derivatives
from bilevel.estimators.alerts import (
    Disconnected,
    NeglectedDecay,
    RandomLoss,
    Stranger,
    levels_to_the_caller,
)
from bilevel.estimators.certificate import Certificate
from bilevel.linear import LinearOperator
from bilevel.point import point_of
from bilevel.problem import BilevelProblem, NonFiniteError, finite_curvature
from bilevel.randomness import REMEDY, Draws
from bilevel.reading import finite, leaving, read
from bilevel.scope import passed
from bilevel.shown import html_table, short
from bilevel.vector import Tree, Vector


class Status(Enum):
    """How a solve of Hq = ∇_ω L_val ended."""

    CONVERGED = "the residual is below the tolerance asked for"
    TRUNCATED = "stopped after a set number of products; q is an approximation by design"
    NEGATIVE_CURVATURE = "a direction with vᵀHv ≤ 0 was met; H is not positive definite"
    DIVERGED = "the residual grew"
    UNCERTIFIED = "the products allowed were spent before the angle could be guaranteed"


@dataclass(frozen=True, repr=False)
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

    def __repr__(self) -> str:
        return f"Solve({', '.join(f'{name} {text}' for name, text in self._shown())})"

    def _repr_html_(self) -> str:
        return html_table("q in place of H⁻¹ ∇_ω L_val", ("", ""), self._shown())

    def _shown(self) -> list[tuple[str, str]]:
        rows = [
            ("status", self.status.name),
            ("products", f"{self.products}"),
            ("relative residual", short(self.residual)),
            ("smallest curvature met", short(self.curvature)),
            ("note", self.note),
            ("angle certified", "" if self.certificate is None else self.certificate.in_short),
        ]
        return [row for row in rows if row[1]]


@dataclass(frozen=True, repr=False)
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

    def __repr__(self) -> str:
        shown = ", ".join(f"{name} {text}" for name, text in self._shown())
        return f"Hypergradient({shown}{'' if self.solve is None else f', {self.solve!r}'})"

    def _repr_html_(self) -> str:
        rows = self._shown() + ([] if self.solve is None else self.solve._shown())
        return html_table("Hypergradient of L_val in α", ("", ""), rows)

    def _shown(self) -> list[tuple[str, str]]:
        direct, implicit = Vector.of(self.direct), Vector.of(self.implicit)
        lengths = [float(term.norm()) for term in (direct, implicit)]
        rows = [
            ("numbers", f"{direct.numel}"),
            ("‖g₁‖", short(lengths[0])),
            ("‖g₂ estimated‖", short(lengths[1])),
            ("‖sum‖", short(float((direct + implicit).norm()))),
        ]
        if all(0 < length < float("inf") for length in lengths):
            cosine = float(direct.dot(implicit)) / lengths[0] / lengths[1]
            between = math.degrees(math.acos(max(-1.0, min(1.0, cosine))))
            rows.append(("angle between them", f"{between:.3g}°"))
        return [*rows, ("L_val", short(self.outer_loss))]


class Estimator(ABC):
    """A map (problem, ω, α) ↦ `Hypergradient`. It writes nothing: no `.grad`, no buffer.

    Attributes:
        has_implicit_term: whether it looks at g₂ at all.
    """

    has_implicit_term: ClassVar[bool] = True

    @torch.inference_mode(False)
    def __call__(self, problem: BilevelProblem, omega: Tree, alpha: Tree) -> Hypergradient:
        """Estimate the hypergradient of `problem` at (ω, α), two pytrees of floating tensors.

        Where the estimate is zero in a leaf of α, one evaluation more finds out whether the
        losses use it at all.
        Warns `RandomLoss` where a loss draws from a global generator, and `Stranger` where it uses
        trainable parameters that are neither in ω nor in α.

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
            warnings.warn(
                f"{type(self).__name__}: trainable parameters take part that are neither in ω nor "
                f"in α ({len(found)}, such as one {found[0]}). They are constants here. Put them "
                "into ω if they are to be trained, and say requires_grad_(False) if not.",
                Stranger,
                stacklevel=levels_to_the_caller(),
            )
        if draws.any():
            warnings.warn(
                f"{type(self).__name__}: a loss draws random numbers, and the terms of this "
                f"estimate may belong to different draws. {REMEDY}",
                RandomLoss,
                stacklevel=levels_to_the_caller(),
            )
        lengths = {}
        for term in ("direct", "implicit"):
            norms = torch._foreach_norm(Vector.of(getattr(result, term)).leaves)
            lengths[term] = torch.stack(list(norms))
            size = read(torch.linalg.vector_norm(lengths[term]))
            if not finite(size):
                raise NonFiniteError(
                    f"{type(self).__name__}: the {term} term has norm {size} although both "
                    f"losses are finite (outer loss {result.outer_loss:.4g}). A square root, norm "
                    "or logarithm in a loss has no finite derivative at this point."
                )
        if leaving():  # on the device: what follows decides by numbers
            return result
        sizes = {term: length.tolist() for term, length in lengths.items()}
        zero = [
            place
            for place, norms in enumerate(zip(*sizes.values(), strict=True))
            if not any(norms) and hyper.leaves[place].numel() > 0
        ]
        # a leaf that L_val does not use is all that a first-order estimate can see of it
        if zero and (self.has_implicit_term or len(zero) == len(hyper.leaves)):
            problem.refuse_unused(at, hyper, zero)
        looked = self.has_implicit_term and not any(sizes["implicit"])
        if looked and not problem.outer_uses_omega(at, hyper):
            warnings.warn(
                f"{type(self).__name__}: the outer loss does not depend on ω at all, so that g₂ "
                "is 0 and nothing is differentiated through. If it should, compute it from the ω "
                "that is passed in, without detach() or no_grad().",
                Disconnected,
                stacklevel=levels_to_the_caller(),
            )
        return result

    @abstractmethod
    def estimate(self, problem: BilevelProblem, omega: Vector, alpha: Vector) -> Hypergradient:
        """The same on vectors, without the checks."""

    def following(
        self, optimizer: torch.optim.Optimizer, omega: Tree, *, clip: float | None = None
    ) -> Estimator:
        """This estimator, knowing what it needs of the step that moves ω next: mostly nothing.

        Args:
            optimizer: of ω.
            omega: tree of the tensors that it moves.
            clip: largest norm of the gradient that it steps with; None: any.
        """
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

    def following(
        self, optimizer: torch.optim.Optimizer, omega: Tree, *, clip: float | None = None
    ) -> Estimator:
        """This estimator, which follows no step. Warns `NeglectedDecay`."""
        rates = [float(group.get("weight_decay", 0)) for group in optimizer.param_groups]
        if any(rates):
            warnings.warn(
                f"{type(self).__name__}: the inner optimiser's weight decay of "
                f"{max(rates, key=abs):.3g} is no part of L_train, so that H and the minimum that "
                "this estimate is about lack it. Set weight_decay=0 there and add ½λ‖ω‖² to "
                "the inner loss: SGD takes the same steps.",
                NeglectedDecay,
                stacklevel=levels_to_the_caller(),
            )
        return self

    @abstractmethod
    def solve(self, hessian: LinearOperator, slope: Vector) -> Solve:
        """Find q, an approximation of H⁻¹ slope."""

    def solve_at(self, curvature: Curvature, slope: Vector) -> Solve:
        """`solve`, for methods that look at more of the curvature than H."""
        return self.solve(curvature.hessian, slope)

    def estimate(self, problem: BilevelProblem, omega: Vector, alpha: Vector) -> Hypergradient:
        return self.estimate_at(problem, omega, alpha, outer_point=omega, solve=self.solve_at)

    def estimate_at(
        self,
        problem: BilevelProblem,
        omega: Vector,
        alpha: Vector,
        *,
        outer_point: Vector,
        solve: Callable[[Curvature, Vector], Solve],
    ) -> Hypergradient:
        """g₁ − Bq, with the gradients of L_val taken at `outer_point` and q from `solve`."""
        # first L_val, so that its graph is gone before the larger one of the curvature is built
        outer_loss, slope, direct = problem.outer_gradients(outer_point, alpha)
        curvature = self.derivatives(problem, omega, alpha)
        found = solve(curvature, slope)
        if found.residual is not None:
            finite_curvature(found.residual)
        implicit = -(curvature.mixed @ found.value)
        if not leaving() and float(implicit.norm()) == 0:
            found = _explained(found, slope)
        return Hypergradient(direct.tree(), implicit.tree(), outer_loss, found)


def _explained(solve: Solve, slope: Vector) -> Solve:
    """The solve of an implicit term that is 0, with a note on why."""
    length, found = float(slope.norm()), float(solve.value.norm())
    if length == 0 and any(bool(leaf.any()) for leaf in slope.leaves):
        raise NonFiniteError(
            f"∇_ω L_val has entries that are not 0, and so small that their squares are, in "
            f"{slope.dtype}: g₂ is lost. Multiply the outer loss by a large number."
        )
    if length == 0:
        why = "∇_ω L_val is 0 at this point: g₂ is 0"
    elif found == 0:
        why = "no curvature was met along ∇_ω L_val: q is 0, and g₂ is not known"
    else:
        why = "L_train has no mixed derivative along q here: Bq is 0"
    return replace(solve, note="; ".join(filter(None, (solve.note, why))))
