"""`recommend`: what it chooses on problems whose answer is known, and what it says."""

from __future__ import annotations

import re

import pytest
import torch

from bilevel import angle, recommend
from bilevel.estimators import Certified, ConjugateGradient, Exact, FirstOrder
from bilevel.problem import BilevelProblem
from bilevel.problems import quadratic


def test_a_well_conditioned_minimum_gets_a_certificate() -> None:
    advice = recommend(*quadratic(20, 3, condition=10.0).point)
    assert isinstance(advice.estimator, Certified)
    assert advice.spectrum.definite
    assert advice.spectrum.condition == pytest.approx(10, rel=0.05)
    text = str(advice)
    for part in ("Use Certified", "Guaranteed: the angle", "No curvature ≤ 0", "close to"):
        assert part in text
    assert "Use Certified(derivatives=report.derivatives, products=100)." in text
    assert "bilevel.check(problem, params, hyperparams)" in text
    assert "Checked" not in text + advice._repr_html_()


def test_an_indefinite_hessian_is_named_and_cg_is_not_offered() -> None:
    advice = recommend(*quadratic(20, 3, condition=10.0, negative=4).point)
    assert not advice.spectrum.definite
    assert "H is indefinite: it has an eigenvalue ≤ -" in str(advice)
    assert not any(row.estimator in ("cg", "neumann") for row in advice.comparison.rows)


def test_too_small_a_budget_gets_the_best_measured_and_no_guarantee() -> None:
    advice = recommend(*quadratic(60, 3, condition=1e5, seed=1).point, budget=5)
    assert isinstance(advice.estimator, ConjugateGradient)
    assert "Nothing is guaranteed: 5 products" in str(advice)
    errors = {row.estimator: row.error_implicit for row in advice.comparison.rows}
    assert len(errors) == 7
    assert errors["cg"] == min(errors.values()) < 1


def test_a_point_that_is_no_inner_minimum_is_told_first() -> None:
    ready = quadratic(20, 3, condition=10.0)
    advice = recommend(ready.problem, ready.params + 1, ready.hyperparams)
    assert (advice.gradient_ratio or 0) > 0.01
    assert advice.reasons[0].startswith("ω is NOT at the inner minimum")


def test_where_g2_is_zero_and_nothing_certifies_it_the_first_order_is_advised() -> None:
    """H is diagonal, B sees the first coordinate and ∇_ω L_val all others: g₂ is 0."""
    h = torch.diag(torch.logspace(0, -8, 40, dtype=torch.float64))
    b = torch.zeros(1, 40, dtype=torch.float64)
    b[0, 0] = 1.0
    v = torch.full((40,), 1.0, dtype=torch.float64)
    v[0] = 0.0
    problem = BilevelProblem(lambda w, a: 0.5 * w @ h @ w + a @ b @ w, lambda w, a: v @ w)
    zero = torch.zeros(40, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    advice = recommend(problem, *zero, budget=1)  # g₂ = 0 exactly
    assert isinstance(advice.estimator, FirstOrder)
    assert all(row.sign == 0 for row in advice.comparison.rows)
    with pytest.raises(ValueError, match="budget=0"):
        recommend(problem, *zero, budget=0)


@pytest.mark.parametrize("share", [0.0, 1 - 1e-3])
def test_a_sum_that_points_the_wrong_way_is_named_though_g2_is_certified(share: float) -> None:
    """g₁ is −`share` times g₂: next to 1 the certified estimate turns the sum round."""
    ready = quadratic(20, 3, condition=10.0)
    exact = Exact()(*ready.point)
    assert isinstance(exact.implicit, torch.Tensor)
    g2 = exact.implicit
    problem = BilevelProblem(
        ready.problem.inner, lambda w, a: ready.problem.outer(w, a) - share * (g2 @ a)
    )
    advice = recommend(problem, ready.params, ready.hyperparams, cosine=0.9)
    row = advice.comparison["certified"]
    assert "Guaranteed: the angle to g₂" in str(advice)
    assert row.angle_total_degrees is not None
    named = re.search(r"points the WRONG way with it \((\d+)", str(advice))
    assert (named is not None) == (row.angle_total_degrees >= 90) == (share > 0)
    if named is not None:
        wanted = re.search(r"An error of g₂ well below ([\de.-]+) would do", str(advice))
        assert wanted is not None
        near = Certified(relative_error=float(wanted[1]) / 2)
        found = near(problem, ready.params, ready.hyperparams)
        truth = Exact()(problem, ready.params, ready.hyperparams)
        assert angle(found.total, truth.total) < 90
