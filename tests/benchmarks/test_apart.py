"""The control on other batches: g₁ and the step of ω as ever, the term on a pair of its own."""

from dataclasses import replace

import pytest
import torch

from benchmarks.experiments.apart import OnOtherBatches, OnTwoPairs, SearchedApart, SearchingApart
from benchmarks.experiments.behaviour import BEHAVIOUR
from benchmarks.experiments.run import carry_out
from benchmarks.experiments.setting import METHODS, planned
from bilevel import BilevelProblem, Vector
from bilevel.estimators import Amended, DartsSecondOrder
from darts.config.compute import Computing
from darts.config.search import AMENDED
from darts.data import Digits, SearchData
from darts.parallel.launch import Devices
from darts.records.run_folder import RunFolder
from darts.training.searching import Searching
from tests.benchmarks.test_experiments import IMAGES, TINY, timeless
from tests.quadratics import quadratic

OWN = quadratic(hessian=[[3, 1], [1, 2]], mixed=[[1, 0], [0, 1]], outer_gradient=[1, -2])
OTHERS = quadratic(hessian=[[1, 0], [0, 5]], mixed=[[2, 0], [1, 1]], outer_gradient=[3, 1])
METHOD = "amended-other-batches"
NORMS = 100 * torch.finfo(torch.float32).eps
"""Relative: sums of some 30 squares, or a loss through some ten layers, in other orders."""


def test_g1_is_the_steps_and_the_term_is_the_other_pairs():
    amended = Amended(eta=0.1)
    own_problem = BilevelProblem(
        OWN.problem.inner, lambda w, a: OWN.problem.outer(w, a) + a.square().sum()
    )
    problem = OnTwoPairs(own_problem.inner, own_problem.outer, OTHERS.problem)
    point = OWN.omega, torch.tensor([3.0, -4.0], dtype=torch.float64)
    found = OnOtherBatches(amended)(problem, *point)
    own, other = amended(own_problem, *point), amended(OTHERS.problem, *point)
    assert torch.equal(found.direct, own.direct)
    assert found.outer_loss == own.outer_loss
    assert torch.equal(found.implicit, other.implicit)
    assert bool(own.direct.any())
    assert not bool(other.direct.any())
    assert not torch.equal(own.implicit, other.implicit)


def test_one_pair_of_batches_is_refused():
    with pytest.raises(TypeError, match="needs a second pair of batches"):
        OnOtherBatches(AMENDED)(OWN.problem, OWN.omega, OWN.omega)


def test_the_estimator_within_follows_the_optimiser():
    omega = {"w": torch.zeros(2, requires_grad=True)}
    optimizer = torch.optim.SGD(omega.values(), lr=0.3)
    found = OnOtherBatches(DartsSecondOrder()).following(optimizer, omega, clip=2.0)
    assert found.inner == DartsSecondOrder().following(optimizer, omega, clip=2.0)


def searchings(epoch_count: int = 3) -> tuple[Searching, SearchingApart]:
    images, config = IMAGES.load(), replace(TINY.search, estimator=AMENDED, epochs=epoch_count)
    apart = replace(config, estimator=OnOtherBatches(AMENDED))
    halves = SearchData.of(images, 0.5, 0)
    return Searching(config, halves), SearchingApart(apart, halves)


def test_a_step_has_its_own_losses_and_those_of_the_same_step_one_search_later():
    plain, apart = searchings()
    problem = apart.problem(1, 2)
    assert isinstance(problem, OnTwoPairs)
    point = Vector.of(plain.omega), Vector.of(plain.alpha)
    later = plain.problem(1 + 3, 2)
    for name in ("inner_value", "outer_value"):
        own, others = (getattr(each, name)(*point) for each in (problem, problem.others))
        assert torch.equal(own, getattr(plain.problem(1, 2), name)(*point))
        assert torch.equal(others, getattr(later, name)(*point))
        assert not torch.equal(own, others)


def test_alpha_moves_by_the_term_of_the_other_pair_and_omega_by_its_own_batch():
    plain, apart = searchings()
    step = apart.step(1, 2)
    own = AMENDED(plain.problem(1, 2), plain.omega, plain.alpha)
    other = AMENDED(plain.problem(1 + 3, 2), plain.omega, plain.alpha)
    sizes = [float(Vector.of(term).norm()) for term in (own.direct, other.implicit, own.implicit)]
    assert step["direct_norm"] == pytest.approx(sizes[0], rel=NORMS)
    assert step["implicit_norm"] == pytest.approx(sizes[1], rel=NORMS)
    assert step["implicit_norm"] != pytest.approx(sizes[2], rel=0.01)
    # both searches begin with the same α, whose step L_train sees; its batch is the step's
    with torch.no_grad():
        for kind, weights in plain.alpha.items():
            weights.copy_(apart.alpha[kind])
        point = Vector.of(plain.omega), Vector.of(plain.alpha)
        inner, later = (plain.problem(epoch, 2).inner_value(*point) for epoch in (1, 1 + 3))
    assert step["train_loss"] == pytest.approx(float(inner), rel=NORMS)
    assert step["train_loss"] != pytest.approx(float(later), rel=1e-3)


def test_a_stopped_run_of_the_control_goes_on_to_the_same_numbers(tmp_path):
    data = Digits(train_size=20)  # one step an epoch
    run = planned(replace(TINY, data=data, search=replace(TINY.search, epochs=2)), METHOD, 0)
    assert isinstance(run, SearchedApart)
    images = data.load()
    for name in ("whole", "cut"):
        place = (tmp_path / name, tmp_path / f"{name}.jsonl")
        for _ in range(2 if name == "cut" else 0):  # a step each
            assert carry_out(run, images, *place, deadline=0.0) == "stopped"
        assert carry_out(run, images, *place) == "complete"
    whole, cut = (timeless(tmp_path / f"{name}.jsonl") for name in ("whole", "cut"))
    assert whole.keys() == {0, 1}
    assert cut == whole


def test_captured_steps_are_refused(tmp_path):
    run, devices = planned(TINY, METHOD, 0), Devices(computing=Computing(capture=True))
    with pytest.raises(ValueError, match="Run it without --capture"):
        run.perform(IMAGES.load(), RunFolder(tmp_path), devices)


def test_the_control_is_among_the_runs_and_the_claims():
    assert isinstance(METHODS[METHOD], OnOtherBatches)
    mine = [run for run in BEHAVIOUR.runs if run.method == METHOD]
    assert [run.seed for run in mine] == [0, 1, 2]
    assert all(isinstance(run, SearchedApart) for run in mine)
