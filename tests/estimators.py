"""The table that every shared estimator test runs over: a new estimator is one new row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from bilevel.derivatives import Derivatives
from bilevel.estimators import Amended, DartsSecondOrder, Estimator, Exact, FirstOrder, Identity
from tests.dense import Dense

ETA = 0.3


@dataclass(frozen=True)
class Row:
    """One estimator, what it should be, and what it should cost.

    Attributes:
        make: the estimator for a coefficient (η or ξ, where it has one).
        oracle: (dense derivatives, coefficient) ↦ (direct term, implicit term).
        outer_gradients, inner_gradients: evaluations with central differences; None where the
            number depends on n.
        power: L_train → c·L_train leaves the estimate as it is if the coefficient is divided by
            c to this power.
    """

    make: Callable[[float, Derivatives], Estimator]
    oracle: Callable[[Dense, float], tuple[Tensor, Tensor]]
    outer_gradients: int
    inner_gradients: int | None
    power: int


def _darts(at: Dense, xi: float) -> tuple[Tensor, Tensor]:
    ahead = at.ahead(xi)
    return ahead.direct, -xi * at.mixed @ ahead.slope


ESTIMATORS: dict[str, Row] = {
    "FirstOrder": Row(
        make=lambda eta, derivatives: FirstOrder(),
        oracle=lambda at, eta: (at.direct, 0 * at.direct),
        outer_gradients=1,
        inner_gradients=0,
        power=0,
    ),
    "Identity": Row(
        make=lambda eta, derivatives: Identity(eta, derivatives=derivatives),
        oracle=lambda at, eta: (at.direct, at.identity(eta)),
        outer_gradients=1,
        inner_gradients=2,
        power=1,
    ),
    "DartsSecondOrder": Row(
        make=lambda eta, derivatives: DartsSecondOrder(eta, derivatives=derivatives),
        oracle=_darts,
        outer_gradients=1,
        inner_gradients=3,
        power=1,
    ),
    "Amended": Row(
        make=lambda eta, derivatives: Amended(eta, derivatives=derivatives),
        oracle=lambda at, eta: (at.direct, at.amended(eta)),
        outer_gradients=1,
        inner_gradients=4,
        power=2,
    ),
    "Exact": Row(
        make=lambda eta, derivatives: Exact(derivatives=derivatives),
        oracle=lambda at, eta: (at.direct, at.exact()),
        outer_gradients=1,
        inner_gradients=None,
        power=0,
    ),
}
