"""A search on ImageNet begins with a stem that reduces images eightfold, as PC-DARTS's does."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bilevel import Autograd, Vector
from bilevel.derivatives import ReverseOverForward
from bilevel.estimators import Amended
from darts import cli
from darts.config.presets import PRESETS
from darts.config.search import SearchConfig
from darts.networks import Architecture, Supernet
from darts.networks.adapter import SupernetAdapter
from darts.networks.stem_and_head import IMAGENET
from darts.spaces import NASBENCH201, S1

MINI = Path(
    os.environ.get("DARTS_DATA_DIR", Path(__file__).parents[4] / "shared/data")
) / "imagenet_sample/mini100_84"  # fmt: skip


def network(cells=2):
    torch.manual_seed(0)
    return Supernet(S1, channels=2, cells=cells, classes=3, stem=IMAGENET)


def test_cells_see_a_quarter_and_an_eighth_of_the_resolution():
    seen = []
    net = network()
    net.cells[0].register_forward_pre_hook(lambda _, given: seen.extend(given[0]))
    mixing = Architecture(S1).mixing_weights(Architecture(S1).initial(0))
    with torch.no_grad():
        assert net(torch.randn(2, 3, 84, 84), mixing).shape == (2, 3)
    assert [tuple(state.raw.shape) for state in seen] == [(2, 2, 21, 21), (2, 2, 11, 11)]


def test_products_in_reverse_and_over_forward_mode_agree_through_the_stem():
    """The two products that the paper's estimator takes, in float64."""
    net = network(cells=1).double()
    architecture = Architecture(S1)
    adapter = SupernetAdapter(net, architecture, weight_decay=1e-3)
    draw = torch.Generator().manual_seed(1)
    batch = (torch.randn(4, 3, 16, 16, generator=draw).double(), torch.tensor([0, 1, 2, 0]))
    alpha = {k: v.double().requires_grad_() for k, v in architecture.initial(0).items()}
    problem = adapter.problem(batch, batch, 0)
    before = {name: buffer.clone() for name, buffer in net.named_buffers()}
    first, second = (
        Vector.of(Amended(eta=0.1, derivatives=how)(problem, adapter.omega, alpha).implicit)
        for how in (Autograd(), ReverseOverForward())
    )
    assert all(torch.equal(before[name], buffer) for name, buffer in net.named_buffers())
    # two products through some 30 layers, each of sums of at most 10⁴ numbers
    assert (first - second).norm() <= 60 * 1e4 * torch.finfo(torch.float64).eps * first.norm()
    assert first.norm() > 0


@pytest.mark.parametrize(
    "changes", [{"channels": 7}, {"space": NASBENCH201, "cells": 3}], ids=["odd", "one input"]
)
def test_spaces_and_widths_that_the_stem_does_not_fit_are_refused(changes):
    with pytest.raises(ValueError, match=r"--search.stem imagenet .* take the stem small-images"):
        SearchConfig(**{"channels": 8, "stem": IMAGENET, **changes})


def test_the_preset_of_photographs_searches_and_retrains_with_that_stem():
    preset = PRESETS["mini100-tiny"]
    assert preset.search.stem == preset.retrain.stem == IMAGENET
    assert preset.data.image_size == 84
    assert replace(preset.search, epochs=4) == preset.search


@pytest.mark.slow
@pytest.mark.skipif(not MINI.is_dir(), reason=f"there are no photographs in {MINI}")
def test_mini_imagenet_is_searched_and_retrained_at_84(tmp_path, monkeypatch):
    monkeypatch.setattr("darts.training.baselines.MOST_WORK", 0)  # a minute of its own
    sizes = ("--train-size=200", "--test-size=100", "--search.epochs=1", "--search.frozen-epochs=0")
    arguments = ("--preset=mini100-tiny", "--data-root", str(MINI), "--device=cpu", *sizes)
    small = ("--search.channels=4", "--retrain.epochs=1", "--retrain.channels=4")
    to = ("--retrain.cells=3", "--run-dir", str(tmp_path / "run"))
    assert cli.main(["full-search", *arguments, *small, *to]) == 0
    assert (tmp_path / "run/report.html").is_file()
