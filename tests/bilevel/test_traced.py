"""Traced products equal dense algebra, at every point of the problem they were traced for."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from bilevel import Autograd, BilevelProblem, NonFiniteError, Vector, array_program
from bilevel.array_program import ArrayProgram
from bilevel.estimators import Amended, ConjugateGradient, Exact
from bilevel.problems import loss_weights, mixture
from bilevel.torch_program import TorchProgram
from bilevel.traced import Traced
from tests.bilevel.test_estimators import Counted
from tests.dense import dense
from tests.quadratics import nested, random_quadratic, scalar

CASES = {"quadratic": random_quadratic, "nested": nested, "scalar": scalar}
f64 = torch.float64
ONE = torch.ones(3, dtype=f64)


@pytest.fixture(autouse=True)
def native(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """NumPy runs the steps here; `test_compiled_steps` has the compiler's."""
    monkeypatch.setenv("BILEVEL_NATIVE", "off")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp()))


@pytest.fixture(params=["numpy", "torch"])
def backend(request: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What runs the trace: NumPy, or torch as for values that NumPy cannot hold."""
    if request.param == "torch":
        monkeypatch.setattr(array_program, "HELD", set())
    return {"numpy": ArrayProgram, "torch": TorchProgram}[request.param]


def program_of(derivatives: Traced, problem: BilevelProblem) -> Any:
    (program,) = derivatives._traces[problem].values()
    return program


@pytest.mark.parametrize("kind", CASES)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_products_equal_dense_algebra(kind: str, seed: int, backend: Any) -> None:
    case, derivatives = CASES[kind](seed), Traced()
    oracle = dense(case.problem.inner, case.problem.outer, *case.point)
    curvature = derivatives(case.problem, Vector.of(case.omega), Vector.of(case.alpha))
    assert isinstance(program_of(derivatives, case.problem), backend)
    for _ in range(3):  # TorchScript rewrites what it runs after the first calls
        assert torch.allclose(curvature.hessian.dense(), oracle.hessian, atol=1e-12)
        assert torch.allclose(curvature.mixed.dense(), oracle.mixed, atol=1e-12)
        assert torch.allclose(curvature.mixed.T.dense(), oracle.mixed.T, atol=1e-12)
    v = torch.ones(len(oracle.hessian), dtype=f64)
    assert torch.allclose(curvature.hessian.on_flat(v), oracle.hessian @ v, atol=1e-12)
    assert torch.allclose(curvature.mixed.on_flat(v), oracle.mixed @ v, atol=1e-12)


def test_the_products_of_two_points_can_be_taken_in_turns(backend: Any) -> None:
    case, derivatives = nested(4), Traced()
    alpha = Vector.of(case.alpha)
    points = [scale * Vector.of(case.omega) for scale in (1.0, 1.5)]
    traced = [derivatives(case.problem, omega, alpha).hessian for omega in points]
    plain = [Autograd()(case.problem, omega, alpha).hessian.dense() for omega in points]
    assert not torch.allclose(plain[0], plain[1])
    for _ in range(2):
        for operator, truth in zip(traced, plain, strict=True):
            assert torch.allclose(operator.dense(), truth, atol=1e-12)


def test_a_result_is_not_overwritten_by_the_next_product(backend: Any) -> None:
    case = nested(4)
    omega, alpha = Vector.of(case.omega), Vector.of(case.alpha)
    curvature = Traced()(case.problem, omega, alpha)
    found = [curvature.hessian @ omega, curvature.mixed @ omega, curvature.gradient]
    before = [vector.flat().clone() for vector in found]
    curvature.hessian @ (2 * omega), curvature.mixed @ (2 * omega)
    Traced()(case.problem, 2 * omega, alpha)
    for vector, values in zip(found, before, strict=True):
        assert torch.equal(vector.flat(), values)


MATRICES = torch.randn(3, 3, 4, 4, generator=torch.Generator().manual_seed(0), dtype=f64)


def composed(choices: list[int]) -> Any:
    """A loss of ω and α (4×4 each) by a random program: values are read again, soon or late."""

    def inner(w: Any, a: Any) -> torch.Tensor:
        values = [w, a, w * a, MATRICES[0, 0]]
        for position, choice in enumerate(choices):
            x, y = values[choice % len(values)], values[(choice // 7) % len(values)]
            kind = (choice // 49) % 10
            value = [
                lambda x, y: x + y,
                lambda x, y: x * y,
                lambda x, y: x @ y,
                lambda x, y: x.T - y,
                lambda x, y: torch.tanh(x),
                lambda x, y: x + y.sum(1, keepdim=True),
                lambda x, y: x.reshape(2, 8).T.reshape(4, 4) + y,
                lambda x, y: torch.cat([x[:2], y[2:]]).exp() * 0.1,
                lambda x, y: F.softplus(x) * y.sum(0),
                lambda x, y: torch.stack(x.unbind(1)) / (1 + y.square()),
            ][kind](x, y)
            values.append(value / (1 + value.detach().abs().max()) if position % 3 == 2 else value)
        return sum(value.square().mean() for value in values[-3:]) + (w**4).sum()

    return inner


def assert_like_autograd(seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    length = int(torch.randint(3, 12, (), generator=draw))
    choices = torch.randint(4900, (length,), generator=draw).tolist()
    problem = BilevelProblem(composed(choices), lambda w, a: w.sum())
    omega, alpha = Vector.of(MATRICES[1, 0]), Vector.of(MATRICES[1, 1])
    derivatives = Traced()
    traced, plain = derivatives(problem, omega, alpha), Autograd()(problem, omega, alpha)
    assert isinstance(program_of(derivatives, problem), ArrayProgram)
    for v in MATRICES[2]:
        for name in ("hessian", "mixed"):
            expected = getattr(plain, name).on_flat(v.reshape(-1))
            error = getattr(traced, name).on_flat(v.reshape(-1)) - expected
            assert float(error.norm()) <= 1e-11 * float(1 + expected.norm()), choices


@pytest.mark.parametrize("seed", range(8))
def test_random_programs_give_the_products_of_autograd(seed: int) -> None:
    assert_like_autograd(seed)


def test_a_random_program_is_right_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BILEVEL_NATIVE")
    assert_like_autograd(2)


@pytest.mark.slow
@pytest.mark.parametrize("native", ["off", ""])
def test_three_hundred_random_programs_give_the_products_of_autograd(
    native: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BILEVEL_NATIVE", native)
    for seed in range(8, 308):
        assert_like_autograd(seed)


def outer_of(kind: str) -> Any:
    """L_val of both, of ω alone, of α alone, of neither; one that branches, one that draws."""
    return {
        "both": lambda w, a: ((w["x"] - a) ** 2).sum().exp() * 0.1 + w["y"].sum() * a[0],
        "omega": lambda w, a: (w["x"].tanh() ** 3).sum(),
        "alpha": lambda w, a: (a**3).mean(),
        "neither": lambda w, a: torch.tensor(2.0, dtype=f64),
        "branching": lambda w, a: (w["x"] ** 2).sum() if w["x"][0] > 0 else a.sum(),
        "itself": lambda w, a: w["y"][0, 0],
    }[kind]


@pytest.mark.parametrize("kind", ["both", "omega", "alpha", "neither", "branching", "itself"])
def test_the_gradients_of_the_outer_loss_are_those_of_autograd(kind: str) -> None:
    problem, derivatives = BilevelProblem(lambda w, a: w.sum(), outer_of(kind)), Traced()
    for sign in (1.0, -1.0, 2.0):
        omega = Vector.of({"x": sign * ONE, "y": sign * torch.eye(2, dtype=f64)})
        alpha = Vector.of(0.3 * ONE)
        expected = problem.outer_gradients(omega, alpha)
        found = derivatives.outer_gradients(problem, omega, alpha)
        assert found[0] == pytest.approx(expected[0], rel=1e-14)
        for x, y in zip(found[1:], expected[1:], strict=True):
            assert torch.allclose(x.flat(), y.flat(), rtol=1e-14, atol=0)
            assert x.treespec == y.treespec
    (function,) = derivatives._outer_traces[problem].values()
    assert (function is None) == (kind in ("neither", "branching"))


def test_an_outer_loss_that_becomes_infinite_is_an_error_here_too() -> None:
    problem = BilevelProblem(lambda w, a: w.sum(), lambda w, a: w.log().sum())
    derivatives, alpha = Traced(), Vector.of(ONE)
    derivatives.outer_gradients(problem, Vector.of(ONE), alpha)
    with pytest.raises(NonFiniteError, match="outer"):
        derivatives.outer_gradients(problem, Vector.of(0 * ONE), alpha)


def network(w: Any, a: Any) -> torch.Tensor:
    """Kinks, a batched product, a bias: operations that NumPy has, and some that it has not."""
    x = torch.linspace(-1, 1, 24, dtype=w["a"].dtype).reshape(2, 4, 3)
    hidden = F.relu(F.linear(x.reshape(8, 3), w["a"], w["b"])).reshape(2, 4, 5)
    scores = torch.bmm(hidden, hidden.transpose(1, 2)).softmax(-1)
    return (scores.square().sum() + F.silu(hidden).mean()) * a.exp() + w["b"].square().sum()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_operations_that_numpy_lacks_run_in_torch(dtype: torch.dtype, backend: Any) -> None:
    generator = torch.Generator().manual_seed(0)
    omega = Vector.of(
        {
            "a": torch.randn(5, 3, generator=generator, dtype=dtype),
            "b": torch.randn(5, generator=generator, dtype=dtype),
        }
    )
    alpha = Vector.of(torch.tensor(0.3, dtype=dtype))
    problem = BilevelProblem(network, lambda w, a: w["a"].sum())
    traced, plain = Traced()(problem, omega, alpha), Autograd()(problem, omega, alpha)
    for name in ("hessian", "mixed"):
        expected = getattr(plain, name).dense()
        error = getattr(traced, name).dense() - expected
        assert error.dtype == dtype
        assert float(error.norm()) <= 50 * torch.finfo(dtype).eps * float(expected.norm())


def test_values_that_numpy_cannot_hold_are_run_by_torch() -> None:
    def inner(w: Any, a: Any) -> torch.Tensor:
        return (w.bfloat16().float() ** 2).sum() * a.sum() + (w**4).sum()

    problem, derivatives = BilevelProblem(inner, lambda w, a: w.sum()), Traced()
    point = Vector.of(ONE.float()), Vector.of(ONE.float())
    traced, plain = derivatives(problem, *point), Autograd()(problem, *point)
    assert isinstance(program_of(derivatives, problem), TorchProgram)
    assert torch.allclose(traced.hessian.dense(), plain.hessian.dense())


def test_what_is_not_finite_is_an_error_here_too() -> None:
    problem = BilevelProblem(lambda w, a: (w.abs() ** 1.5).sum() * a, lambda w, a: w.sum())
    with pytest.raises(NonFiniteError, match="second derivative"):
        ConjugateGradient(derivatives=Traced())(
            problem, torch.zeros(3, dtype=f64), torch.tensor(1.0, dtype=f64)
        )


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
def test_networks_are_traced(make: Any, backend: Any) -> None:
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
    program = program_of(derivatives, ready.problem)
    assert isinstance(program, backend)
    if isinstance(program, TorchProgram):
        scripted = isinstance(program.hessian.compiled, torch.jit.ScriptFunction)
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
