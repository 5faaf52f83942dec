"""Bad input is refused with what was found; a module's buffers and the random state stay as is."""

from __future__ import annotations

import contextlib
import re
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from bilevel import BilevelProblem, CentralDifference, NonFiniteError, Vector, check
from bilevel.estimators import Amended, Exact, FirstOrder
from tests.dense import dense
from tests.estimators import ESTIMATORS, ETA

f64 = torch.float64


def ask(inner: Any, outer: Any, omega: Any, alpha: Any) -> Any:
    return Amended(0.1)(BilevelProblem(inner, outer), omega, alpha)


def square(w: Any, a: Any) -> torch.Tensor:
    return ((w - a) ** 2).sum()


@pytest.mark.parametrize(
    ("inner", "outer", "omega", "alpha", "error", "message"),
    [
        (
            lambda w, a: (w - a) ** 2,
            square,
            3,
            3,
            ValueError,
            r"inner loss must be a scalar.*\(3,\)",
        ),
        (square, lambda w, a: w, 3, 3, ValueError, r"outer loss must be a scalar.*\(3,\)"),
        (
            lambda w, a: square(w, a).item(),
            square,
            3,
            3,
            TypeError,
            r"inner loss returned a float, not a tensor.*without \.item\(\)",
        ),
        (square, lambda w, a: None, 3, 3, TypeError, "outer loss returned a NoneType.*return one"),
        (
            square,
            lambda w, a: (square(w, a), w),
            3,
            3,
            TypeError,
            "outer loss returned a tuple.*nothing beside it",
        ),
        (lambda w, a: square(w, a + 1) / 0, square, 3, 3, NonFiniteError, "inner loss is inf"),
        (
            square,
            lambda w, a: square(w, a) * float("nan"),
            3,
            3,
            NonFiniteError,
            "outer loss is nan",
        ),
        (square, square, torch.ones(3), torch.ones(3, dtype=f64), ValueError, "ω is torch.float32"),
        (square, square, torch.ones(3, dtype=torch.int64), torch.ones(3), TypeError, "torch.int64"),
        (
            square,
            square,
            {"a": 1},
            torch.ones(3),
            TypeError,
            r"leaf \['a'\] is a int;.* Pass torch.tensor\(1.0\) of the other leaves' dtype",
        ),
        (square, square, torch.ones(3), np.ones(3), TypeError, r"Pass torch.as_tensor\(leaf\)"),
        (square, square, torch.ones(3), {"a": "b"}, TypeError, "Pass the tensors that it holds"),
        (square, square, {}, torch.ones(3), ValueError, "this dict holds none"),
        (
            square,
            square,
            [torch.ones(1), torch.ones(1, dtype=f64)],
            torch.ones(3),
            ValueError,
            r"leaf \[1\] is torch.float64.*first leaf is torch.float32",
        ),
        (square, square, torch.ones(3), torch.ones(3, device="meta"), ValueError, "on meta"),
        (
            lambda w, a: w[0].sum() * a.sum(),
            lambda w, a: w[0].sum(),
            [torch.ones(2), torch.ones(2)],
            torch.ones(3),
            ValueError,
            r"ignores 1 of 2 leaves of ω \(\[1\]\)",
        ),
        (lambda w, a: a.sum(), square, torch.ones(3), torch.ones(3), ValueError, "ignores 1 of 1"),
        (
            lambda w, a: square(w.detach(), a.detach()),
            square,
            torch.ones(3),
            torch.ones(3),
            ValueError,
            "does not depend on ω at all",
        ),
        (square, lambda w, a: (w - 1).norm() + a.sum(), torch.ones(3), torch.ones(3), None, ""),
        (
            lambda w, a: (w.abs() ** 1.5).sum() * a.sum(),
            lambda w, a: w.sum(),
            torch.zeros(3),
            torch.ones(3),
            NonFiniteError,
            "implicit term has norm",
        ),
    ],
)
def test_refuses_bad_input_with_what_it_found(
    inner: Any, outer: Any, omega: Any, alpha: Any, error: Any, message: str
) -> None:
    omega = torch.ones(omega) if isinstance(omega, int) else omega
    alpha = torch.ones(alpha) if isinstance(alpha, int) else alpha
    if error is None:
        ask(inner, outer, omega, alpha)
        return
    with pytest.raises(error, match=message):
        ask(inner, outer, omega, alpha)


def test_a_scalar_tensor_gives_a_scalar_tensor() -> None:
    one = torch.tensor(1.0, dtype=f64)
    result = ask(lambda w, a: (w - a) ** 2, lambda w, a: (2 * w - a) ** 2, one, one)
    assert (result.direct.item(), result.implicit.item()) == pytest.approx((-2.0, 1.6))
    assert result.total.shape == ()


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 5, dtype=f64)
        self.norm = nn.BatchNorm1d(5, dtype=f64)
        self.drop = nn.Dropout(0.5)
        self.last = nn.Linear(5, 1, dtype=f64)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.drop(torch.tanh(self.norm(self.first(x)))))


def module_problem() -> tuple[Small, BilevelProblem, Any, Any]:
    torch.manual_seed(0)
    module = Small()
    x, y = torch.randn(8, 4, dtype=f64), torch.randn(8, 1, dtype=f64)

    def inner(net: Any, decay: torch.Tensor) -> torch.Tensor:
        penalty = sum((p**2).sum() for p in net.params.values())
        return ((net(x) - y) ** 2).mean() + 0.5 * decay.exp() * penalty

    def outer(net: Any, decay: torch.Tensor) -> torch.Tensor:
        return ((net(x) + y) ** 2).mean()

    problem, params, decay = BilevelProblem.from_module(
        module, inner, outer, hyperparams=torch.tensor(-1.0, dtype=f64)
    )
    return module, problem.replaying(3), params, decay


@pytest.mark.filterwarnings("ignore::bilevel.estimators.HypergradientWarning")
@pytest.mark.parametrize("name", ESTIMATORS)
def test_from_module_never_writes_buffers_or_random_state(name: str) -> None:
    module, problem, params, decay = module_problem()
    assert list(params) == [name for name, _ in module.named_parameters()]
    before = {key: value.clone() for key, value in module.state_dict().items()}
    state = torch.get_rng_state()
    estimator = ESTIMATORS[name].make(ETA, CentralDifference())
    refusal = ESTIMATORS[name].refusal
    # differences and dropout leave H indefinite: a refusal is an answer
    with contextlib.suppress(*([] if refusal is None else [refusal[0]])):
        estimator(problem, params, decay)
    assert all(torch.equal(value, before[key]) for key, value in module.state_dict().items())
    assert torch.equal(state, torch.get_rng_state())


def test_from_module_replays_dropout_and_equals_the_dense_oracle() -> None:
    _, problem, params, decay = module_problem()
    assert problem.inner(params, decay) == problem.inner(params, decay)
    result = Amended(0.1)(problem, params, decay)
    leaves = {name: p.detach() for name, p in params.items()}
    oracle = dense(problem.inner, problem.outer, leaves, decay)
    assert result.implicit.reshape(1).allclose(oracle.amended(0.1), rtol=1e-10)


def test_from_module_refuses_alpha_among_the_weights() -> None:
    module = Small()
    with pytest.raises(ValueError, match=r"own parameter 'last\.bias'"):
        BilevelProblem.from_module(
            module, lambda n, a: a, lambda n, a: a, hyperparams={"bias": module.last.bias}
        )


def test_from_module_refuses_a_module_without_trainable_parameters() -> None:
    with pytest.raises(ValueError, match="Tanh has no trainable parameters"):
        BilevelProblem.from_module(
            nn.Tanh(), lambda n, a: a, lambda n, a: a, hyperparams=torch.ones(1)
        )


def test_estimators_work_under_no_grad() -> None:
    one = torch.tensor(1.0, dtype=f64)
    problem = BilevelProblem(lambda w, a: (w - a) ** 2, lambda w, a: (2 * w - a) ** 2)
    with torch.no_grad():
        assert Exact()(problem, one, one).total.item() == pytest.approx(2.0)
        assert FirstOrder()(problem, one, one).total.item() == -2.0
    assert Vector.of(one).names() == ["<root>"]


@pytest.mark.parametrize("which", ["inner", "outer"])
def test_a_complex_loss_is_refused_by_its_side(which: str) -> None:
    def real(w: torch.Tensor, a: torch.Tensor) -> torch.Tensor:
        return (w - a).square().sum()

    losses: Any = {"inner": real, "outer": real} | {which: lambda w, a: real(w, a) * (1 + 0j)}
    point = torch.ones(2, dtype=torch.float64), torch.zeros(2, dtype=torch.float64)
    problem = BilevelProblem(**losses)
    words = rf"the {which} loss is complex \(torch\.complex128\)"
    with pytest.raises(TypeError, match=words):
        Exact()(problem, *point)
    assert re.search(words, str(check(problem, *point)))
