"""Estimators that change one thing about the amended term: its sign, its size or its direction."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from dataclasses import dataclass, replace

import torch

from bilevel import BilevelProblem, Vector
from bilevel.estimators import Estimator, Hypergradient
from bilevel.vector import Tree


@dataclass(frozen=True)
class Control(Estimator):
    """g₁ as it is, and another vector in place of the inner estimator's term.

    None of them estimates g₂: each keeps one property of the inner estimator's term and takes
    the others away. Costs what the inner estimator does, unless it says otherwise.

    Args:
        inner: whose term is replaced.
    """

    inner: Estimator

    def estimate(self, problem: BilevelProblem, omega: Vector, alpha: Vector) -> Hypergradient:
        found = self.inner(problem, omega.tree(), alpha.tree())
        term = self.in_place_of(Vector.of(found.implicit), problem, omega, alpha)
        return replace(found, implicit=term.tree(), solve=None)

    def following(
        self, optimizer: torch.optim.Optimizer, omega: Tree, *, clip: float | None = None
    ) -> Control:
        return replace(self, inner=self.inner.following(optimizer, omega, clip=clip))

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
    """A direction drawn uniformly in the space of α, at the term's norm.

    The draw is seeded by the bits of the term, so that a resumed search draws the same.
    """

    def in_place_of(
        self, term: Vector, problem: BilevelProblem, omega: Vector, alpha: Vector
    ) -> Vector:
        flat = term.flat().cpu()
        seed = int.from_bytes(hashlib.sha256(flat.numpy().tobytes()).digest()[:8], "big") >> 1
        draw = torch.Generator().manual_seed(seed)
        leaves = tuple(
            torch.randn(leaf.shape, generator=draw, dtype=leaf.dtype).to(leaf.device)
            for leaf in term.leaves
        )
        return at_norm(Vector(leaves, term.treespec), float(term.norm()))


@dataclass(frozen=True)
class TowardsZero(Control):
    """α itself at the term's norm, the gradient of an L2 penalty: it evens the mixing weights."""

    def in_place_of(
        self, term: Vector, problem: BilevelProblem, omega: Vector, alpha: Vector
    ) -> Vector:
        return at_norm(alpha, float(term.norm()))


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
    ) -> AtNormOf:
        return replace(
            self,
            inner=self.inner.following(optimizer, omega, clip=clip),
            other=self.other.following(optimizer, omega, clip=clip),
        )


def at_norm(direction: Vector, norm: float) -> Vector:
    """The direction at a norm; zero where there is no direction."""
    length = float(direction.norm())
    return direction.zeros_like() if length == 0 else (norm / length) * direction
