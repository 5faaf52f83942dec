"""Differences converge at their rates, reuse gradients, and say how far they are off."""

import pytest
import torch

from bilevel import Autograd, BilevelProblem, CentralDifference, Vector, relative_error
from bilevel.differences import OneSidedDifference, checked_product


def smooth() -> tuple[BilevelProblem, Vector, Vector, Vector, list[int]]:
    torch.manual_seed(0)
    omega = torch.randn(6, dtype=torch.float64)
    calls = []

    def inner(w, a):
        calls.append(1)
        return (a.exp() * w.sin()).sum() + (w[1:] * w[:-1]).square().sum()

    problem = BilevelProblem(inner, lambda w, a: w.sum())
    points = Vector.of(omega), Vector.of(omega.cos()), Vector.of(torch.randn_like(omega))
    return problem, *points, calls


def test_halving_the_step_halves_the_error_of_a_one_sided_difference():
    problem, omega, alpha, v, _ = smooth()
    exact = Autograd()(problem, omega, alpha)
    for name in ("hessian", "mixed"):
        truth = getattr(exact, name) @ v
        errors = [
            relative_error(getattr(OneSidedDifference(h)(problem, omega, alpha), name) @ v, truth)
            for h in (1e-4, 5e-5)
        ]
        assert 1.9 < errors[0] / errors[1] < 2.1


def test_the_gradient_here_is_taken_once_for_all_products():
    problem, omega, alpha, v, calls = smooth()
    curvature = OneSidedDifference(1e-4)(problem, omega, alpha)
    for _ in range(3):
        curvature.hessian @ v
    assert len(calls) == 4


def test_estimated_error_is_the_true_one_where_the_loss_is_smooth():
    problem, omega, alpha, v, _ = smooth()
    truth = Autograd()(problem, omega, alpha).hessian @ v
    found = checked_product(problem, omega, alpha, v, 1e-2)
    plain = relative_error(CentralDifference(1e-2)(problem, omega, alpha).hessian @ v, truth)
    assert 0.9 * plain < found.relative_error < 1.1 * plain
    assert relative_error(found.value, truth) < plain / 100


def test_estimated_error_is_large_where_kinks_dominate():
    """Σ|w_i| beside a weak bowl: a step across the kinks sees slopes of 2/step, not curvature."""
    problem = BilevelProblem(
        lambda w, a: w.abs().sum() + 0.01 * w.square().sum(), lambda w, a: w.sum()
    )
    omega = Vector.of(torch.linspace(-1e-3, 1.1e-3, 9, dtype=torch.float64))
    v = Vector.of(torch.ones(9, dtype=torch.float64))
    assert checked_product(problem, omega, omega, v, 1e-2).relative_error > 0.3


@pytest.mark.parametrize("step", [0.0, -1.0, float("inf"), float("nan")])
def test_steps_that_are_no_steps_are_refused(step):
    with pytest.raises(ValueError, match="positive and finite"):
        OneSidedDifference(step)


def test_a_product_with_nothing_is_nothing():
    problem, omega, alpha, v, _ = smooth()
    curvature = OneSidedDifference(1e-4)(problem, omega, alpha)
    assert float((curvature.hessian @ (0 * v)).norm()) == 0
    assert float((curvature.mixed @ (0 * v)).norm()) == 0
