"""A loss that takes ω or α past its arguments, or writes to them, is refused by name."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bilevel import BilevelProblem, CentralDifference, ReverseOverForward, check, solve
from bilevel.connection import DisconnectedError
from bilevel.derivatives import Autograd, Derivatives
from bilevel.estimators import Amended, ConjugateGradient, FirstOrder, Stranger, Unrolled
from tests.planted_faults import remembering

f64 = torch.float64
X = torch.randn(9, 3, dtype=f64, generator=torch.Generator().manual_seed(1))
Y = torch.randn(9, dtype=f64, generator=torch.Generator().manual_seed(2))
each_way = pytest.mark.parametrize(
    "how", [Autograd(), ReverseOverForward(), CentralDifference()], ids=lambda how: str(how)[:8]
)


def fit(w: Tensor) -> Tensor:
    return (X @ w - Y).square().mean()


def ridge(w: Tensor, a: Tensor) -> Tensor:
    return fit(w) + (a.exp() * w.square()).sum()


def point() -> tuple[Tensor, Tensor]:
    return (
        torch.ones(3, dtype=f64, requires_grad=True),
        torch.full((3,), -1.0, dtype=f64, requires_grad=True),
    )


@each_way
@pytest.mark.parametrize("symbol", ["ω", "α"])
def test_a_leaf_from_the_scope_beside_the_argument_is_refused(how: Derivatives, symbol: str):
    omega, alpha = point()
    own = {"ω": omega, "α": alpha}[symbol]
    problem = BilevelProblem(lambda w, a: ridge(w, a) + own.square().sum(), lambda w, a: fit(-w))
    with pytest.raises(DisconnectedError, match=rf"inner loss takes the leaf <root> of {symbol}"):
        Amended(0.1, derivatives=how)(problem, omega, alpha)
    copied = own.detach().clone()  # a constant that is meant
    meant = BilevelProblem(lambda w, a: ridge(w, a) + copied.sum(), problem.outer)
    plain = BilevelProblem(ridge, problem.outer)
    found, expected = (Amended(0.1)(each, omega, alpha).total for each in (meant, plain))
    assert torch.equal(found, expected)


@each_way
def test_the_modules_own_parameters_in_a_penalty_are_refused(how: Derivatives) -> None:
    net = nn.Linear(3, 1, dtype=f64)

    def penalised(n: Any, a: Tensor) -> Tensor:
        return n(X).square().mean() + a.exp() * sum(p.square().sum() for p in net.parameters())

    case = BilevelProblem.from_module(
        net, penalised, lambda n, a: n(X).mean(), hyperparams=torch.zeros((), dtype=f64)
    )
    with pytest.raises(DisconnectedError, match=r"inner loss takes the leaf \['(weight|bias)'\]"):
        Amended(0.1, derivatives=how)(*case)


def test_solve_knows_the_tensors_that_it_was_given_though_it_moves_copies() -> None:
    omega, alpha = point()
    problem = BilevelProblem(lambda w, a: ridge(w, a) + alpha.sum(), lambda w, a: fit(-w))

    def sgd(leaves: list[Tensor]) -> torch.optim.Optimizer:
        return torch.optim.SGD(leaves, lr=0.01)

    with pytest.raises(DisconnectedError, match="leaf <root> of α"):
        solve(problem, Amended(0.1), omega, alpha, inner=sgd, outer=sgd, steps=1)


def test_one_tensor_as_omega_and_alpha_is_two_arguments() -> None:
    """Implicit MAML begins with ω = α."""
    both = torch.ones(3, dtype=f64, requires_grad=True)
    problem = BilevelProblem(
        lambda w, a: fit(w) + 0.5 * (w - a).square().sum(), lambda w, a: fit(-w)
    )
    found = ConjugateGradient(stationary=None)(problem, both, both).total
    copies = both.detach().clone(), both.detach().clone()
    assert torch.equal(found, ConjugateGradient(stationary=None)(problem, *copies).total)


class Kept:
    def __init__(self, scale: nn.Parameter) -> None:
        self.scale = scale


class Hidden(nn.Module):
    """Keeps a parameter where no walk over containers finds it."""

    def __init__(self, trainable: bool) -> None:
        super().__init__()
        self.last = nn.Linear(3, 1, dtype=f64)
        self.kept = Kept(nn.Parameter(torch.ones(1, dtype=f64), requires_grad=trainable))

    def forward(self, x: Tensor) -> Tensor:
        return self.last(x) * self.kept.scale


def test_a_trainable_parameter_that_is_neither_is_told_and_a_frozen_one_is_not() -> None:
    def case(trainable: bool) -> Any:
        def loss(n: Any, a: Tensor) -> Tensor:
            return n(X).square().mean() + a.exp() * n.last.weight.square().sum()

        alpha = torch.zeros((), dtype=f64)
        return BilevelProblem.from_module(Hidden(trainable), loss, loss, hyperparams=alpha)

    with pytest.warns(Stranger, match=r"neither in ω nor in α \(1, such as one of shape \(1,\)"):
        Amended(0.1)(*case(True))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Amended(0.1)(*case(False))


@pytest.mark.parametrize("estimator", [Amended(0.1), Unrolled(2, lr=0.1)], ids=repr)
def test_what_a_module_keeps_from_an_earlier_evaluation_is_refused(estimator: Any) -> None:
    """The first estimate is right, and the later ones lacked what it kept."""
    case = remembering()
    estimator(*case)
    with pytest.raises(DisconnectedError, match=r"inner loss.*first.weight.*an earlier evaluation"):
        estimator(*case)


def test_a_loss_may_track_a_constant_itself() -> None:
    """Where ω is not differentiated, and of a tensor of its own."""

    def own(w: Tensor, a: Tensor) -> Tensor:
        x = X.clone().requires_grad_()
        (slope,) = torch.autograd.grad((x @ w).square().sum(), x, create_graph=True)
        return ridge(w, a) + slope.square().sum()

    omega, alpha = point()
    problem = BilevelProblem(own, lambda w, a: fit(-w) + a.sum())
    for estimator in (FirstOrder(), Amended(0.1), Amended(0.1, derivatives=ReverseOverForward())):
        estimator(problem, omega, alpha)
    estimator(problem, omega, omega)  # one tensor as both


@each_way
@pytest.mark.parametrize("symbol", ["ω", "α"])
def test_a_loss_that_writes_to_its_arguments_is_refused(how: Derivatives, symbol: str) -> None:
    def written(w: Tensor, a: Tensor) -> Tensor:
        with torch.no_grad():
            (w if symbol == "ω" else a).clamp_(-0.5, 0.5)
        return ridge(w, a)

    omega, alpha = (leaf.detach() for leaf in point())
    problem = BilevelProblem(written, lambda w, a: fit(-w))
    with pytest.raises(ValueError, match=rf"wrote to the leaf <root> of {symbol} in place"):
        Amended(0.1, derivatives=how)(problem, omega, alpha)


@each_way
def test_a_loss_may_take_a_gradient_in_omega_itself(how: Derivatives) -> None:
    """Sharpness-aware losses do, also where ω is a constant to the package."""

    def sharp(w: Tensor, a: Tensor) -> Tensor:
        (slope,) = torch.autograd.grad(ridge(w, a), w, create_graph=True)
        return ridge(w + 0.05 * slope, a)

    def spelled_out(w: Tensor, a: Tensor) -> Tensor:
        slope = 2 * X.T @ (X @ w - Y) / len(X) + 2 * a.exp() * w
        return ridge(w + 0.05 * slope, a)

    omega, alpha = point()
    found, expected = (
        Amended(0.1, derivatives=how)(BilevelProblem(loss, loss), omega, alpha).total
        for loss in (sharp, spelled_out)
    )
    # differences: their error is some eps^(2/3) = 4e-11 times third derivatives of order 10
    assert torch.allclose(found, expected, rtol=1e-8 if how == CentralDifference() else 1e-12)


def test_a_check_leaves_the_tensors_as_they_were_bit_by_bit() -> None:
    """It changes them for a moment, to see whether a loss reads them past its arguments."""
    omega, alpha = point()
    graph = (alpha * omega).square().sum()  # one of the caller's, that holds both
    kept = omega.detach().clone(), alpha.detach().clone()
    report = check(BilevelProblem(ridge, lambda w, a: fit(-w)), omega, alpha)
    assert report.ok
    assert torch.equal(omega, kept[0])
    assert torch.equal(alpha, kept[1])
    graph.backward()
    centre = BilevelProblem(
        lambda w, a: ridge(w, a) + (w - omega.detach()).square().sum(), lambda w, a: fit(-w)
    )
    told = check(centre, omega, alpha)
    assert told.ok
    assert "ω<root>: a loss reads it from the enclosing scope too" in str(told)
