"""Estimators that keep one property of the amended term, and take the others away."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import Self

import torch

from benchmarks.experiments.around import Around
from bilevel import BilevelProblem, Vector
from bilevel.estimators import Estimator, Hypergradient
from bilevel.vector import Tree


@dataclass(frozen=True)
class Control(Around):
    """g₁ as it is, and another vector in place of the inner estimator's term.

    None of them estimates g₂: each keeps one property of the inner estimator's term and takes
    the others away. Costs what the inner estimator does, unless it says otherwise.

    Args:
        inner: whose term is replaced.
    """

    def estimate(self, problem: BilevelProblem, omega: Vector, alpha: Vector) -> Hypergradient:
        found = self.inner(problem, omega.tree(), alpha.tree())
        term = self.in_place_of(Vector.of(found.implicit), problem, omega, alpha)
        return replace(found, implicit=term.tree(), solve=None)

    @abstractmethod
    def in_place_of(
        self, term: Vector, problem: BilevelProblem, omega: Vector, alpha: Vector
    ) -> Vector:
        """What stands for the inner estimator's term."""


@dataclass(frozen=True)
class Flipped(Control):
    """The term with its sign changed: the same size, the opposite direction."""

    def in_place_of(
        self, term: Vector, problem: BilevelProblem, omega: Vector, alpha: Vector
    ) -> Vector:
        return -term


@dataclass(frozen=True)
class RandomDirection(Control):
    """A direction drawn uniformly, at the term's norm, among those that move mixing weights.

    Adding a number to all of an edge's α moves no mixing weight, and neither g₁ nor the term has
    such a part. So the draw has none either; else a part of its norm would do nothing.

    The draw is seeded by the bits of the term, so that a resumed search draws the same.
    """

    def in_place_of(
        self, term: Vector, problem: BilevelProblem, omega: Vector, alpha: Vector
    ) -> Vector:
        draw = drawing_by(term)
        leaves = tuple(
            torch.randn(leaf.shape, generator=draw, dtype=leaf.dtype).to(leaf.device)
            for leaf in term.leaves
        )
        return at_norm(without_mean(Vector(leaves, term.treespec)), float(term.norm()))


@dataclass(frozen=True)
class TowardsZero(Control):
    """α less its mean over each edge, at the term's norm: it evens the mixing weights.

    That is the gradient of an L2 penalty in the directions that move mixing weights.
    """

    def in_place_of(
        self, term: Vector, problem: BilevelProblem, omega: Vector, alpha: Vector
    ) -> Vector:
        return at_norm(without_mean(alpha), float(term.norm()))


@dataclass(frozen=True)
class RandomSign(Control):
    """±term, with a fair sign drawn at each step: noise with the term's second moments.

    Given the term t, the noise ε has mean 0 and covariance t tᵀ. Averaged over steps, its
    covariance is the whole matrix E[t tᵀ]: the term's covariance plus the outer product of its
    mean with itself. No matrix is stored, and the norm is the term's at each step. What is lost is
    the direction of t along its line, and with it any correlation with g₁.

    The draw is seeded by the bits of the term, so that a resumed search draws the same.
    """

    def in_place_of(
        self, term: Vector, problem: BilevelProblem, omega: Vector, alpha: Vector
    ) -> Vector:
        heads = bool(torch.randint(2, (), generator=drawing_by(term)))
        return term if heads else -term


@dataclass(frozen=True)
class TowardsLessCurvature(Control):
    """∇_α c at the term's norm: the gradient of a penalty on the curvature c of L_train along v.

    c(α) = (L_train(ω + hv, α) − 2 L_train(ω, α) + L_train(ω − hv, α)) / h², with
    v = ∇_ω L_val / ‖∇_ω L_val‖ held fixed: the slope that the amended term multiplies by
    H = ∇²_ωω L_train. c is the weighted mean ∫ (1 − |s|) vᵀ H(ω + shv) v ds over s from −1 to 1,
    with the kinks that lie there, and tends to vᵀHv as h → 0. Added to g₁, ∇_α c makes α descend
    on it.

    h stays finite because of kinks: with ReLU, ∇_α L_train jumps between points close by, and
    divided by a small h² these jumps would be all of ∇_α c. (The third derivative of the smooth
    pieces, which leaves kinks out, is no way either: batch norm has none in reverse mode.)

    Costs the inner estimator, one gradient of L_val more, and three gradients of L_train in α.

    Args:
        h: how far to go to either side, in units of ω.
    """

    h: float = 0.3

    def in_place_of(
        self, term: Vector, problem: BilevelProblem, omega: Vector, alpha: Vector
    ) -> Vector:
        step = at_norm(problem.outer_gradients(omega, alpha)[1], self.h)
        ahead, here, behind = (
            problem.inner_gradient_alpha(at, alpha) for at in (omega + step, omega, omega - step)
        )
        return at_norm((ahead - here) + (behind - here), float(term.norm()))


@dataclass(frozen=True)
class AtNormOf(Control):
    """The term's direction at the norm of another estimator's term; costs both estimators.

    Args:
        other: whose term's norm is taken.
    """

    other: Estimator

    def in_place_of(
        self, term: Vector, problem: BilevelProblem, omega: Vector, alpha: Vector
    ) -> Vector:
        found = self.other(problem, omega.tree(), alpha.tree())
        return at_norm(term, float(Vector.of(found.implicit).norm()))

    def following(
        self, optimizer: torch.optim.Optimizer, omega: Tree, *, clip: float | None = None
    ) -> Self:
        followed = super().following(optimizer, omega, clip=clip)
        return replace(followed, other=self.other.following(optimizer, omega, clip=clip))


def at_norm(direction: Vector, norm: float) -> Vector:
    """The direction at a norm; zero where there is no direction."""
    length = float(direction.norm())
    return direction.zeros_like() if length == 0 else (norm / length) * direction


def without_mean(direction: Vector) -> Vector:
    """The part in which an edge's numbers, a row of a leaf [edges operations], sum to 0."""
    leaves = tuple(leaf - leaf.mean(-1, keepdim=True) for leaf in direction.leaves)
    return Vector(leaves, direction.treespec)


def drawing_by(term: Vector) -> torch.Generator:
    """A generator on the CPU that the bits of the term seed."""
    flat = term.flat().cpu()
    seed = int.from_bytes(hashlib.sha256(flat.numpy().tobytes()).digest()[:8], "big") >> 1
    return torch.Generator().manual_seed(seed)
