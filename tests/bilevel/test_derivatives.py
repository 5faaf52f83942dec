"""Curvature products: exact ones equal dense matrices, differences approach them at rate ε²."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bilevel import Autograd, BilevelProblem, CentralDifference, LinearOperator, Vector
from tests.dense import dense, ravel
from tests.quadratics import Case, nested, random_quadratic, scalar

every_case = pytest.mark.parametrize("make", [nested, scalar, random_quadratic])
seeds = st.integers(0, 2**31 - 1)


def vectors(case: Case) -> tuple[Vector, Vector]:
    return Vector.of(case.omega), Vector.of(case.alpha)


@every_case
@given(seed=seeds)
def test_autograd_operators_equal_the_dense_matrices(make: Any, seed: int) -> None:
    case = make(seed)
    curvature = Autograd()(case.problem, *vectors(case))
    oracle = dense(case.problem.inner, case.problem.outer, *case.point)
    for operator, expected in [
        (curvature.hessian, oracle.hessian),
        (curvature.hessian.T, oracle.hessian),
        (curvature.mixed, oracle.mixed),
        (curvature.mixed.T, oracle.mixed.T),
    ]:
        assert torch.allclose(operator.dense(), expected, rtol=1e-10, atol=1e-12)
        assert torch.allclose(operator._columns(), expected, rtol=1e-10, atol=1e-12)


def slopes(case: Case, operator: str, steps: list[float]) -> list[float]:
    """log₂ of the error's fall each time the step is halved."""
    exact: LinearOperator = getattr(Autograd()(case.problem, *vectors(case)), operator)
    generator = torch.Generator().manual_seed(1)
    direction = exact.domain.like(
        torch.randn(exact.domain.numel, generator=generator, dtype=torch.float64)
    )
    errors = []
    for step in steps:
        difference = getattr(CentralDifference(step)(case.problem, *vectors(case)), operator)
        errors.append((difference @ direction - exact @ direction).norm().log2())
    return [float(a - b) for a, b in itertools.pairwise(errors)]


@pytest.mark.parametrize("make", [nested, scalar])
@pytest.mark.parametrize("operator", ["hessian", "mixed"])
def test_central_difference_error_falls_fourfold_as_the_step_halves(
    make: Any, operator: str
) -> None:
    assert slopes(make(3), operator, [0.04, 0.02, 0.01, 0.005]) == pytest.approx(
        [2, 2, 2], abs=0.05
    )


@pytest.mark.parametrize("make", [nested, scalar])
def test_default_step_is_near_the_best_one(make: Any) -> None:
    """Truncation and rounding balance at eps^(1/3), where the error is about eps^(2/3) ≈ 4e-11."""
    case = make(3)
    exact = Autograd()(case.problem, *vectors(case))
    approximate = CentralDifference()(case.problem, *vectors(case))
    for name in ("hessian", "mixed"):
        domain = getattr(exact, name).domain
        direction = domain.like(torch.ones(domain.numel, dtype=torch.float64))
        truth = getattr(exact, name) @ direction
        error = (getattr(approximate, name) @ direction - truth).norm() / truth.norm()
        assert error < 100 * torch.finfo(torch.float64).eps ** (2 / 3)


def test_default_step_goes_no_further_than_a_tenth() -> None:
    """float32 at ‖ω‖ = 2e4 would go 98 to either side by the rounding rule alone."""
    seen: list[torch.Tensor] = []

    def inner(w: torch.Tensor, a: torch.Tensor) -> torch.Tensor:
        seen.append(w.detach().clone())
        return a * (w**3).sum() / 6

    omega = Vector.of(torch.full((4,), 1e4))
    alpha = Vector.of(torch.tensor(1.0))
    curvature = CentralDifference()(BilevelProblem(inner, inner), omega, alpha)
    _ = curvature.hessian @ Vector.of(torch.tensor([1.0, 0.0, 0.0, 0.0]))
    assert float((seen[0] - seen[1]).norm()) == pytest.approx(0.2, rel=0.02)  # float32 near 1e4


def test_products_with_zero_are_zero() -> None:
    case = nested(1)
    for derivatives in (Autograd(), CentralDifference()):
        curvature = derivatives(case.problem, *vectors(case))
        for operator in (curvature.hessian, curvature.mixed, curvature.mixed.T):
            assert float((operator @ operator.domain.zeros_like()).norm()) == 0


def test_a_loss_linear_in_omega_has_hessian_zero() -> None:
    problem = BilevelProblem(lambda w, a: (a * w).sum(), lambda w, a: (w**2).sum())
    ones = Vector.of(torch.ones(3, dtype=torch.float64))
    curvature = Autograd()(problem, ones, ones)
    assert torch.equal(curvature.hessian.dense(), torch.zeros(3, 3, dtype=torch.float64))
    assert torch.equal(curvature.mixed.dense(), torch.eye(3, dtype=torch.float64))


def test_an_inner_loss_without_alpha_has_mixed_derivative_zero() -> None:
    problem = BilevelProblem(lambda w, a: (w**4).sum(), lambda w, a: (w * a).sum())
    ones = Vector.of(torch.ones(3, dtype=torch.float64))
    for derivatives in (Autograd(), CentralDifference()):
        curvature = derivatives(problem, ones, ones)
        assert float((curvature.mixed @ ones).norm()) == 0
        assert float((curvature.mixed.T @ ones).norm()) == 0


@pytest.mark.parametrize("step", [0.0, -1.0, float("nan"), float("inf")])
def test_refuses_a_step_that_is_not_positive(step: float) -> None:
    with pytest.raises(ValueError, match=f"step={step}.*positive"):
        CentralDifference(step)


def test_operator_algebra_equals_matrix_algebra() -> None:
    case = nested(2)
    curvature = Autograd()(case.problem, *vectors(case))
    h, b = curvature.hessian.dense(), curvature.mixed.dense()
    for operator, expected in [
        (3.0 * curvature.hessian, 3 * h),
        ((2.0 * curvature.mixed).T, 2 * b.T),
        (curvature.hessian.shifted(0.5), h + 0.5 * torch.eye(len(h), dtype=h.dtype)),
    ]:
        assert torch.allclose(operator.dense(), expected, rtol=1e-12, atol=1e-13)
    assert torch.allclose(
        torch.from_numpy(curvature.mixed.to_scipy() @ h.numpy()), b @ h, rtol=1e-12, atol=1e-13
    )
    assert torch.allclose(
        torch.from_numpy(curvature.mixed.to_scipy().T @ b.numpy()), b.T @ b, rtol=1e-12, atol=1e-13
    )


def test_an_operator_without_adjoint_says_so() -> None:
    point = Vector.of(torch.zeros(2))
    with pytest.raises(ValueError, match="2×2 operator was built without `transposed_action`"):
        _ = LinearOperator(point, point, lambda v: v).T


def test_vectors_round_trip_and_add_like_their_flat_form() -> None:
    case = nested(6)
    w, u = Vector.of(case.omega), Vector.of(nested(7).omega)
    assert torch.equal(w.like(w.flat()).flat(), w.flat())
    assert w.tree()["out"][1].shape == ()
    assert w.names() == ["['hidden'][0]", "['hidden'][1]", "['out'][0]", "['out'][1]"]
    assert torch.allclose(w.flat(), ravel(case.omega)[0])
    assert torch.equal((2 * w - u / 4 + (-w)).flat(), 2 * w.flat() - u.flat() / 4 + (-w.flat()))
    assert torch.allclose(w.dot(u), w.flat() @ u.flat())
    assert torch.allclose(w.norm(), w.flat().norm())
    with pytest.raises(ValueError, match="different structure"):
        _ = w + Vector.of(case.alpha)
    with pytest.raises(ValueError, match=r"expected 11 coordinates, got shape \(3,\)"):
        w.like(torch.zeros(3))
