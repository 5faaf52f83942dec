"""Every method in a search of seconds: with any estimator, resumed bit for bit, in its own way."""

from dataclasses import replace

import pytest
import torch

from bilevel.estimators import Amended, FirstOrder, Minres
from bilevel.estimators.alerts import HypergradientWarning
from darts.config.presets import PRESETS
from darts.config.search import SearchConfig
from darts.data import SearchData
from darts.methods import (
    AdversarialPerturbation,
    AuxiliarySkip,
    BetaDecay,
    EigenvalueGrowth,
    GumbelSoftmax,
    PartialChannels,
    Progressive,
    RandomPerturbation,
    Removal,
    SampledPath,
    Sigmoid,
    SkipLimit,
    TwoPaths,
    ZeroOne,
)
from darts.records.run_folder import RunFolder
from darts.training.search import search
from darts.training.searching import Searching
from tests.darts.training.tiny import (
    Follower,
    KilledError,
    images,
    new_run,
    search_config,
)

STAGES = Progressive((2, 3), (4, 2), (0.0, 0.5), frozen_epochs=1)
METHODS = {
    "gumbel": {"mixing": GumbelSoftmax()},
    "sampled": {"mixing": SampledPath()},
    "two-paths": {"mixing": TwoPaths()},
    "partial": {"partial_channels": PartialChannels(share=2), "channels": 4},
    "auxiliary-skip": {"auxiliary_skip": AuxiliarySkip()},
    "beta-decay": {"alpha_penalty": BetaDecay()},
    "fair": {"mixing": Sigmoid(), "alpha_penalty": ZeroOne()},
    "random": {"perturbation": RandomPerturbation()},
    "adversarial": {"perturbation": AdversarialPerturbation(steps=2)},
    "progressive": {"progressive": STAGES, "epochs": 4},
    "frozen": {"frozen_epochs": 2},
    "drops": {"drop_path": 0.5, "dropout": 0.2},
    "eigenvalue": {"stop": EigenvalueGrowth()},
    "everything": {
        "mixing": GumbelSoftmax(),
        "partial_channels": PartialChannels(share=2),
        "channels": 4,
        "auxiliary_skip": AuxiliarySkip(),
        "alpha_penalty": BetaDecay(),
        "perturbation": RandomPerturbation(),
        "frozen_epochs": 1,
        "drop_path": 0.3,
    },
}
EACH = pytest.mark.parametrize("name", METHODS)


def halves(config: SearchConfig) -> SearchData:
    return config.halves(images())


def timeless(records):
    return [
        {name: value for name, value in record.items() if name != "wall_seconds"}
        for record in records
    ]


@EACH
def test_a_search_killed_twice_has_the_bits_of_one_that_was_not(name, tmp_path):
    config = search_config(FirstOrder(), **METHODS[name])
    whole = new_run(tmp_path / "whole")
    result = search(config, halves(config), whole)
    place = tmp_path / "killed"
    for epoch, step in ((0, 1), (2, 0)):
        run = (
            new_run(place, Follower(die_at=("search", epoch, step)))
            if not place.exists()
            else RunFolder.open(place, (Follower(die_at=("search", epoch, step)),))
        )
        with pytest.raises(KilledError):
            search(config, halves(config), run)
    killed = RunFolder.open(place)
    assert search(config, halves(config), killed).genotype == result.genotype
    for stream in ("search/steps", "search/epochs"):
        assert timeless(killed.records(stream)) == timeless(whole.records(stream))
    assert killed.read("genotype.json") == whole.read("genotype.json")


@EACH
@pytest.mark.parametrize("estimator", [Amended(0.1), Minres(3)], ids=str)
@pytest.mark.filterwarnings(f"ignore::{HypergradientWarning.__module__}.HypergradientWarning")
def test_every_method_goes_with_every_kind_of_estimator(name, estimator):
    """A step that moves α, its implicit term not zero."""
    settings = {**METHODS[name], "frozen_epochs": 0}
    if "progressive" in settings:
        settings["progressive"] = replace(STAGES, frozen_epochs=0)
    searching = Searching(config := search_config(estimator, **settings), halves(config))
    before = {key: value.detach().clone() for key, value in searching.alpha.items()}
    record = searching.step(1, 0)
    assert record["implicit_norm"] > 0
    assert any(not torch.equal(before[key], value) for key, value in searching.alpha.items())


def test_alpha_stands_still_at_first_and_omega_does_not():
    config = search_config(frozen_epochs=1)
    searching = Searching(config, halves(config))
    alpha = {name: value.detach().clone() for name, value in searching.alpha.items()}
    omega = {name: value.detach().clone() for name, value in searching.omega.items()}
    record = searching.step(0, 0)
    assert all(torch.equal(alpha[name], value) for name, value in searching.alpha.items())
    assert any(not torch.equal(omega[name], value) for name, value in searching.omega.items())
    assert (record["direct_norm"], record["implicit_norm"]) == (0, 0)
    assert record["val_loss"] > 0
    searching.step(1, 0)
    assert any(not torch.equal(alpha[name], value) for name, value in searching.alpha.items())


def test_stages_deepen_the_network_and_narrow_its_edges(tmp_path):
    config = search_config(FirstOrder(), progressive=STAGES, epochs=4)
    follower = Follower()
    run = new_run(tmp_path / "run", follower)
    search(config, halves(config), run)
    assert "Stage 2 of 2: 3 cells, 2 operations an edge." in follower.notes
    for record in run.records("search/epochs"):
        expected = 4 if record["epoch"] < 2 else 2
        for rows in record["mixing"].values():
            assert {sum(weight > 0 for weight in row) for row in rows} == {expected}
    rates = [record["learning_rate"] for record in run.records("search/steps")]
    assert rates[0] == rates[6] == max(rates)  # the schedule starts anew


def test_a_stop_ends_the_search_and_its_result_is_the_epoch_before(tmp_path):
    """α pushed to skip-connect: its second epoch has too many."""
    config = search_config(FirstOrder(), stop=SkipLimit(skips=1), epochs=9)
    follower = Follower()
    run = new_run(tmp_path / "run", follower)
    result = search(config, halves(config), run)
    epochs = run.records("search/epochs")
    counts = [
        sum(operation == "skip_connect" for operation, _ in record["genotype"]["normal"])
        for record in epochs
    ]
    if result.stopped is None:
        assert len(epochs) == 9
        assert max(counts) == 0
    else:
        assert counts[-1] >= 1
        assert result.epoch == max(0, len(epochs) - 2)
        assert result.genotype.to_dict() == epochs[result.epoch]["genotype"]
        again = Follower()
        assert search(config, halves(config), RunFolder.open(run.path, (again,))) == result
        assert not [stream for stream, _ in again.streams]  # nothing was searched anew


def test_the_eigenvalue_is_recorded_where_the_rule_asks_for_it(tmp_path):
    config = search_config(FirstOrder(), stop=EigenvalueGrowth(), epochs=2)
    run = new_run(tmp_path / "run")
    search(config, halves(config), run)
    assert all(record["alpha_eigenvalue"] != 0 for record in run.records("search/epochs"))


PAPERS = {
    "cifar10-pc-darts": {"frozen_epochs": 15, "batch_size": 256, "alpha_learning_rate": 6e-4},
    "cifar10-p-darts": {"epochs": 75, "progressive": Progressive()},
    "cifar10-snas": {"mixing": GumbelSoftmax()},
    "cifar10-gdas": {"mixing": SampledPath()},
    "cifar10-proxylessnas": {"mixing": TwoPaths()},
    "cifar10-darts-plus": {"stop": SkipLimit(2)},
    "cifar10-robust-darts": {"stop": EigenvalueGrowth(5, 0.75)},
    "cifar10-sdarts-rs": {"perturbation": RandomPerturbation(0.03, 0.3)},
    "cifar10-sdarts-adv": {"perturbation": AdversarialPerturbation()},
    "cifar10-darts-minus": {"auxiliary_skip": AuxiliarySkip(1.0, 0.0)},
    "cifar10-beta-darts": {"epochs": 50, "alpha_penalty": BetaDecay(50.0)},
    "cifar10-darts-pt": {"epochs": 50, "batch_size": 64, "selection": Removal(10, 0.1)},
    "cifar10-fair-darts": {
        "mixing": Sigmoid(),
        "alpha_penalty": ZeroOne(10.0),
        "epochs": 50,
        "batch_size": 128,
        "learning_rate": 0.005,
        "alpha_learning_rate": 3e-3,
        "alpha_betas": (0.9, 0.999),
    },
}


@pytest.mark.parametrize("name", PAPERS)
def test_each_preset_has_its_papers_settings(name):
    search = PRESETS[name].search
    for setting, value in PAPERS[name].items():
        assert getattr(search, setting) == value
