"""A loss that takes ω or α from elsewhere than its arguments is refused by name, never zero."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch

from bilevel import BilevelProblem, CentralDifference, compare, recommend
from bilevel.connection import DisconnectedError
from bilevel.estimators import ConjugateGradient, Disconnected, FirstOrder
from bilevel.estimators.alerts import CheckFailed
from tests.estimators import ESTIMATORS, ETA

f64 = torch.float64
every_estimator = pytest.mark.parametrize("name", ESTIMATORS)
X = torch.randn(9, 3, dtype=f64, generator=torch.Generator().manual_seed(1))
Y = torch.randn(9, dtype=f64, generator=torch.Generator().manual_seed(2))


def fit(w: torch.Tensor) -> torch.Tensor:
    return (X @ w - Y).square().mean()


def point() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.ones(3, dtype=f64, requires_grad=True), torch.zeros(
        3, dtype=f64, requires_grad=True
    )


def estimate(name: str, problem: BilevelProblem, omega: Any, alpha: Any) -> Any:
    # differences: ones whose products see no graph at all
    return ESTIMATORS[name].make(ETA, CentralDifference())(problem, omega, alpha)


@every_estimator
def test_alpha_from_the_enclosing_scope_is_refused_by_name(name: str) -> None:
    omega, alpha = point()
    problem = BilevelProblem(lambda w, a: fit(w) + (alpha.exp() * w**2).sum(), lambda w, a: fit(-w))
    message = "inner loss takes the leaf <root> of α from the enclosing scope"
    with pytest.raises(DisconnectedError, match=message):
        estimate(name, problem, omega, alpha)


@every_estimator
def test_alpha_that_no_loss_uses_is_refused_by_name_though_another_leaf_is_used(name: str) -> None:
    omega, alpha = point()
    problem = BilevelProblem(
        lambda w, a: fit(w) + (a["decay"].exp() * w**2).sum(), lambda w, a: fit(-w)
    )
    hyperparams = {"decay": alpha, "unused": torch.ones(2, dtype=f64)}
    with pytest.raises(DisconnectedError, match=r"neither loss uses 1 of 2 .*\(\['unused'\]\)"):
        estimate(name, problem, omega, hyperparams)


@every_estimator
def test_a_direct_term_through_the_enclosing_scope_is_refused_though_g2_is_there(name: str) -> None:
    omega, alpha = point()
    problem = BilevelProblem(
        lambda w, a: fit(w) + (a.exp() * w**2).sum(), lambda w, a: fit(-w) + (alpha * w).sum()
    )
    with pytest.raises(DisconnectedError, match="outer loss takes the leaf <root> of α"):
        estimate(name, problem, omega, alpha)


def test_omega_from_the_enclosing_scope_is_refused_in_either_loss() -> None:
    omega, alpha = point()
    decay = BilevelProblem(lambda w, a: fit(w) + (a.exp() * w**2).sum(), lambda w, a: fit(-omega))
    with pytest.raises(DisconnectedError, match="outer loss takes the leaf <root> of ω"):
        ConjugateGradient()(decay, omega, alpha)
    weights = {"own": omega, "other": omega.detach().clone().requires_grad_()}
    half = BilevelProblem(
        lambda w, a: fit(w["own"]) + (a.exp() * weights["other"] ** 2).sum(),
        lambda w, a: fit(w["own"]),
    )
    with pytest.raises(DisconnectedError, match=r"inner loss takes the leaf \['other'\] of ω"):
        ConjugateGradient()(half, weights, alpha)


@every_estimator
def test_an_outer_loss_without_omega_is_told_and_one_that_is_flat_in_it_is_not(name: str) -> None:
    omega, alpha = point()

    def inner(w: torch.Tensor, a: torch.Tensor) -> torch.Tensor:
        return fit(w) + (a.exp() * w**2).sum()

    constant = BilevelProblem(inner, lambda w, a: fit(w.detach()) + a.sum())
    if name == "FirstOrder":  # it never looks at ω
        estimate(name, constant, omega, alpha)
        return
    with pytest.warns(Disconnected, match="outer loss does not depend on ω at all"):
        estimate(name, constant, omega, alpha)
    estimate(name, BilevelProblem(inner, lambda w, a: 0 * w.sum() + a.sum()), omega, alpha)


@every_estimator
def test_alpha_in_one_loss_alone_is_no_fault(name: str) -> None:
    omega, alpha = point()
    only_inner = BilevelProblem(lambda w, a: fit(w) + (a.exp() * w**2).sum(), lambda w, a: fit(-w))
    only_outer = BilevelProblem(lambda w, a: fit(w), lambda w, a: fit(-w) + (a - 1).square().sum())
    assert estimate(name, only_inner, omega, alpha).total.any() == (name != "FirstOrder")
    assert torch.equal(estimate(name, only_outer, omega, alpha).total, 2 * (alpha.detach() - 1))


def test_compare_and_recommend_refuse_it_too_and_guarantee_nothing() -> None:
    omega, alpha = point()
    problem = BilevelProblem(lambda w, a: fit(w) + (alpha.exp() * w**2).sum(), lambda w, a: fit(-w))
    for ask in (
        lambda: recommend(problem, omega, alpha),
        lambda: compare(problem, omega, alpha, [FirstOrder()]),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CheckFailed)  # the check says it first
            with pytest.raises(DisconnectedError, match="from the enclosing scope"):
                ask()
