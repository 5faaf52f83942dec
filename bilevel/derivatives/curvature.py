"""The second derivatives of L_train at a point: H = ∇²_ωω L_train and B = ∇²_αω L_train."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import Protocol

from bilevel.linear import LinearOperator
from bilevel.problem import BilevelProblem
from bilevel.vector import Vector


@dataclass(frozen=True)
class Curvature:
    """The second derivatives of L_train at one point.

    Attributes:
        hessian: H: Ω → Ω, symmetric.
        mixed: B: Ω → A; row i of its matrix is ∂/∂αᵢ of ∇_ω L_train.
        gradient: ∇_ω L_train there, where it came for free.
        exact: whether the products are exact up to rounding; differences are not.
        checked: `bilevel.check` found nothing wrong with them.
    """

    hessian: LinearOperator
    mixed: LinearOperator
    gradient: Vector | None = None
    exact: bool = True
    checked: bool = False


class Derivatives(Protocol):
    """A way to take the curvature of an inner loss at a point."""

    @abstractmethod
    def __call__(self, problem: BilevelProblem, omega: Vector, alpha: Vector) -> Curvature: ...


@dataclass(frozen=True)
class Checked(Derivatives):
    """Derivatives that `bilevel.check` found nothing wrong with: `report.derivatives`."""

    taken: Derivatives

    def __repr__(self) -> str:
        return f"Checked({self.taken})"

    def __call__(self, problem: BilevelProblem, omega: Vector, alpha: Vector) -> Curvature:
        return replace(self.taken(problem, omega, alpha), checked=True)
