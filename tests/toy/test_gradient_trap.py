"""A.3's three ways: α stays as the search left it, and an interrupted run ends in the same bits."""

from dataclasses import replace

import pytest
import torch

from bilevel.estimators import Amended
from darts.data import Digits, SearchData
from darts.records.run_folder import RunFolder
from tests.darts.training.tiny import TWO_EDGES, Follower, KilledError, new_run
from toy.gradient_trap import WAYS, Trap, errors, train_weights

SMALL = Trap(
    data=Digits(train_size=60),
    search=replace(
        Trap().search,
        space=TWO_EDGES,
        epochs=2,
        batch_size=10,
        channels=2,
        statistics_batches=1,
        checkpoint_share=1.0,
    ),
    derived=replace(Trap().derived, epochs=1, batch_size=20, channels=2, checkpoint_share=1.0),
)
IMAGES = SMALL.data.load()
AMENDED = Amended(eta=0.1)


def test_a_run_has_an_error_in_each_way_and_goes_on_to_the_same_ones(tmp_path):
    whole = errors(SMALL, AMENDED, 0, IMAGES, new_run(tmp_path / "a"))
    assert tuple(whole) == WAYS
    assert all(0 <= value <= 100 for value in whole.values())
    with pytest.raises(KilledError):
        errors(SMALL, AMENDED, 0, IMAGES, new_run(tmp_path / "b", Follower(("search", 1, 1))))
    again = RunFolder.open(tmp_path / "b", (Follower(("retrain", 0, 1)),))
    with pytest.raises(KilledError):
        errors(SMALL, AMENDED, 0, IMAGES, again)
    assert errors(SMALL, AMENDED, 0, IMAGES, RunFolder.open(tmp_path / "b")) == whole


def test_weights_are_trained_with_alpha_held_where_it_was_given(tmp_path):
    config = replace(SMALL.search, seed=3)
    data = SearchData(IMAGES.train, IMAGES.test, IMAGES.normalisation, mirror=False)
    draw = torch.Generator().manual_seed(1)
    alpha = {kind: torch.randn(2, 4, generator=draw) for kind in ("normal", "reduce")}
    run = new_run(tmp_path / "run")
    error = train_weights(config, alpha, data, run)
    last = run.records("search/epochs")[-1]
    assert error == 100 - last["val_accuracy_percent"]
    for kind, weights in alpha.items():
        expected = torch.softmax(weights, dim=-1)
        assert torch.equal(torch.tensor(last["mixing"][kind]), expected)


def test_the_paper_s_small_search_is_that_of_the_defaults():
    trap = Trap()
    assert (trap.search.cells, trap.search.epochs, trap.search.space.name) == (2, 600, "s1")
    assert len(trap.search.space.edges) == 14
