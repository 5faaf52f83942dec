"""DARTS's second order is the derivative of the very step that the inner optimiser takes next."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch.optim import SGD, Adam, AdamW, RMSprop

from bilevel import BilevelProblem, Vector, alternating_step, solve
from bilevel.estimators import DartsSecondOrder, FirstOrder, Identity, NeglectedDecay
from bilevel.solver import inner_step, outer_step

f64 = torch.float64
GENERATOR = torch.Generator().manual_seed(5)
A, C = (torch.randn(7, 4, dtype=f64, generator=GENERATOR) for _ in range(2))
DECAY = torch.randn(2, dtype=f64, generator=GENERATOR)


def inner(w: Any, a: torch.Tensor) -> torch.Tensor:
    decay = a[0].exp() * w["x"].square().sum() + a[1].exp() * w["y"].pow(4).sum()
    return torch.sigmoid(A @ (w["x"] * w["y"]) * a.sum()).sum() + decay


def outer(w: Any, a: torch.Tensor) -> torch.Tensor:
    return torch.tanh(C @ (w["x"] - w["y"])).square().sum() + a.square().sum()


PROBLEM = BilevelProblem(inner, outer)


def start() -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    generator = torch.Generator().manual_seed(9)
    omega = {name: torch.randn(4, dtype=f64, generator=generator).requires_grad_() for name in "xy"}
    return omega, DECAY.clone().requires_grad_()


def two_groups(omega: Any, first: dict[str, Any], second: dict[str, Any]) -> SGD:
    return SGD([{"params": [omega["x"]], **first}, {"params": [omega["y"]], **second}], lr=0.1)


OPTIMIZERS = {
    "plain": lambda w: SGD(w.values(), lr=0.3),
    "momentum": lambda w: SGD(w.values(), lr=0.3, momentum=0.9),
    "dampening": lambda w: SGD(w.values(), lr=0.3, momentum=0.9, dampening=0.4),
    "nesterov": lambda w: SGD(w.values(), lr=0.3, momentum=0.9, nesterov=True),
    "weight decay": lambda w: SGD(w.values(), lr=0.3, momentum=0.5, weight_decay=0.2),
    "maximize": lambda w: SGD(w.values(), lr=0.1, momentum=0.5, maximize=True),
    "two rates": lambda w: two_groups(w, {"lr": 0.4}, {"lr": 0.05}),
    "one leaf with momentum": lambda w: two_groups(
        w, {"momentum": 0.9, "nesterov": True}, {"lr": 0.2, "weight_decay": 0.1}
    ),
    "a rate that is a tensor": lambda w: SGD(w.values(), lr=torch.tensor(0.3, dtype=f64)),
}


def after_the_step(
    omega: dict[str, torch.Tensor], optimizer: SGD, alpha: torch.Tensor, clip: float | None
) -> float:
    """L_val after torch's own step at this α, taken by copies."""
    copies, stepped = copy.deepcopy((omega, optimizer))
    inner_step(PROBLEM, copies, alpha, inner=stepped, clip=clip)
    return PROBLEM.outer(copies, alpha).item()


def estimated(
    omega: dict[str, torch.Tensor], alpha: torch.Tensor, optimizer: Any, clip: float | None = None
) -> torch.Tensor:
    own = alpha.detach().clone().requires_grad_()
    total: torch.Tensor = outer_step(
        PROBLEM,
        omega,
        own,
        estimator=DartsSecondOrder(),
        outer=SGD([own], lr=0.0),
        inner=optimizer,
        clip=clip,
    ).total
    return total


@pytest.mark.parametrize("clip", [None, 0.7])
@pytest.mark.parametrize("steps_before", [0, 2])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_is_the_derivative_of_the_step_that_is_taken(
    name: str, steps_before: int, clip: float | None
) -> None:
    omega, alpha = start()
    optimizer = OPTIMIZERS[name](omega)
    for _ in range(steps_before):
        inner_step(PROBLEM, omega, alpha, inner=optimizer, clip=clip)
    if clip is not None:
        assert PROBLEM.inner_gradient(Vector.of(omega), Vector.of(alpha))[1].norm() > clip
    found = estimated(omega, alpha, optimizer, clip)
    h = torch.finfo(f64).eps ** (1 / 3)  # differences err by third derivatives times h²
    for place in range(2):
        aside = torch.zeros(2, dtype=f64)
        aside[place] = h
        ahead, behind = (
            after_the_step(omega, optimizer, alpha.detach() + side * aside, clip)
            for side in (1, -1)
        )
        slope = (ahead - behind) / (2 * h)
        assert abs(float(found[place]) - slope) < 1e4 * h**2 * (1 + abs(slope))


def test_alternating_steps_and_solve_pass_the_step_on() -> None:
    """One step of α with rate 1 moves it by the derivative of what ω does next, clipped."""
    for clip in (None, 0.7):
        omega, alpha = start()
        expected = alpha.detach() - estimated(omega, alpha, SGD(omega.values(), lr=0.3), clip)
        solved = solve(
            PROBLEM,
            DartsSecondOrder(),
            omega,
            alpha,
            inner=lambda ps: SGD(ps, lr=0.3),
            outer=lambda ps: SGD(ps, lr=1.0),
            steps=1,
            clip=clip,
        )
        alternating_step(
            PROBLEM,
            omega,
            alpha,
            estimator=DartsSecondOrder(),
            inner=SGD(omega.values(), lr=0.3),
            outer=SGD([alpha], lr=1.0),
            clip=clip,
        )
        assert torch.equal(alpha, expected)
        assert torch.equal(solved.alpha, expected)


class Halved(SGD):
    """An optimiser with a step of its own."""

    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            for leaf in group["params"]:
                leaf.grad.mul_(0.5)
        return super().step(closure)


@pytest.mark.parametrize("kind", [Adam, AdamW, RMSprop, Halved])
def test_an_optimiser_whose_step_is_not_known_is_refused_in_one_line(kind: Any) -> None:
    omega, alpha = start()
    with pytest.raises(ValueError, match=rf"torch\.optim\.SGD; this one is {kind.__name__}"):
        estimated(omega, alpha, kind(omega.values(), lr=0.1))


def test_a_step_put_in_its_place_is_refused_and_a_schedule_is_followed() -> None:
    omega, alpha = start()
    replaced = SGD(omega.values(), lr=0.1)
    replaced.step = lambda closure=None: None  # type: ignore[method-assign]
    with pytest.raises(ValueError, match="has a step of its own"):
        estimated(omega, alpha, replaced)
    scheduled = SGD(omega.values(), lr=0.4)
    schedule = torch.optim.lr_scheduler.StepLR(scheduled, 1, gamma=0.25)
    scheduled.step()
    schedule.step()
    expected = estimated(omega, alpha, SGD(omega.values(), lr=0.1))
    assert torch.equal(estimated(omega, alpha, scheduled), expected)


def test_a_decay_that_only_the_optimiser_has_is_told_where_h_lacks_it() -> None:
    def sgd(leaves: list[torch.Tensor]) -> SGD:
        return SGD(leaves, lr=0.01, weight_decay=0.2)

    omega, alpha = start()
    common: dict[str, Any] = {"inner": sgd, "outer": lambda ps: SGD(ps, lr=0.1), "steps": 1}
    with pytest.warns(NeglectedDecay, match=r"weight decay of 0\.2 is no part of L_train"):
        solve(PROBLEM, Identity(0.1), omega, alpha, **common)
    solve(PROBLEM, DartsSecondOrder(), omega, alpha, **common)  # warnings are errors in this run
    solve(PROBLEM, FirstOrder(), omega, alpha, **common)


def test_a_step_that_is_given_is_taken_whatever_the_optimiser_does() -> None:
    omega, _ = start()
    given = DartsSecondOrder(xi=0.2)
    assert given.following(Adam(omega.values(), lr=0.1), omega) is given


@pytest.mark.parametrize("which", ["inner", "outer"])
def test_an_optimiser_that_holds_other_tensors_is_refused_by_name(which: str) -> None:
    omega, alpha = start()
    held = {
        "inner": SGD(omega.values(), lr=0.1),
        "outer": SGD([alpha], lr=0.1),
        which: SGD([omega["x"].detach().clone().requires_grad_()], lr=0.1),
    }
    symbol = {"inner": r"2 of 2 leaves of ω \(\['x'\], \['y'\]\)", "outer": "1 of 1 leaves of α"}
    with pytest.raises(ValueError, match=f"{which}=SGD does not hold {symbol[which]}"):
        alternating_step(PROBLEM, omega, alpha, estimator=DartsSecondOrder(xi=0.1), **held)
    copied = {name: leaf.detach().clone() for name, leaf in omega.items()}
    with pytest.raises(ValueError, match=f"{which}=SGD does not hold"):
        solve(
            PROBLEM,
            DartsSecondOrder(xi=0.1),
            copied,
            alpha.detach(),
            **{
                name: (lambda ps, optimizer=optimizer: optimizer)
                if name == which
                else (lambda ps: SGD(ps, lr=0.1))
                for name, optimizer in held.items()
            },
            steps=1,
        )
