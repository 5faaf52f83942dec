"""Ready problems: known answers, and hypergradients against re-solved inner problems."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LogisticRegression, Ridge
from torch.optim import SGD, Adam

from bilevel import Vector, relative_error, solve
from bilevel.estimators import Exact, Minres
from bilevel.problems import (
    ReadyProblem,
    distillation,
    hyper_cleaning,
    logistic_regression,
    loss_weights,
    mixture,
    mlp_cleaning,
    quadratic,
    ridge_regression,
    solve_inner,
)
from bilevel.problems.digits import digits, with_wrong_labels

f64 = torch.float64
SMALL: dict[str, Callable[[], ReadyProblem]] = {
    "quadratic": quadratic,
    "indefinite quadratic": lambda: quadratic(negative=3),
    "ridge": ridge_regression,
    "logistic": lambda: logistic_regression(train=200, val=100),
    "hyper-cleaning": lambda: hyper_cleaning(train=100, val=100),
    "loss weights": lambda: loss_weights(train=200, val=100, channels=2),
    "distillation": lambda: distillation(train=200),
    "mixture": lambda: mixture(width=5, train=100, val=100),
}


@pytest.mark.parametrize("name", SMALL)
def test_hypergradient_is_the_derivative_of_the_resolved_problem(name: str) -> None:
    """⟨g₁ + g₂, d⟩ against (Φ(α + εd) − Φ(α − εd)) / 2ε, with ω*(α ± εd) solved for anew."""
    ready = SMALL[name]()
    if "quadratic" not in name:  # whose point is the inner solution, a saddle for one of them
        ready = ready.at_inner_solution(tolerance=1e-11)
    alpha = Vector.of(ready.hyperparams)
    generator = torch.Generator().manual_seed(1)
    direction = alpha.like(torch.randn(alpha.numel, generator=generator, dtype=f64))
    direction = direction / direction.norm()
    epsilon = 1e-4

    def value(sign: int) -> float:
        at = alpha + sign * epsilon * direction
        if "quadratic" in name:
            omega = ready.solution(at.tree())
        else:
            omega = solve_inner(ready.problem, ready.params, at.tree(), tolerance=1e-11).params
        return ready.problem.outer(omega, at.tree()).item()

    difference = (value(1) - value(-1)) / (2 * epsilon)
    total = Minres(iterations=5000, tolerance=1e-10)(*ready.point).total
    # O(ε²) from the difference, 1e-11 / ε from the inner solutions
    assert float(Vector.of(total).dot(direction)) == pytest.approx(difference, rel=1e-4, abs=1e-7)


def test_quadratic_is_what_it_says() -> None:
    ready = quadratic(12, 4, condition=1e3, seed=3)
    eigenvalues = torch.linalg.eigvalsh(ready.hessian)
    assert eigenvalues[0].item() == pytest.approx(1e-3)
    assert eigenvalues[-1].item() == pytest.approx(1.0)
    exact = Exact()(*ready.point)
    assert relative_error(exact.total, ready.hypergradient(ready.hyperparams)) < 1e-10
    assert float(ready.hypergradient(ready.minimum()).norm()) < 1e-9
    assert int((torch.linalg.eigvalsh(quadratic(9, negative=2).hessian) < 0).sum()) == 2
    with pytest.raises(ValueError, match="n=1"):
        quadratic(1)


def test_solve_arrives_at_the_minimum_of_the_quadratic() -> None:
    ready = quadratic(6, 2, condition=3.0, seed=1)  # whose ∇²Φ has condition number 4.1
    solution = solve(
        ready.problem,
        Exact(),
        ready.params,
        ready.hyperparams,
        inner=lambda ps: SGD(ps, lr=1.0),
        outer=lambda ps: SGD(ps, lr=1 / ready.largest_outer_curvature()),
        steps=150,
        inner_steps=5,
    )
    assert relative_error(solution.alpha, ready.minimum()) < 1e-3


def test_ridge_point_is_scikit_learns_solution() -> None:
    ready = ridge_regression(train=300, seed=0)
    alpha = ready.hyperparams + torch.linspace(-1, 1, 10, dtype=f64)
    found = solve_inner(ready.problem, ready.params, alpha, tolerance=1e-13).params
    data, target = load_diabetes(return_X_y=True)
    x = (data - data.mean(0)) / data.std(0, ddof=1)
    y = (target - target.mean()) / target.std(ddof=1)
    rows = torch.randperm(442, generator=torch.Generator().manual_seed(0))[:300].numpy()
    # N·F is ½‖Xω − y‖² + ½Σ Nλⱼωⱼ²: one penalty for all features once they are divided by √(Nλⱼ)
    scale = np.sqrt(300 * np.exp(alpha.numpy()))
    model = Ridge(alpha=1.0, fit_intercept=False, tol=1e-14).fit(x[rows] / scale, y[rows])
    assert np.abs(found.numpy() - model.coef_ / scale).max() < 1e-8
    assert relative_error(ready.params, solve_inner(*ready.point).params) < 1e-10


def test_logistic_point_is_scikit_learns_solution() -> None:
    ready = logistic_regression(train=300, val=100, seed=0).at_inner_solution(tolerance=1e-13)
    train, _ = digits(300, 100, seed=0)
    scale = np.sqrt(300 * np.exp(ready.hyperparams.numpy()))
    model = LogisticRegression(
        C=1.0, fit_intercept=False, solver="newton-cg", tol=1e-11, max_iter=1000
    ).fit(train.images.numpy() / scale, train.labels.numpy())
    assert np.abs(ready.params.numpy() - (model.coef_ / scale).T).max() < 1e-8


def test_benchmark_problems_have_the_published_sizes_and_inner_solutions() -> None:
    for ready, sizes in ((logistic_regression(), (640, 64)), (mlp_cleaning(), (1210, 500))):
        assert ready.sizes == sizes
        solution = solve_inner(*ready.point, tolerance=1e-14)
        assert solution.gradient_norm <= 1e-14


def test_wrong_labels_are_wrong_and_of_the_share_asked_for() -> None:
    (clean,) = digits(500, seed=0)
    noisy, wrong = with_wrong_labels(clean, 0.3, seed=0)
    assert int(wrong.sum()) == 150
    assert torch.equal(noisy.labels != clean.labels, wrong.bool())
    with pytest.raises(ValueError, match="digits has 1797"):
        digits(1000, 1000, seed=0)


def test_hyper_cleaning_recovers_the_wrong_labels() -> None:
    ready = hyper_cleaning(train=200, val=200, seed=0).at_inner_solution()
    assert ready.detection(ready.hyperparams) == 0.5
    solution = solve(
        ready.problem,
        Minres(iterations=10, tolerance=None, stationary=None),
        ready.params,
        ready.hyperparams,
        inner=lambda ps: SGD(ps, lr=1.0, momentum=0.9),
        outer=lambda ps: Adam(ps, lr=0.3),
        steps=60,
        inner_steps=3,
    )
    assert ready.detection(solution.alpha) > 0.9
    assert ready.accuracy_percent(solution.omega, ready.test) > ready.accuracy_percent(
        ready.params, ready.test
    )


def test_inner_solution_says_when_it_is_not_reached() -> None:
    ready = logistic_regression(train=100, val=100, dtype=torch.float32)
    with pytest.raises(ValueError, match=r"asked for .* ≤ 1e-14 and stopped at"):
        ready.at_inner_solution(tolerance=1e-14)
    assert solve_inner(*ready.point, tolerance=1e-4).gradient_norm <= 1e-4


def test_drawing_a_problem_leaves_the_random_state_alone() -> None:
    before = torch.get_rng_state()
    for make in SMALL.values():
        first, second = make(), make()
        assert torch.equal(Vector.of(first.params).flat(), Vector.of(second.params).flat())
    assert torch.equal(before, torch.get_rng_state())
