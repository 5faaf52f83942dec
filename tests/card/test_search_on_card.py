"""Searches on the device: captured steps, kills and resumption, half precision, a retraining."""

from itertools import pairwise

import pytest

from bilevel import CentralDifference
from bilevel.derivatives import ReverseOverForward
from bilevel.estimators import Amended, ConjugateGradient, DartsSecondOrder, FirstOrder
from bilevel.state import pack, unpack
from darts.config.compute import Computing
from darts.data import RetrainData
from darts.parallel.launch import Devices
from darts.records.run_folder import RunFolder
from darts.spaces import NASBENCH201, Genotype
from darts.training.captured import WARM_UP
from darts.training.retrain import retrain
from darts.training.retraining import Training
from darts.training.search import search
from darts.training.searching import Searching
from tests.darts.training.tiny import (
    TWO_EDGES,
    Follower,
    KilledError,
    images,
    new_run,
    retrain_config,
    search_config,
)

ESTIMATORS = {
    "first order": FirstOrder(),
    "amended exact": Amended(0.1, derivatives=ReverseOverForward()),
    "amended by differences": Amended(0.1, derivatives=CentralDifference()),
    "DARTS second order": DartsSecondOrder(derivatives=CentralDifference(0.01)),
}


def halves(config, device="cpu"):
    return config.halves(images()).to(device)


def stepping(config, device, notes, *, capture=False, precision="32") -> Searching:
    computing = Computing(precision, capture=capture)
    devices = Devices(device, computing=computing)
    return Searching(config, halves(config, device), devices, notes.append)


def taken(searching: Searching, steps: int) -> list[dict]:
    return [searching.step(*divmod(n, searching.batches.per_epoch)) for n in range(steps)]


def assert_alike(first: list[dict], second: list[dict], allowed: float) -> None:
    """Losses and norms of two trajectories, relatively."""
    for one, other in zip(first, second, strict=True):
        for name in ("train_loss", "val_loss", "inner_gradient_norm", "direct_norm"):
            assert one[name] == pytest.approx(other[name], rel=allowed), (name, one, other)


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize("space", [TWO_EDGES, NASBENCH201], ids=lambda space: space.name)
def test_captured_steps_are_the_eager_ones(card, name, space):
    """Three steps after the capture. Some kernels add up in any order; steps multiply that.

    1e-3 is far below what a batch that is not copied, a rate that stays or a step too many makes.
    """
    if card == "cpu":
        pytest.skip("no GPU; tests/darts/training/test_captured.py replays without one")
    notes: list[str] = []
    changes = {"space": space, "cells": 3} if space == NASBENCH201 else {}
    config = search_config(ESTIMATORS[name], epochs=4, **changes)
    eager = taken(stepping(config, card, []), WARM_UP + 3)
    captured = taken(stepping(config, card, notes, capture=True), WARM_UP + 3)
    assert_alike(eager, captured, 1e-3)
    rates = [record["learning_rate"] for record in captured]
    assert rates == [record["learning_rate"] for record in eager]
    assert notes == []


def test_a_batch_that_is_not_copied_would_be_seen(card):
    """What the comparison above can tell apart: neighbouring steps differ by more."""
    records = taken(stepping(search_config(FirstOrder(), epochs=4), card, []), WARM_UP + 3)
    losses = [record["train_loss"] for record in records]
    assert min(abs(a / b - 1) for a, b in pairwise(losses)) > 1e-3


def test_steps_on_the_device_are_those_on_the_cpu(card):
    """Of two steps, before rounding grows: the same batches, weights and rules."""
    config = search_config(ESTIMATORS["amended exact"])
    assert_alike(taken(stepping(config, card, []), 2), taken(stepping(config, "cpu", []), 2), 1e-3)


@pytest.mark.parametrize("capture", [False, True], ids=["eager", "captured"])
def test_a_search_killed_and_resumed_goes_on_where_it_was(card, tmp_path, capture):
    """On the CPU to rounding of the record; on a GPU sums in any order grow apart in few steps."""
    config = search_config(ESTIMATORS["DARTS second order"])
    devices = Devices(card, computing=Computing(capture=capture))
    whole, killed = new_run(tmp_path / "whole"), tmp_path / "killed"
    search(config, halves(config), whole, devices=devices)
    with pytest.raises(KilledError):
        search(config, halves(config), new_run(killed, Follower(("search", 1, 1))), devices=devices)
    resumed = RunFolder.open(killed)
    result = search(config, halves(config), resumed, devices=devices)
    first, second = whole.records("search/steps"), resumed.records("search/steps")
    assert len(first) == len(second)
    assert_alike(first[:7], second[:7], 1e-12 if card == "cpu" else 1e-2)
    assert result.val.loss < float("inf")


def test_a_state_of_the_device_goes_on_on_the_cpu(card, tmp_path):
    """Where optimisers keep their numbers is no part of a state."""
    config = search_config(FirstOrder())
    there = stepping(config, card, [])
    taken(there, 2)
    here = stepping(config, "cpu", [])
    here.restore(unpack(pack(there.state())))
    per_epoch = here.batches.per_epoch
    next_there, next_here = (s.step(*divmod(2, per_epoch)) for s in (there, here))
    assert_alike([next_there], [next_here], 1e-3)


@pytest.mark.parametrize("capture", [False, True], ids=["eager", "captured"])
def test_half_precision_in_the_steps_of_weights_stays_near(card, capture):
    config = search_config(FirstOrder())
    narrow = taken(stepping(config, card, [], capture=capture, precision="bf16"), 5)
    wide = taken(stepping(config, card, []), 5)
    # bf16 has 8 bits, and the first loss sees no more than their rounding
    assert narrow[0]["train_loss"] == pytest.approx(wide[0]["train_loss"], rel=0.05)
    assert all(record["train_loss"] < 10 for record in narrow)


@pytest.mark.filterwarnings("ignore::bilevel.estimators.HypergradientWarning")
def test_what_draws_or_reads_runs_eagerly_and_says_so(card):
    for config, words in (
        (search_config(FirstOrder(), dropout=0.2), "draws anew"),
        (search_config(ConjugateGradient(2, tolerance=None, damping=1.0)), "reads"),
    ):
        notes: list[str] = []
        records = taken(stepping(config, card, notes, capture=True), 5)
        assert len(records) == 5
        assert len(notes) == 1
        assert words in notes[0] or card == "cpu"


def test_captured_steps_of_a_retraining_are_the_eager_ones(card):
    """With drop-path: a graph draws by the seed of the step, as the eager step does."""
    data = RetrainData.of(images()).to(card)
    found = []
    for capture in (False, True):
        devices = Devices(card, computing=Computing(capture=capture))
        training = Training(
            retrain_config(epochs=4, batch_size=6), _genotype(), data, devices, print
        )
        per_epoch = training.batches.per_epoch
        numbers = range(per_epoch, 2 * per_epoch)
        found.append([training.step(*divmod(number, per_epoch)) for number in numbers])
    assert training.drop_path(1) > 0
    for one, other in zip(*found, strict=True):
        assert one[0] == pytest.approx(other[0], rel=1e-3)
        assert one[1:] == other[1:]


def test_a_genotype_is_retrained_on_the_device(card, tmp_path):
    config, data = retrain_config(epochs=1), RetrainData.of(images())
    found = {}
    for device in dict.fromkeys(["cpu", card]):
        run = new_run(tmp_path / device)
        found[device] = retrain(config, _genotype(), data, run, devices=Devices(device))
    assert found[card].test.loss == pytest.approx(found["cpu"].test.loss, rel=0.05)


def _genotype() -> Genotype:
    config = search_config(FirstOrder())
    return Searching(config, halves(config)).genotype()
