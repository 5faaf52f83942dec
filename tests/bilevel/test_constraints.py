"""α is kept in a set: the nearest point is right, and `solve` ends at the constrained minimum."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.optim import SGD

from bilevel import BilevelProblem, Vector, solve
from bilevel.alternation import project
from bilevel.constraints import Box, Simplex
from bilevel.estimators import Exact

f64 = torch.float64


def tracking(target: torch.Tensor) -> BilevelProblem:
    """ω* = α, so that Φ(α) = ½‖α − target‖²: its minimum in a set is the point next to target."""
    return BilevelProblem(
        lambda w, a: 0.5 * (w - a).square().sum(), lambda w, a: 0.5 * (w - target).square().sum()
    )


def solved(constraint: Any, target: torch.Tensor, start: torch.Tensor, **more: Any) -> Any:
    return solve(
        tracking(target),
        Exact(),
        start,
        start,
        inner=lambda ps: SGD(ps, lr=1.0),
        outer=lambda ps: SGD(ps, lr=0.5),
        steps=200,
        constraint=constraint,
        **more,
    )


def test_solve_ends_at_the_minimum_in_a_box() -> None:
    target = torch.tensor([2.0, -3.0, 0.25], dtype=f64)
    seen: list[torch.Tensor] = []
    solution = solved(
        Box(0, 1),
        target,
        torch.full((3,), 0.5, dtype=f64),
        callbacks=[lambda progress: seen.append(progress.alpha)],
    )
    expected = torch.tensor([1.0, 0.0, 0.25], dtype=f64)
    torch.testing.assert_close(solution.alpha, expected, rtol=0, atol=1e-12)
    assert all(((alpha >= 0) & (alpha <= 1)).all() for alpha in [*seen, *solution.alphas])


def test_solve_ends_at_the_minimum_in_the_simplex() -> None:
    """(0.8, 0.6, −1) minus θ = 0.2, and at least 0: (0.6, 0.4, 0)."""
    target = torch.tensor([0.8, 0.6, -1.0], dtype=f64)
    solution = solved(Simplex(), target, torch.full((3,), 1 / 3, dtype=f64))
    expected = torch.tensor([0.6, 0.4, 0.0], dtype=f64)
    torch.testing.assert_close(solution.alpha, expected, rtol=0, atol=1e-12)


def test_omega_steps_at_the_alpha_inside() -> None:
    """One step: α to −3 and back to 0, then ω = α with a rate of 1."""
    start = torch.tensor([1.0], dtype=f64)
    solution = solve(
        tracking(torch.tensor([-7.0], dtype=f64)),
        Exact(),
        start,
        start,
        inner=lambda ps: SGD(ps, lr=1.0),
        outer=lambda ps: SGD(ps, lr=0.5),
        steps=1,
        constraint=Box(0, 1),
    )
    assert (solution.alpha.item(), solution.omega.item()) == (0, 0)


def test_any_function_to_the_nearest_point_serves() -> None:
    def ball(alpha: torch.Tensor) -> torch.Tensor:
        return alpha / alpha.norm().clamp_min(1)

    target = torch.tensor([3.0, 4.0], dtype=f64)
    solution = solved(ball, target, torch.zeros(2, dtype=f64))
    torch.testing.assert_close(solution.alpha, target / 5, rtol=0, atol=1e-12)


@given(
    rows=st.lists(st.lists(st.floats(-5, 5), min_size=4, max_size=4), min_size=1, max_size=5),
    total=st.floats(0.1, 10),
)
def test_the_nearest_point_of_the_simplex_satisfies_its_conditions(
    rows: list[list[float]], total: float
) -> None:
    """x = max(y − θ, 0) with one θ a row, and the sum (the Karush–Kuhn–Tucker conditions)."""
    y = torch.tensor(rows, dtype=f64)
    x = Simplex(total)(y)
    assert (x >= 0).all()
    torch.testing.assert_close(x.sum(-1), torch.full((len(rows),), total, dtype=f64))
    for given_row, row in zip(y, x, strict=True):
        theta = (given_row - row)[row > 0]
        assert theta.max() - theta.min() < 1e-12
        assert (given_row[row == 0] <= theta.max() + 1e-12).all()


def test_an_alpha_outside_is_refused_before_a_step_and_bad_sets_are() -> None:
    with pytest.raises(ValueError, match=r"α begins outside of the constraint, 1\.73 from it"):
        solved(Box(0, 1), torch.ones(3, dtype=f64), torch.full((3,), 2.0, dtype=f64))
    with pytest.raises(ValueError, match="lower bound must not be above"):
        Box(1, 0)
    with pytest.raises(ValueError, match="must be positive and finite"):
        Simplex(0)
    with pytest.raises(ValueError, match="leaf <root> of α is a number"):
        Simplex()(torch.tensor(1.0))
    for bounds in ((torch.zeros(3), torch.ones(3)), (torch.zeros(3),), ("0",)):
        with pytest.raises(
            TypeError, match=r"Box\(lower=\.\.\.\) is a .*alpha\.clamp\(lower, upper"
        ):
            Box(*bounds)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("constraint", "message"),
    [
        (lambda a: a[:1], r"took α, <root> of shape \(3,\), and returned <root> of shape \(1,\)"),
        (lambda a: a.norm(), r"returned <root> of shape \(\)"),
        (lambda a: {"a": a}, r"returned \['a'\] of shape \(3,\)"),
        (lambda a: None, "the constraint returned None"),
    ],
)
def test_a_constraint_that_returns_no_alpha_is_refused(constraint: Any, message: str) -> None:
    zero, at = torch.zeros(3, dtype=f64), torch.zeros(3, dtype=f64, requires_grad=True)
    with pytest.raises(ValueError, match=message):
        solved(constraint, torch.ones(3, dtype=f64), zero)
    with pytest.raises(ValueError, match=message):
        project(Vector.of(at), constraint)
    assert torch.equal(at, zero)


@pytest.mark.parametrize("dtype", [torch.float32, f64])
@pytest.mark.parametrize("size", [1e3, 1e6, 3e7, 1e17, 1e30, -1e30])
def test_a_row_of_any_size_goes_to_the_nearest_point_of_the_simplex(
    size: float, dtype: Any
) -> None:
    far = torch.tensor([[size, size, size / 2 - 1e3], [0.5, 1.0, -0.5]], dtype=dtype)
    found = Simplex()(far)
    expected = [0.5, 0.5, 0.0] if size > 0 else [0.0, 0.0, 1.0]
    assert found.tolist() == [expected, [0.25, 0.75, 0.0]]


def test_the_simplex_leaves_empty_leaves_be_and_refuses_numbers_that_are_not_finite() -> None:
    empty = torch.zeros(2, 0, dtype=f64)
    nearest = Simplex()({"empty": empty, "row": torch.ones(2, dtype=f64)})
    assert nearest["empty"].shape == (2, 0)
    assert torch.equal(nearest["row"], torch.full((2,), 0.5, dtype=f64))
    for number in (float("nan"), float("inf"), -float("inf")):
        with pytest.raises(ValueError, match=r"leaf \['row'\] of α holds NaN or infinite"):
            Simplex()({"row": torch.tensor([number, 0.0], dtype=f64)})
