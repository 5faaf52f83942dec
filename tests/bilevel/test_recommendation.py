"""`recommend`: what it chooses on problems whose answer is known, and what it says."""

from __future__ import annotations

import pytest
import torch

from bilevel import recommend
from bilevel.estimators import Certified, ConjugateGradient, FirstOrder
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
