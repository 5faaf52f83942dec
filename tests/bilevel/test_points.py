"""What serves as ω and α, in which modes, and estimators of one's own in `compare`."""

from __future__ import annotations

import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from bilevel import Autograd, BilevelProblem, CentralDifference, Vector, check, compare, recommend
from bilevel.derivatives import ReverseOverForward
from bilevel.diagnostics import certificate, spectrum_ends, stationarity
from bilevel.estimators import (
    ConjugateGradient,
    DartsSecondOrder,
    DiagonalPreconditioner,
    Estimator,
    Exact,
    Hypergradient,
    NystromPreconditioner,
    Unrolled,
)
from bilevel.problems import quadratic
from bilevel.unsupported import UnsupportedDerivativeError
from tests.estimators import ESTIMATORS, ETA
from tests.planted_faults import PLANTED

f64 = torch.float64
X = torch.randn(6, 3, dtype=f64, generator=torch.Generator().manual_seed(0))
every_estimator = pytest.mark.parametrize("name", ESTIMATORS)


def net() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(3, 1, dtype=f64)


def by_name(weight: Any, bias: Any) -> BilevelProblem:
    """Ridge regression of a linear map that is found in ω by two keys."""

    def fit(w: Any, sign: float) -> torch.Tensor:
        return (X @ w[weight].reshape(3) + w[bias] - sign).square().mean()

    return BilevelProblem(
        lambda w, a: fit(w, 1) + a.exp() * (w[weight].square().sum() + w[bias].square().sum()),
        lambda w, a: fit(w, -1),
    )


ALPHA = torch.tensor(-1.0, dtype=f64)
POINTS: dict[str, tuple[Any, Any]] = {
    "state_dict": (lambda n: n.state_dict(), ("weight", "bias")),
    "parameters": (lambda n: n.parameters(), (0, 1)),
    "a tuple of parameters": (lambda n: tuple(n.parameters()), (0, 1)),
    "ParameterDict": (lambda n: nn.ParameterDict(dict(n.named_parameters())), ("weight", "bias")),
    "ParameterList": (lambda n: nn.ParameterList(n.parameters()), (0, 1)),
    "OrderedDict": (lambda n: OrderedDict(n.named_parameters()), ("weight", "bias")),
}


@pytest.mark.parametrize("kind", POINTS)
def test_every_usual_holder_of_parameters_serves_as_omega(kind: str) -> None:
    hold, keys = POINTS[kind]
    expected = Exact()(by_name("weight", "bias"), dict(net().named_parameters()), ALPHA).total
    assert Exact()(by_name(*keys), hold(net()), ALPHA).total == pytest.approx(float(expected))
    nested = BilevelProblem(
        lambda w, a: by_name(*keys).inner(w["net"], a),
        lambda w, a: by_name(*keys).outer(w["net"], a),
    )
    assert Exact()(nested, {"net": hold(net())}, ALPHA).total == pytest.approx(float(expected))


def test_alpha_may_be_a_parameter_dict() -> None:
    problem = BilevelProblem(
        lambda w, a: (w - 1).square().sum() + a["decay"].exp() * w.square().sum(),
        lambda w, a: (w + 1).square().sum(),
    )
    w = torch.ones(2, dtype=f64)
    decay = torch.tensor(0.5, dtype=f64)
    held = Exact()(problem, w, nn.ParameterDict({"decay": decay}))
    assert torch.equal(held.total["decay"], Exact()(problem, w, {"decay": decay}).total["decay"])


@pytest.mark.parametrize(
    ("omega", "message"),
    [
        (nn.BatchNorm1d(3).state_dict(), r"\['num_batches_tracked'\].*named_parameters\(\)"),
        (nn.Linear(3, 1), r"leaf <root> is a module, Linear.*dict\(module.named_parameters\(\)\)"),
        ([torch.ones(3, dtype=torch.complex64)], r"torch\.view_as_real"),
    ],
)
def test_what_cannot_be_a_point_is_refused_with_what_can(omega: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        Exact()(by_name(0, 1), omega, ALPHA)


@pytest.mark.filterwarnings("ignore::bilevel.estimators.HypergradientWarning")
@every_estimator
@pytest.mark.parametrize("derivatives", [Autograd(), CentralDifference()], ids=repr)
def test_estimates_in_inference_mode_are_those_outside_of_it(name: str, derivatives: Any) -> None:
    estimator = ESTIMATORS[name].make(ETA, derivatives)
    omega = dict(net().named_parameters())
    outside = estimator(by_name("weight", "bias"), omega, ALPHA).total
    with torch.inference_mode():
        inside = estimator(by_name("weight", "bias"), omega, ALPHA).total
        made = {key: leaf.clone() for key, leaf in omega.items()}
        assert made["weight"].is_inference()
        of_inference = estimator(by_name("weight", "bias"), made, ALPHA.clone()).total
    assert torch.equal(inside, outside)
    assert torch.equal(of_inference, outside)


@pytest.mark.filterwarnings("ignore::bilevel.estimators.HypergradientWarning")
@pytest.mark.parametrize(
    "estimator",
    [
        *(ESTIMATORS[name].make(ETA, Autograd()) for name in ESTIMATORS),
        ConjugateGradient(3, preconditioner=NystromPreconditioner(2)),
        ConjugateGradient(3, preconditioner=DiagonalPreconditioner()),
        Exact(derivatives=Autograd(chunk=3)),
    ],
    ids=repr,
)
def test_a_default_device_does_not_reach_points_elsewhere(estimator: Estimator) -> None:
    """The device "meta" stands for a GPU: a tensor that is made there has no numbers."""
    omega = dict(net().named_parameters())
    usual = estimator(by_name("weight", "bias"), omega, ALPHA).total
    with torch.device("meta"):
        assert torch.equal(estimator(by_name("weight", "bias"), omega, ALPHA).total, usual)


def test_diagnostics_work_under_a_default_device() -> None:
    point = quadratic(30, 2, condition=5.0, seed=4).point
    wrong = PLANTED["a backward that is right once and wrong twice"].make()

    def said() -> list[str]:
        return [str(check(*point)), str(check(*wrong)), str(recommend(*point))]

    usual, ends = said(), spectrum_ends(*point)
    assert "At fault: the custom function" in usual[1]
    with torch.device("meta"):
        assert said() == usual
        assert spectrum_ends(*point) == ends


def test_diagnostics_work_in_inference_mode() -> None:
    ready = quadratic(8, 2, condition=5.0, seed=4)
    with torch.inference_mode():
        assert spectrum_ends(*ready.point).highest == pytest.approx(1, rel=1e-6)
        assert stationarity(*ready.point).inner_gradient_norm < 1e-10
        assert check(*ready.point).ok
        problem, omega, alpha = ready.point
        omega, alpha = (Vector.of(tree).flat().clone() for tree in (omega, alpha))
        assert omega.is_inference()
        assert str(check(problem, omega, alpha)) == str(check(*ready.point))
        assert compare(*ready.point, [Exact()], repetitions=0).rows[0].error_implicit == 0
        assert "Use Certified" in str(recommend(*ready.point))
        q = Exact()(*ready.point).solve
        assert q is not None
        assert certificate(*ready.point, q.value, mu=0.1).sign


@pytest.mark.parametrize("derivatives", [Autograd(), CentralDifference(), ReverseOverForward()])
def test_expanded_tensors_are_points_like_others(derivatives: Any) -> None:
    problem = BilevelProblem(
        lambda w, a: (w - 1).square().sum() + (a.exp() * w.square()).sum() + w.prod(),
        lambda w, a: (w + 1).pow(3).sum(),
    )
    omega = torch.tensor([[0.5], [0.7]], dtype=f64).expand(2, 3)
    alpha = ALPHA.expand(3)
    expected = Exact()(problem, omega.contiguous(), alpha.contiguous()).total
    found = Exact(derivatives=derivatives)(problem, omega, alpha).total
    assert torch.allclose(found, expected, rtol=1e-6)
    assert check(problem, omega, alpha, derivatives=derivatives).ok
    beside = BilevelProblem(lambda w, a: problem.inner(w, a) + alpha.sum(), problem.outer)
    assert "reads it from the enclosing scope" in str(check(beside, omega, alpha))


def test_sparse_tensors_are_refused_with_a_remedy() -> None:
    with pytest.raises(TypeError, match=r"leaf <root>.*sparse_coo.*to_dense\(\)"):
        Exact()(by_name(0, 1), torch.eye(3, dtype=f64).to_sparse(), ALPHA)
    assert "to_dense()" in str(check(by_name(0, 1), torch.eye(3, dtype=f64).to_sparse(), ALPHA))


class Mine(Estimator):
    """One of a user's own: no dataclass, no derivatives."""

    def __init__(self, scale: float = 1.0) -> None:
        self.scale = scale

    def estimate(self, problem: BilevelProblem, omega: Vector, alpha: Vector) -> Hypergradient:
        loss, direct = problem.outer_gradient_alpha(omega, alpha)
        implicit = -self.scale * problem.inner_gradient_alpha(omega, alpha)
        return Hypergradient(direct.tree(), implicit.tree(), loss)


@pytest.mark.parametrize("given", [{"mine": Mine(), "exact": Exact()}, [Mine(), Exact()]])
def test_an_estimator_of_ones_own_is_a_row_of_compare(given: Any, tmp_path: Path) -> None:
    table = compare(*quadratic(8, 2, seed=4).point, given, repetitions=1)
    row = table.rows[0]
    assert row.failure is None
    assert row.estimator in ("mine", "Mine")
    assert row.count is not None
    assert (row.count.inner_evaluations, row.count.outer_evaluations) == (1, 1)
    assert row.estimator in str(table)
    written = table.to_json(str(tmp_path / "table.json"))  # a path as text
    assert (tmp_path / "table.json").read_text() == written + "\n"
    assert table.plot(str(tmp_path / "table.svg")).is_file()


@every_estimator
def test_every_estimator_can_be_pickled(name: str) -> None:
    estimator = ESTIMATORS[name].make(ETA, Autograd(chunk=2))
    assert pickle.loads(pickle.dumps(estimator)) == estimator


TWO = BilevelProblem(
    lambda w, a: (w["weight"] - a[0]).square().sum() + 2 * (w["bias"] - a[1]).square().sum(),
    lambda w, a: w["weight"].square().sum() + 3 * w["bias"].sin().sum(),
)
"""Two leaves of one shape: dictionaries go by sorted keys, so that "bias" is the first."""


@pytest.mark.parametrize(
    "hold",
    [lambda w: list(w.values()), OrderedDict, lambda w: {"a": w["weight"], "b": w["bias"]}],
    ids=["list", "OrderedDict", "other keys"],
)
def test_trees_that_go_with_omega_are_refused_in_another_structure(hold: Any) -> None:
    omega = {"weight": torch.randn(3, dtype=f64), "bias": torch.randn(3, dtype=f64)}
    alpha = torch.tensor([0.1, 0.2], dtype=f64)

    def taken(change: Any) -> tuple[Any, ...]:
        def rates(a: torch.Tensor) -> Any:
            return change({"weight": a[0], "bias": a[1]})

        velocity = change({"weight": torch.ones(3, dtype=f64), "bias": torch.zeros(3, dtype=f64)})
        return (
            lambda: Unrolled(2, lr=rates)(TWO, omega, alpha),
            lambda: DartsSecondOrder(0.1, momentum=0.9, velocity=velocity)(TWO, omega, alpha),
            lambda: certificate(TWO, omega, alpha, change(omega), mu=2.0),
        )

    for call in taken(dict):
        call()
    rate, velocity, q = taken(hold)
    with pytest.raises(ValueError, match=r"ω has \['bias'\] of shape .*would be a guess"):
        rate()
    for call in (velocity, q):
        with pytest.raises(ValueError, match=r"and ω has \['bias'\] of shape \(3,\)"):
            call()


@pytest.mark.parametrize("transformed", [torch.func.vmap, torch.func.grad])
def test_transformations_of_functions_are_sent_to_calls_outside(transformed: Any) -> None:
    problem, params, _ = quadratic().point

    def estimate(a: torch.Tensor) -> Any:
        return ConjugateGradient()(problem, params, a).implicit

    with pytest.raises(UnsupportedDerivativeError, match=r"torch\.func.*Call it outside"):
        transformed(estimate)(torch.ones(2, 3, dtype=f64))
