"""Many products at once: the same numbers, opt-in, and an error where vmap cannot follow."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from bilevel import Autograd, BilevelProblem, CentralDifference, Vector
from bilevel.estimators import Exact, Nystrom
from tests.dense import dense, ravel
from tests.quadratics import nested, random_quadratic, scalar

seeds = st.integers(0, 2**31 - 1)
f64 = torch.float64


@pytest.mark.parametrize("make", [nested, scalar, random_quadratic])
@given(seed=seeds, chunk=st.integers(2, 20))
def test_products_in_chunks_equal_the_dense_matrices(make: Any, seed: int, chunk: int) -> None:
    case = make(seed)
    curvature = Autograd(chunk)(case.problem, *map(Vector.of, case.point))
    oracle = dense(case.problem.inner, case.problem.outer, *case.point)
    for operator, expected in [
        (curvature.hessian, oracle.hessian),
        (curvature.mixed, oracle.mixed),
        (curvature.mixed.T, oracle.mixed.T),
    ]:
        assert operator.at_once > 1
        assert torch.allclose(operator.dense(), expected, rtol=1e-10, atol=1e-12)
        assert torch.allclose(operator._columns(), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("make", [lambda d: Exact(derivatives=d), lambda d: nystrom(d)])
def test_estimators_in_chunks_equal_themselves_one_by_one(make: Any) -> None:
    case = nested(5)
    one, many = (make(Autograd(chunk))(case.problem, *case.point) for chunk in (1, 4))
    assert torch.allclose(ravel(one.implicit)[0], ravel(many.implicit)[0], rtol=1e-10)
    assert one.solve.products == many.solve.products


def nystrom(derivatives: Any) -> Nystrom:
    return Nystrom(4, 0.5, derivatives=derivatives, stationary=None, tolerance=None)


@pytest.mark.parametrize("chunk", [1, 8])
def test_a_constant_derivative_is_zero_in_chunks_too(chunk: int) -> None:
    problem = BilevelProblem(lambda w, a: (a * w).sum(), lambda w, a: (w**2).sum())
    ones = Vector.of(torch.ones(3, dtype=f64))
    curvature = Autograd(chunk)(problem, ones, ones)
    assert torch.equal(curvature.hessian.dense(), torch.zeros(3, 3, dtype=f64))
    assert torch.equal(curvature.mixed.dense(), torch.eye(3, dtype=f64))


class Watched(torch.autograd.Function):
    """The identity, with a derivative that looks at values, which vmap forbids."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        assert bool(torch.isfinite(gradient).all())
        image: Tensor = Watched.apply(gradient)
        return image


def test_a_loss_that_vmap_cannot_follow_works_one_by_one_and_raises_in_chunks() -> None:
    problem = BilevelProblem(lambda w, a: (Watched.apply(w) ** 3 * a).sum(), lambda w, a: w.sum())
    at = Vector.of(torch.tensor([1.0, 2.0], dtype=f64))
    curvature = Autograd()(problem, at, at)
    assert torch.allclose(
        curvature.hessian.dense(), torch.diag(torch.tensor([6.0, 24.0], dtype=f64))
    )
    with pytest.raises(RuntimeError, match=r"several products at once.*chunk=1"):
        Autograd(4)(problem, at, at).hessian.dense()


def test_differences_take_products_one_by_one() -> None:
    case = nested(1)
    curvature = CentralDifference()(case.problem, *map(Vector.of, case.point))
    assert curvature.hessian.at_once == 1
    assert (curvature.exact, curvature.gradient) == (False, None)


def test_the_gradient_comes_with_the_graph() -> None:
    case = nested(1)
    omega, alpha = map(Vector.of, case.point)
    gradient = Autograd()(case.problem, omega, alpha).gradient
    assert gradient is not None
    assert torch.equal(gradient.flat(), case.problem.inner_gradient(omega, alpha)[1].flat())
    assert not any(leaf.requires_grad for leaf in gradient.leaves)


def test_refuses_a_chunk_below_one() -> None:
    with pytest.raises(ValueError, match="chunk=0"):
        Autograd(0)
