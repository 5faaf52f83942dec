"""Traced products equal dense algebra, at every point of the problem they were traced for."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from bilevel import Autograd, BilevelProblem, Vector
from bilevel.estimators import Amended, ConjugateGradient, Exact
from bilevel.problems import loss_weights, mixture
from bilevel.traced import Compiling, Traced
from tests.bilevel.test_estimators import Counted
from tests.dense import dense
from tests.quadratics import nested, random_quadratic, scalar

CASES = {"quadratic": random_quadratic, "nested": nested, "scalar": scalar}
f64 = torch.float64
ONE = torch.ones(3, dtype=f64)


@pytest.mark.parametrize("kind", CASES)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_products_equal_dense_algebra(kind: str, seed: int) -> None:
    case = CASES[kind](seed)
    oracle = dense(case.problem.inner, case.problem.outer, *case.point)
    curvature = Traced()(case.problem, Vector.of(case.omega), Vector.of(case.alpha))
    for _ in range(3):  # TorchScript rewrites what it runs after the first calls
        assert torch.allclose(curvature.hessian.dense(), oracle.hessian, atol=1e-12)
        assert torch.allclose(curvature.mixed.dense(), oracle.mixed, atol=1e-12)
        assert torch.allclose(curvature.mixed.T.dense(), oracle.mixed.T, atol=1e-12)


def test_one_trace_serves_other_points_of_the_problem_and_no_other_problem() -> None:
    case, derivatives = nested(4), Traced()
    counted = Counted(case)
    omega, alpha = Vector.of(case.omega), Vector.of(case.alpha)
    derivatives(counted.problem, omega, alpha)
    evaluations = counted.inner
    moved = 1.5 * omega
    oracle = dense(case.problem.inner, case.problem.outer, moved.tree(), case.alpha)
    curvature = derivatives(counted.problem, moved, alpha)
    assert counted.inner == evaluations
    assert torch.allclose(curvature.hessian.dense(), oracle.hessian, atol=1e-12)
    assert torch.allclose(
        curvature.gradient.flat(), case.problem.inner_gradient(moved, alpha)[1].flat()
    )
    other = nested(5)
    oracle = dense(other.problem.inner, other.problem.outer, *other.point)
    curvature = derivatives(other.problem, Vector.of(other.omega), Vector.of(other.alpha))
    assert torch.allclose(curvature.hessian.dense(), oracle.hessian, atol=1e-12)


def test_a_trace_goes_with_its_problem() -> None:
    derivatives = Traced()
    case = nested(6)
    derivatives(case.problem, Vector.of(case.omega), Vector.of(case.alpha))
    assert len(derivatives._traces) == 1
    del case
    assert len(derivatives._traces) == 0


@pytest.mark.parametrize("estimator", [Amended, ConjugateGradient, Exact])
def test_estimators_give_the_same_with_traced_products(estimator: Any) -> None:
    case = random_quadratic(7)
    options = {"eta": 0.1} if estimator is Amended else {}
    plain = estimator(**options)(case.problem, *case.point)
    traced = estimator(**options, derivatives=Traced())(case.problem, *case.point)
    assert torch.allclose(Vector.of(plain.implicit).flat(), Vector.of(traced.implicit).flat())


@pytest.mark.parametrize("make", [loss_weights, mixture])
def test_networks_are_traced_with_torchscript_or_without(make: Any) -> None:
    """Convolutions have arguments that TorchScript does not take: their graph runs as Python."""
    ready = make()
    point = (ready.problem, Vector.of(ready.params), Vector.of(ready.hyperparams))
    generator = torch.Generator().manual_seed(0)
    v = point[1].like(torch.randn(point[1].numel, generator=generator, dtype=f64))
    derivatives = Traced()
    traced, plain = derivatives(*point), Autograd()(*point)
    for operator in ("hessian", "mixed"):
        expected = getattr(plain, operator) @ v
        assert float((getattr(traced, operator) @ v - expected).norm()) < 1e-12 * float(
            1 + expected.norm()
        )
    (split,) = derivatives._traces[ready.problem].values()
    assert isinstance(split.hessian, Compiling)
    scripted = isinstance(split.hessian.compiled, torch.jit.ScriptFunction)
    assert scripted == (make is mixture)


def branching(w: Any, a: Any) -> torch.Tensor:
    return (w**2).sum() if w[0] > 0 else (w**4).sum()


def random(w: Any, a: Any) -> torch.Tensor:
    return (torch.nn.functional.dropout(w, 0.5) ** 2).sum()


COUNTER = torch.zeros(3, dtype=f64)


def writing(w: Any, a: Any) -> torch.Tensor:
    COUNTER.add_(1)
    return ((w * COUNTER) ** 2).sum()


@pytest.mark.parametrize(
    ("inner", "reason"),
    [
        (branching, "must not branch on values"),
        (random, "draws random numbers"),
        (writing, "writes in place|could not follow"),
        (lambda w, a: (3 * w + a).sum(), "gradient is constant"),
    ],
)
def test_a_loss_that_cannot_be_replayed_is_refused(inner: Any, reason: str) -> None:
    problem = BilevelProblem(inner, lambda w, a: w.sum())
    with pytest.raises(ValueError, match=reason):
        Traced()(problem, Vector.of(ONE), Vector.of(ONE))


def test_writes_into_the_loss_own_fresh_tensors_are_fine() -> None:
    def inner(w: Any, a: Any) -> torch.Tensor:
        x = w * a
        x = x.clone()
        x += w**3
        return (x**2).sum()

    problem = BilevelProblem(inner, lambda w, a: w.sum())
    omega, alpha = Vector.of(0.5 * ONE), Vector.of(2 * ONE)
    traced, plain = Traced()(problem, omega, alpha), Autograd()(problem, omega, alpha)
    assert torch.allclose(traced.hessian.dense(), plain.hessian.dense())


def test_a_loss_that_ignores_a_leaf_is_refused_as_by_autograd() -> None:
    problem = BilevelProblem(lambda w, a: (w["used"] ** 2).sum(), lambda w, a: w["used"].sum())
    omega = Vector.of({"used": ONE, "idle": ONE})
    with pytest.raises(ValueError, match=r"ignores 1 of 2 leaves of ω \(\['idle'\]\)"):
        Traced()(problem, omega, Vector.of(ONE))
