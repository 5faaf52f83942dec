"""Alerts: who gives which, with what numbers, where they point, and how to make errors of them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from bilevel import BilevelProblem, CentralDifference, Vector, solve
from bilevel.diagnostics import certificate
from bilevel.estimators import (
    Amended,
    Certified,
    ConjugateGradient,
    DartsSecondOrder,
    FirstOrder,
    HypergradientWarning,
    Identity,
    Landweber,
    Minres,
    Neumann,
    NotConverged,
    NotPositiveDefinite,
    NotStationary,
    Nystrom,
    Status,
)
from tests.quadratics import nested, quadratic, with_spectrum

SOLVING = [
    Neumann(5, 0.01),
    Landweber(5, 1e-3),
    ConjugateGradient(),
    Minres(),
    Nystrom(11, 1e-3),
    Certified(),
]
every_solver = pytest.mark.parametrize("estimator", SOLVING, ids=lambda e: type(e).__name__)
f64 = torch.float64


def warned(call: Callable[[], object]) -> set[type[Warning]]:
    """The kinds of warning that a call gives."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    return {warning.category for warning in caught}


@every_solver
def test_says_that_omega_is_not_stationary(estimator: Any) -> None:
    case = nested(1)
    _, outer_gradient, _ = case.problem.outer_gradients(*map(Vector.of, case.point))
    _, gradient = case.problem.inner_gradient(*map(Vector.of, case.point))
    ratio = f"{float(gradient.norm() / outer_gradient.norm()):.3g}"
    with pytest.warns(NotStationary, match=f"is {ratio} times ‖∇_ω L_val‖.*inner steps"):
        estimator(case.problem, *case.point)
    with pytest.raises(NotStationary):
        replace(estimator, strict=True)(case.problem, *case.point)
    replace(estimator, stationary=None)(case.problem, *case.point)
    replace(estimator, stationary=1e9)(case.problem, *case.point)


@every_solver
def test_an_alternation_is_not_asked_to_be_stationary(estimator: Any) -> None:
    """ω moves by its own steps there: the warning would come at every one of them."""
    case = nested(1)
    lenient = replace(estimator, stationary=1e9)
    found = []
    for each in (lenient, estimator):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            solution = solve(
                case.problem,
                each,
                *case.point,
                inner=lambda ps: torch.optim.SGD(ps, lr=1e-3),
                outer=lambda ps: torch.optim.SGD(ps, lr=1e-3),
                steps=3,
            )
        assert not [w for w in caught if w.category is NotStationary]
        found.append(Vector.of(solution.alpha).flat())
    assert torch.equal(*found)


@every_solver
def test_is_silent_at_an_inner_minimum(estimator: Any) -> None:
    case = with_spectrum(1, torch.linspace(1, 10, 11))
    omega, alpha = case.point
    assert warned(lambda: estimator(case.problem, omega, alpha)) == set()
    assert NotStationary in warned(lambda: estimator(case.problem, omega + 1, alpha))


@every_solver
def test_differences_have_no_gradient_to_check(estimator: Any) -> None:
    case = nested(1)
    relaxed = replace(estimator, derivatives=CentralDifference())
    # NotConverged is of the series' accuracy, not of the point
    assert warned(lambda: relaxed(case.problem, *case.point)) <= {NotConverged}
    assert NotStationary in warned(lambda: estimator(case.problem, *case.point))


@pytest.mark.parametrize(
    "estimator",
    [Amended(0.1), Identity(0.1), DartsSecondOrder(0.1), FirstOrder()],
    ids=lambda e: type(e).__name__,
)
def test_the_estimators_of_the_paper_say_nothing(estimator: Any) -> None:
    indefinite = quadratic([[1, 0], [0, -2]], [[1, 1]], [1, 1])
    for case in (nested(1), indefinite):
        assert warned(lambda case=case: estimator(case.problem, *case.point)) == set()


@every_solver
def test_an_outer_gradient_of_zero_is_solved_by_zero(estimator: Any) -> None:
    case = quadratic([[2, 0], [0, 1]], [[1, 1]], [0, 0])
    result = estimator(case.problem, *case.point)
    assert result.implicit.item() == 0
    assert result.solve.status is Status.CONVERGED
    assert (result.solve.products, result.solve.residual) == (0, 0.0)
    if result.certificate is not None:
        assert result.certificate.holds


def test_alerts_point_at_the_code_that_called() -> None:
    case = quadratic([[1, 0], [0, -2]], [[1, 1]], [1, 1])
    for call in (
        lambda: ConjugateGradient()(case.problem, *case.point),
        lambda: Neumann(50, 0.5)(case.problem, *case.point),
        lambda: Nystrom(2, 1.0)(case.problem, *case.point),
    ):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            call()
        assert [w.filename for w in caught] == [__file__]
        assert caught[0].category is NotPositiveDefinite


def test_alerts_give_numbers_and_a_remedy() -> None:
    case = quadratic([[1, 0], [0, -2]], [[1, 1]], [0, 1])
    with pytest.warns(
        NotPositiveDefinite,
        match=r"curvature pᵀHp/pᵀp = -2 was met after 1 products.*weight decay above 2",
    ):
        ConjugateGradient()(case.problem, *case.point)
    slow = with_spectrum(1, torch.logspace(0, 4, 50))
    with pytest.warns(NotConverged, match=r"after 7 products, above the tolerance 3.67e-11.*Raise"):
        ConjugateGradient(7)(slow.problem, *slow.point)


def test_an_alert_made_an_error_stops_the_solver() -> None:
    problem = BilevelProblem(lambda w, a: -((w - a) ** 2), lambda w, a: (2 * w - a) ** 2)
    one = torch.tensor(1.0, dtype=f64)
    run = {"inner": sgd, "outer": sgd, "steps": 3}
    with pytest.warns(HypergradientWarning):
        solve(problem, ConjugateGradient(), one, 3 * one, **run)
    with pytest.raises(NotPositiveDefinite):
        solve(problem, ConjugateGradient(strict=True), one, 3 * one, **run)


def sgd(leaves: list[torch.Tensor]) -> torch.optim.Optimizer:
    return torch.optim.SGD(leaves, lr=0.01)


def test_nystrom_says_what_t6_says_of_its_sign() -> None:
    """Enough and not needed: certified is always right, and the rest is right at some times."""
    right: dict[bool, set[bool]] = {True: set(), False: set()}
    for seed in range(60):
        case = with_spectrum(seed, torch.logspace(-1, 1, 8), m=1)
        truth = -case.mixed @ torch.linalg.solve(case.hessian, case.outer_gradient)
        for rank in (3, 8):
            found = Nystrom(rank, 1e-3 if rank == 8 else 0.5, tolerance=None)(
                case.problem, *case.point
            )
            assert found.solve is not None
            bound = certificate(case.problem, *case.point, found.solve.value, mu=0.0999)
            right[bound.sign].add(float(found.implicit @ truth) > 0)
    assert right == {True: {True}, False: {True, False}}
    said = " ".join(str(Nystrom.__doc__).split())
    assert "the sign is certain if ‖B‖‖r‖/μ < ‖Bq‖, and can be right or wrong otherwise" in said
