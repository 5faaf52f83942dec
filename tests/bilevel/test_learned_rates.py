"""`Unrolled` with a learning rate or momentum that is a function of α, against autograd."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from bilevel import Autograd, BilevelProblem, CentralDifference, Vector
from bilevel.connection import DisconnectedError
from bilevel.estimators import Unrolled

f64 = torch.float64
GENERATOR = torch.Generator().manual_seed(3)
A, C = (torch.randn(7, 4, dtype=f64, generator=GENERATOR) for _ in range(2))


def inner(w: Any, a: Any) -> torch.Tensor:
    fit = torch.tanh(A @ (w["x"] * w["y"])).square().sum()
    return fit + a["decay"].exp() * (w["x"].square().sum() + w["y"].pow(4).sum())


def outer(w: Any, a: Any) -> torch.Tensor:
    return torch.sigmoid(C @ (w["x"] - w["y"])).sum() + a["decay"].square()


def start() -> tuple[Any, Any]:
    generator = torch.Generator().manual_seed(4)
    omega = {name: torch.randn(4, dtype=f64, generator=generator) for name in "xy"}
    alpha = {
        "decay": torch.tensor(-1.0, dtype=f64),
        "rate": torch.tensor(-2.0, dtype=f64),
        "rates": torch.linspace(0.02, 0.1, 4, dtype=f64),
        "momentum": torch.tensor(0.3, dtype=f64),
    }
    return omega, alpha


RATES: dict[str, tuple[Any, Any]] = {
    "one rate": (lambda a: a["rate"].exp(), 0.0),
    "one rate, constant momentum": (lambda a: a["rate"].exp(), 0.5),
    "a rate a leaf": (lambda a: {"x": a["rate"].exp(), "y": a["rates"].sum()}, 0.5),
    "a rate a coordinate": (lambda a: {"x": a["rates"], "y": 2 * a["rates"] ** 2}, 0.0),
    "a momentum": (0.1, lambda a: a["momentum"].sin()),
    "both": (lambda a: a["rate"].exp(), lambda a: a["momentum"] * a["decay"].exp()),
}


def by_autograd(lr: Any, momentum: Any, steps: int) -> torch.Tensor:
    """The steps written out and differentiated by torch, sharing no code with the estimator."""
    omega, alpha = start()
    leaves = {name: leaf.requires_grad_() for name, leaf in alpha.items()}
    gamma = lr(leaves) if callable(lr) else lr
    beta = momentum(leaves) if callable(momentum) else momentum
    w = {name: leaf.requires_grad_() for name, leaf in omega.items()}
    u = {name: torch.zeros(4, dtype=f64) for name in w}
    for _ in range(steps):
        slopes = torch.autograd.grad(inner(w, leaves), list(w.values()), create_graph=True)
        u = {name: beta * u[name] + g for name, g in zip(w, slopes, strict=True)}
        w = {
            name: w[name] - (gamma[name] if isinstance(gamma, dict) else gamma) * u[name]
            for name in w
        }
    found = torch.autograd.grad(outer(w, leaves), list(leaves.values()), materialize_grads=True)
    return torch.cat(
        [g.reshape(-1) for g in Vector.of(dict(zip(leaves, found, strict=True))).leaves]
    )


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("name", RATES)
def test_the_derivative_through_a_rate_that_is_learned(name: str, steps: int) -> None:
    lr, momentum = RATES[name]
    unused = [
        leaf
        for leaf, used in (
            ("rate", "rate" in name or name == "both"),
            ("rates", "rate a" in name),
            ("momentum", callable(momentum) and steps > 1),
        )
        if not used or (leaf == "rate" and name == "a rate a coordinate")
    ]
    omega, alpha = start()
    expected = by_autograd(lr, momentum, steps)

    def touched(w: Any, a: Any) -> torch.Tensor:  # what no rate uses would be refused
        return inner(w, a) + sum(0 * a[leaf].sum() for leaf in unused)

    found = Unrolled(steps, lr, momentum)(BilevelProblem(touched, outer), omega, alpha)
    flat = Vector.of(found.total).flat()
    assert expected.norm() > 0.01
    assert (flat - expected).norm() < 1e-12 * expected.norm()
    rough = Unrolled(steps, lr, momentum, derivatives=CentralDifference())(
        BilevelProblem(touched, outer), omega, alpha
    )
    assert (Vector.of(rough.total).flat() - expected).norm() < 1e-6 * expected.norm()


def test_a_constant_function_gives_what_a_number_gives() -> None:
    omega, alpha = start()
    alpha = {"decay": alpha["decay"]}
    problem = BilevelProblem(inner, outer)
    number = Unrolled(3, 0.1, 0.5)(problem, omega, alpha)
    function = Unrolled(3, lambda a: torch.tensor(0.1, dtype=f64), lambda a: 0.5 + 0 * a["decay"])(
        problem, omega, alpha
    )
    torch.testing.assert_close(function.total, number.total, rtol=1e-13, atol=1e-15)


def test_a_learned_rate_alone_is_alpha_enough() -> None:
    """L_train and L_val do not know of it: ω₁ = ω − γ∇L, dL_val/dγ = −⟨∇L_val, ∇L⟩."""
    w = torch.tensor([1.0, 2.0], dtype=f64)
    problem = BilevelProblem(lambda w, a: w.square().sum(), lambda w, a: w.sum())
    found = Unrolled(1, lambda a: a)(problem, w, torch.tensor(0.1, dtype=f64))
    assert found.total.item() == pytest.approx(-6)


@pytest.mark.parametrize(
    ("estimator", "at"),
    [
        (Unrolled(3, lr=lambda a: a["rate"].exp()), 0.5),  # the inner minimum: no step moves ω
        (Unrolled(3, lr=lambda a: a["rate"].exp()), 2.0),  # L_val is flat at every ω
        (Unrolled(1, lr=0.1, momentum=lambda a: a["rate"]), 2.0),  # no velocity yet
    ],
    ids=["inner minimum", "flat L_val", "momentum, one step"],
)
def test_a_rate_whose_derivative_is_0_is_used_all_the_same(estimator: Any, at: float) -> None:
    flat = 0.0 if at == 2.0 and estimator.steps == 3 else 1.0
    problem = BilevelProblem(
        lambda w, a: (w - a["c"]).square().sum(), lambda w, a: flat * (w + a["c"]).sin().sum()
    )
    alpha = {"c": torch.full((2,), 0.5, dtype=f64), "rate": torch.tensor(-2.0, dtype=f64)}
    found = estimator(problem, torch.full((2,), at, dtype=f64), alpha).total
    assert found["rate"] == 0
    assert bool(found["c"].any()) is bool(flat)
    with pytest.raises(DisconnectedError, match=r"neither loss uses 1 of 3 .*\(\['spare'\]\)"):
        estimator(problem, torch.full((2,), at, dtype=f64), alpha | {"spare": alpha["rate"]})


def test_the_last_steps_alone_are_differentiated_where_asked() -> None:
    """T = 3, last = 1: the third step's own γ, with ω₂ taken for a constant."""
    w = torch.tensor(1.0, dtype=f64)
    problem = BilevelProblem(lambda w, a: w.square() / 2, lambda w, a: w)
    found = Unrolled(3, lambda a: a, last=1)(problem, w, torch.tensor(0.1, dtype=f64))
    assert found.total.item() == pytest.approx(-(0.9**2))


@pytest.mark.parametrize(
    ("lr", "error", "message"),
    [
        (torch.tensor(0.1), TypeError, r"lr=lambda alpha: alpha\['lr'\]"),
        (torch.tensor(0.1, requires_grad=True), TypeError, "a tensor has no place in α"),
        (lambda a: a["rate"] * float("nan"), ValueError, "not finite"),
        (lambda a: a["rates"], ValueError, r"gave 1 tensors of the shapes \[\(4,\)\]"),
        (lambda a: {"x": a["rate"], "y": a["rates"][:3]}, ValueError, r"\(3,\)"),
    ],
)
def test_a_rate_that_cannot_be_is_refused(lr: Any, error: Any, message: str) -> None:
    omega, alpha = start()
    with pytest.raises(error, match=message):
        Unrolled(2, lr, derivatives=Autograd())(BilevelProblem(inner, outer), omega, alpha)


@pytest.mark.parametrize(
    "rate", [lambda a: a["rate"].exp().item(), lambda a: {"x": a["rate"].exp(), "y": 0.1}]
)
def test_a_function_that_gives_numbers_is_refused_with_its_name(rate: Any) -> None:
    for settings in ({"lr": rate}, {"lr": 0.1, "momentum": rate}):
        (*_, name) = settings
        with pytest.raises(TypeError, match=rf"Unrolled\({name}=.*without .item\(\) or float"):
            Unrolled(2, **settings)(BilevelProblem(inner, outer), *start())
