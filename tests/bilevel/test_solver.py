"""The reference solver: what it costs, what it moves, where it arrives."""

from __future__ import annotations

import pytest
import torch
from torch.optim import SGD, Adam

from bilevel import (
    BilevelProblem,
    CentralDifference,
    NonFiniteError,
    alternating_step,
    angle,
    relative_error,
    solve,
)
from bilevel.estimators import Amended, DartsSecondOrder, Exact, FirstOrder
from tests.bilevel.test_estimators import Counted
from tests.quadratics import nested

f64 = torch.float64


@pytest.mark.parametrize(
    ("estimator", "gradients"),
    [
        (FirstOrder(), 2),
        (DartsSecondOrder(derivatives=CentralDifference()), 5),
        (Amended(0.1, derivatives=CentralDifference()), 6),
    ],
)
def test_a_step_costs_the_stated_number_of_gradients(estimator: object, gradients: int) -> None:
    case = nested(1)
    counted = Counted(case)
    solve(
        counted.problem,
        estimator,  # type: ignore[arg-type]
        *case.point,
        inner=lambda ps: SGD(ps, lr=0.1),
        outer=lambda ps: Adam(ps, lr=0.1),
        steps=1,
    )
    assert counted.inner + counted.outer == gradients


def test_alpha_moves_first_and_omega_at_the_new_alpha() -> None:
    problem = BilevelProblem(lambda w, a: (w - a) ** 2, lambda w, a: (2 * w - a) ** 2)
    omega = torch.tensor(1.0, dtype=f64, requires_grad=True)
    alpha = torch.tensor(0.5, dtype=f64, requires_grad=True)
    step = alternating_step(
        problem,
        omega,
        alpha,
        estimator=FirstOrder(),
        outer=SGD([alpha], lr=0.1),
        inner=SGD([omega], lr=0.25),
    )
    # g₁ = −2(2·1 − 0.5) = −3, α = 0.8; then ∇_ω F = 2(1 − 0.8) = 0.4, ω = 0.9
    assert (alpha.item(), omega.item()) == pytest.approx((0.8, 0.9))
    assert step.outer_loss == pytest.approx(2.25)
    assert step.inner_loss == pytest.approx(0.04)
    assert step.inner_gradient_norm == pytest.approx(0.4)
    assert omega.grad is None
    assert alpha.grad is None


def test_clipping_shortens_the_inner_gradient_only() -> None:
    problem = BilevelProblem(lambda w, a: (w - a) ** 2, lambda w, a: (2 * w - a) ** 2)
    omega = torch.tensor(10.0, dtype=f64, requires_grad=True)
    alpha = torch.tensor(0.0, dtype=f64, requires_grad=True)
    alternating_step(
        problem,
        omega,
        alpha,
        estimator=FirstOrder(),
        outer=SGD([alpha], lr=0.0),
        inner=SGD([omega], lr=1.0),
        clip=5.0,
    )
    assert omega.item() == pytest.approx(5.0)


def test_solve_reaches_the_bilevel_minimum_and_leaves_its_arguments_alone() -> None:
    """F = (ω − α)², G = (2ω − α − 1)²: ω* = α, Φ = (α − 1)², minimum at α = 1."""
    problem = BilevelProblem(lambda w, a: (w - a) ** 2, lambda w, a: (2 * w - a - 1) ** 2)
    start = torch.tensor(3.0, dtype=f64)
    solution = solve(
        problem,
        Exact(),
        start,
        start,
        inner=lambda ps: SGD(ps, lr=0.5),
        outer=lambda ps: SGD(ps, lr=0.1),
        steps=100,
    )
    assert solution.alpha.item() == pytest.approx(1.0, abs=1e-6)
    assert solution.omega.item() == pytest.approx(1.0, abs=1e-6)
    assert start.item() == 3.0
    assert (len(solution.steps), len(solution.alphas)) == (100, 101)


def test_solve_takes_a_problem_per_step() -> None:
    seen = []

    def problem(number: int) -> BilevelProblem:
        seen.append(number)
        return BilevelProblem(lambda w, a: (w - a) ** 2, lambda w, a: (w - number) ** 2)

    one = torch.tensor(1.0, dtype=f64)
    options = {"inner": lambda ps: SGD(ps, lr=0.1), "outer": lambda ps: SGD(ps, lr=0.1)}
    solve(problem, FirstOrder(), one, one, steps=3, **options)
    assert seen == [0, 1, 2]
    with pytest.raises(ValueError, match="steps=0"):
        solve(problem, FirstOrder(), one, one, steps=0, **options)


def test_a_loss_that_becomes_nan_stops_the_solver_before_omega_moves() -> None:
    problem = BilevelProblem(
        lambda w, a: (w - a) ** 2 * torch.where(a > 1.5, float("nan"), 1.0),
        lambda w, a: -a + 0 * w,
    )
    omega = torch.tensor(1.0, dtype=f64, requires_grad=True)
    alpha = torch.tensor(1.0, dtype=f64, requires_grad=True)
    with pytest.raises(NonFiniteError, match="inner loss is nan"):
        alternating_step(
            problem,
            omega,
            alpha,
            estimator=FirstOrder(),
            outer=SGD([alpha], lr=1.0),
            inner=SGD([omega], lr=0.1),
        )
    assert omega.item() == 1.0


def test_angle_is_exact_at_its_ends_and_refuses_zero() -> None:
    e = torch.eye(3, dtype=f64)
    assert angle(e[0], 5 * e[0]) == 0
    assert angle(e[0], -e[0]) == pytest.approx(180)
    assert angle(e[0], e[1]) == pytest.approx(90)
    tiny = e[0] + 1e-12 * e[1]
    assert angle(e[0], tiny) == pytest.approx(1e-12 * 180 / torch.pi, rel=1e-3)
    with pytest.raises(ValueError, match="norm 1 and 0"):
        angle(e[0], 0 * e[0])


@pytest.mark.parametrize("measure", [angle, relative_error])
def test_vectors_of_different_structure_or_shape_are_not_compared(measure) -> None:
    ones = torch.ones(3, dtype=f64)
    for other in (ones[:1], ones[:1].reshape(()), ones[:, None], {"x": ones}, [ones, ones]):
        for pair in ((ones, other), (other, ones)):
            with pytest.raises(ValueError, match=r"one structure; these have .* of shape"):
                measure(*pair)


def test_relative_error_is_relative_to_the_reference() -> None:
    a = torch.tensor([3.0, 4.0], dtype=f64)
    assert relative_error(1.1 * a, a) == pytest.approx(0.1)
    assert relative_error({"x": 0 * a}, {"x": a}) == 1
    with pytest.raises(ValueError, match="norm 0"):
        relative_error(a, 0 * a)
