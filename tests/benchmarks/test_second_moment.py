"""The control that takes Adam's second moment from the amended gradient, and nothing else."""

from dataclasses import replace

import pytest
import torch

from benchmarks.experiments.run import carry_out
from benchmarks.experiments.second_moment import (
    InSecondMoment,
    SearchedOnTwoMoments,
    SearchingOnTwoMoments,
    TwoMoments,
)
from benchmarks.experiments.setting import METHODS, planned
from bilevel.estimators import DartsSecondOrder
from darts.config.compute import Computing
from darts.config.search import AMENDED
from darts.data import SearchData
from darts.parallel.launch import Devices
from darts.records.run_folder import RunFolder
from darts.training.searching import Searching
from tests.benchmarks.test_experiments import IMAGES, TINY, timeless

METHOD = "amended-second-moment"
SETTINGS = {"lr": 5e-3, "betas": (0.5, 0.999), "weight_decay": 1e-3}
STEPS = 20


def gradients(seed: int) -> list[list[torch.Tensor]]:
    draw = torch.Generator().manual_seed(seed)
    return [
        [torch.randn(shape, generator=draw, dtype=torch.float64) for shape in ((2, 3), (4,))]
        for _ in range(STEPS)
    ]


def weights() -> list[torch.Tensor]:
    return [torch.full(shape, 0.1, dtype=torch.float64) for shape in ((2, 3), (4,))]


def test_with_one_gradient_for_both_moments_it_is_adam():
    own, adams = weights(), weights()
    optimizer, adam = TwoMoments(own, **SETTINGS), torch.optim.Adam(adams, **SETTINGS)
    for each in gradients(0):
        optimizer.move(each, each)
        for weight, gradient in zip(adams, each, strict=True):
            weight.grad = gradient
        adam.step()
        for mine, other in zip(own, adams, strict=True):
            assert torch.allclose(mine, other, rtol=1e-13, atol=0)


def test_the_first_moment_is_of_one_gradient_and_the_second_of_the_other():
    """By their definition, without weight decay: sums over the steps with falling weights."""
    own = weights()
    optimizer = TwoMoments(own, **{**SETTINGS, "weight_decay": 0.0})
    firsts, seconds = gradients(1), gradients(2)
    for first, second in zip(firsts, seconds, strict=True):
        optimizer.move(first, second)
    for place, weight in enumerate(own):
        state = optimizer.state[weight]
        moments = ((0.5, "exp_avg", firsts, 1), (0.999, "exp_avg_sq", seconds, 2))
        for beta, name, given, power in moments:
            wanted = sum(
                (1 - beta) * beta ** (STEPS - 1 - k) * each[place] ** power
                for k, each in enumerate(given)
            )
            assert torch.allclose(state[name], wanted, rtol=1e-12, atol=1e-15)


def test_it_goes_on_from_its_state_with_the_same_bits():
    whole, half = weights(), weights()
    one, other = TwoMoments(whole, **SETTINGS), TwoMoments(half, **SETTINGS)
    firsts, seconds = gradients(1), gradients(2)
    for first, second in zip(firsts[:9], seconds[:9], strict=True):
        one.move(first, second)
        other.move(first, second)
    again = TwoMoments(half, **SETTINGS)
    again.load_state_dict(other.state_dict())
    for first, second in zip(firsts[9:], seconds[9:], strict=True):
        one.move(first, second)
        again.move(first, second)
    assert all(map(torch.equal, whole, half))


def searching(kind, estimator) -> Searching:
    config = replace(TINY.search, estimator=estimator)
    return kind(config, SearchData.of(IMAGES.load(), 0.5, 0))


def test_a_search_has_first_orders_first_moment_and_amendeds_second():
    """After its first step, on which all three searches begin alike."""
    three = {
        "mine": searching(SearchingOnTwoMoments, METHODS[METHOD]),
        "first": searching(Searching, METHODS["first-order"]),
        "second": searching(Searching, METHODS["amended"]),
    }
    for each in three.values():
        each.step(0, 0)
    moments = {
        name: [each.outer.state[alpha] for alpha in each.alpha.values()]
        for name, each in three.items()
    }
    for mine, first, second in zip(*moments.values(), strict=True):
        near = {"rtol": 1e-4, "atol": 1e-9}
        assert torch.allclose(mine["exp_avg"], first["exp_avg"], **near)
        assert torch.allclose(mine["exp_avg_sq"], second["exp_avg_sq"], **near)
        assert not torch.allclose(first["exp_avg_sq"], second["exp_avg_sq"], rtol=0.1)


def test_frozen_steps_leave_alpha_alone():
    config = replace(TINY.search, estimator=METHODS[METHOD], frozen_epochs=1)
    frozen = SearchingOnTwoMoments(config, SearchData.of(IMAGES.load(), 0.5, 0))
    before = {name: alpha.detach().clone() for name, alpha in frozen.alpha.items()}
    frozen.step(0, 0)
    assert all(torch.equal(before[name], alpha) for name, alpha in frozen.alpha.items())


def test_a_stopped_run_goes_on_to_the_same_numbers(tmp_path):
    run = planned(TINY, METHOD, 0)
    assert isinstance(run, SearchedOnTwoMoments)
    journals = []
    for name, lives in (("whole", 0), ("cut", 2)):
        journal = tmp_path / f"{name}.jsonl"
        for _ in range(lives):
            outcome = carry_out(run, IMAGES.load(), tmp_path / name, journal, deadline=0.0)
            assert outcome == "stopped"
        assert carry_out(run, IMAGES.load(), tmp_path / name, journal) == "complete"
        journals.append(timeless(journal))
    assert journals[0] == journals[1]


def test_captured_steps_are_refused(tmp_path):
    devices = Devices(computing=Computing(capture=True))
    with pytest.raises(ValueError, match="cannot be captured"):
        planned(TINY, METHOD, 0).perform(IMAGES.load(), RunFolder(tmp_path), devices)


def test_the_estimator_within_follows_the_optimiser():
    omega = {"w": torch.zeros(2, requires_grad=True)}
    optimizer = torch.optim.SGD(omega.values(), lr=0.3)
    found = InSecondMoment(DartsSecondOrder()).following(optimizer, omega, clip=2.0)
    assert found.inner == DartsSecondOrder().following(optimizer, omega, clip=2.0)
    assert InSecondMoment(AMENDED).inner == AMENDED
