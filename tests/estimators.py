"""The table that every shared estimator test runs over: a new estimator is one new row."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from bilevel.derivatives import Derivatives
from bilevel.estimators import (
    Amended,
    Certified,
    ConjugateGradient,
    DartsSecondOrder,
    Estimator,
    Exact,
    FirstOrder,
    Identity,
    Landweber,
    Minres,
    Neumann,
    NotPositiveDefinite,
    Nystrom,
    Penalty,
    Unrolled,
)
from tests.dense import Dense
from tests.quadratics import roundoff

ETA = 0.3


@dataclass(frozen=True)
class Row:
    """One estimator, what it should be, and what it should cost.

    Attributes:
        make: the estimator for a coefficient (η or ξ, where it has one).
        oracle: (dense derivatives, coefficient) ↦ (direct term, implicit term), or None where
            the estimator is not defined and must refuse.
        outer_gradients: evaluations of L_val, whatever the derivatives.
        inner_gradients: n ↦ evaluations of L_train with central differences; None where the
            number depends on the problem.
        graphs: evaluations of L_train with autograd.
        power: L_train → c·L_train leaves the estimate as it is if the coefficient is divided by
            c to this power.
        refusal: what it raises where it is not defined, and words of the message.
        tolerance: relative error that its conditioning allows, in float64.
    """

    make: Callable[[float, Derivatives], Estimator]
    oracle: Callable[[Dense, float], tuple[Tensor, Tensor] | None]
    outer_gradients: int
    inner_gradients: Callable[[int], int] | None
    graphs: int
    power: int
    refusal: tuple[type[Exception], str] | None = None
    tolerance: Callable[[Dense], float] = lambda at: 1e-9


def _darts(at: Dense, xi: float) -> tuple[Tensor, Tensor]:
    ahead = at.ahead(xi)
    return ahead.direct, -xi * at.mixed @ ahead.outer_gradient


def _exact(at: Dense) -> tuple[Tensor, Tensor] | None:
    if torch.linalg.eigvalsh(at.hessian)[0] <= 0:
        return None
    return at.direct, at.exact()


def _beside(at: Dense, implicit: Tensor | None) -> tuple[Tensor, Tensor] | None:
    return None if implicit is None else (at.direct, implicit)


def _conditioned(at: Dense) -> float:
    return max(1e-9, roundoff(at.hessian))


def _on_krylov_space(at: Dense) -> float:
    """What a backward-stable solve with H restricted to the space of three vectors may lose."""
    basis = at.krylov_basis(3)
    return max(1e-9, 100 * roundoff(basis.T @ at.hessian.double() @ basis))


ESTIMATORS: dict[str, Row] = {
    "FirstOrder": Row(
        make=lambda eta, derivatives: FirstOrder(),
        oracle=lambda at, eta: (at.direct, 0 * at.direct),
        outer_gradients=1,
        inner_gradients=lambda n: 0,
        graphs=0,
        power=0,
    ),
    "Identity": Row(
        make=lambda eta, derivatives: Identity(eta, derivatives=derivatives),
        oracle=lambda at, eta: (at.direct, at.identity(eta)),
        outer_gradients=1,
        inner_gradients=lambda n: 2,
        graphs=1,
        power=1,
    ),
    "DartsSecondOrder": Row(
        make=lambda eta, derivatives: DartsSecondOrder(eta, derivatives=derivatives),
        oracle=_darts,
        outer_gradients=1,
        inner_gradients=lambda n: 3,
        graphs=2,
        power=1,
    ),
    "Amended": Row(
        make=lambda eta, derivatives: Amended(eta, derivatives=derivatives),
        oracle=lambda at, eta: (at.direct, at.amended(eta)),
        outer_gradients=1,
        inner_gradients=lambda n: 4,
        graphs=1,
        power=2,
    ),
    "Exact": Row(
        make=lambda eta, derivatives: Exact(derivatives=derivatives),
        oracle=lambda at, eta: _exact(at),
        outer_gradients=1,
        inner_gradients=lambda n: 2 * n + 2,
        graphs=1,
        power=0,
        refusal=(ValueError, "positive-definite"),
        tolerance=_conditioned,
    ),
    # Below, λ_max of the cases is at most 10 or so: steps are scaled to suit it. None of their
    # points but the quadratics' is an inner minimum, hence stationary=None.
    "Neumann": Row(
        make=lambda eta, derivatives: Neumann(
            3, eta / 10, derivatives=derivatives, stationary=None
        ),
        oracle=lambda at, eta: (at.direct, at.neumann(3, eta / 10)),
        outer_gradients=1,
        inner_gradients=lambda n: 2 * 3 + 2,
        graphs=1,
        power=1,
    ),
    "Landweber": Row(
        make=lambda eta, derivatives: Landweber(
            3, eta / 100, derivatives=derivatives, stationary=None
        ),
        oracle=lambda at, eta: (at.direct, at.landweber(3, eta / 100)),
        outer_gradients=1,
        inner_gradients=lambda n: 2 * 5 + 2,
        graphs=1,
        power=2,
    ),
    "ConjugateGradient": Row(
        make=lambda eta, derivatives: ConjugateGradient(
            3, tolerance=None, derivatives=derivatives, stationary=None, strict=True
        ),
        oracle=lambda at, eta: _beside(at, at.least_energy(3)),
        outer_gradients=1,
        inner_gradients=lambda n: 2 * 3 + 2,
        graphs=1,
        power=0,
        refusal=(NotPositiveDefinite, "not positive definite"),
        tolerance=_on_krylov_space,
    ),
    "Minres": Row(
        make=lambda eta, derivatives: Minres(
            3, tolerance=None, derivatives=derivatives, stationary=None
        ),
        oracle=lambda at, eta: (at.direct, at.least_residual(3)),
        outer_gradients=1,
        inner_gradients=lambda n: 2 * (3 + 1) + 2,
        graphs=1,
        power=0,
        tolerance=_on_krylov_space,
    ),
    "Nystrom": Row(
        make=lambda eta, derivatives: Nystrom(
            3, 1 / eta, 5, tolerance=None, derivatives=derivatives, stationary=None, strict=True
        ),
        oracle=lambda at, eta: _beside(at, at.nystrom(3, 1 / eta, 5)),
        outer_gradients=1,
        inner_gradients=lambda n: 2 * (3 + 1) + 2,
        graphs=1,
        power=1,
        refusal=(NotPositiveDefinite, "not positive definite"),
    ),
    "Unrolled": Row(
        make=lambda eta, derivatives: Unrolled(
            3, eta / 10, momentum=0.5, last=2, derivatives=derivatives
        ),
        oracle=lambda at, eta: at.unrolled(3, eta / 10, momentum=0.5, last=2),
        outer_gradients=1,
        inner_gradients=lambda n: 3 + (2 + 2) + 2,
        graphs=3 + 2,
        power=1,
    ),
    "Penalty": Row(
        make=lambda eta, derivatives: Penalty(100 * eta, 3, eta / 10),
        oracle=lambda at, eta: at.penalty(100 * eta, 3, eta / 10),
        outer_gradients=3 + 1,
        inner_gradients=lambda n: 2 * 3 + 2,
        graphs=2 * 3 + 2,
        power=1,
    ),
    "Certified": Row(
        make=lambda eta, derivatives: Certified(
            math.cos(1e-4),
            relative_error=1e-4,
            derivatives=derivatives,
            stationary=None,
            strict=True,
        ),
        oracle=lambda at, eta: (at.direct, at.exact()),
        outer_gradients=1,
        inner_gradients=None,
        graphs=1,
        power=0,
        tolerance=lambda at: 1e-4,
    ),
}
