"""Retraining with ImageNet's stem: two smoothed heads, a width found, and the same bits again."""

import pytest
import torch

from darts.config.schedule import Linear
from darts.data import ImageSet, LabelledImages, Normalisation, RetrainData
from darts.networks.blueprint import load_network
from darts.networks.stem_and_head import IMAGENET
from darts.networks.width import MultiplyAddLimit
from darts.records.run_folder import RunFolder
from darts.training.retrain import retrain
from darts.training.retraining import Training
from tests.darts.config.test_schedule import gradients
from tests.darts.training.test_retrain import GENOTYPE, assert_same_weights
from tests.darts.training.tiny import Follower, KilledError, new_run, retrain_config, timeless

SIDE, CLASSES = 112, 7
"""The auxiliary head, after the one reduction of a network of one cell, needs 7×7."""


def photographs(side: int = SIDE) -> ImageSet:
    """Noise with the label in its mean colour, so that there is something to learn."""
    draw = torch.Generator().manual_seed(0)
    labels = torch.arange(28) % CLASSES
    noise = torch.randint(0, 100, (28, 3, side, side), generator=draw)
    images = (noise + 20 * labels[:, None, None, None]).to(torch.uint8)
    part = LabelledImages(images, labels, CLASSES)
    names = tuple(f"n{k:08}" for k in range(CLASSES))
    return ImageSet("noise", part, part, names, Normalisation.measure(images), mirror=True)


def config(**changes):
    settings = {
        "stem": IMAGENET,
        "epochs": 2,
        "batch_size": 8,
        "cells": 1,
        "channels": MultiplyAddLimit(2.0),
        "schedule": Linear(),
        "learning_rate": 0.1,
        "warmup_epochs": 1,
        "label_smoothing": 0.1,
        "padding": 0,
        "cutout": 0,
        "drop_path": 0.0,
        "auxiliary_weight": 0.4,
    }
    return retrain_config(**{**settings, **changes})


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    run = new_run(tmp_path_factory.mktemp("imagenet") / "run")
    return run, retrain(config(), GENOTYPE, RetrainData.of(photographs()), run)


def test_the_network_has_imagenets_stem_and_the_width_that_the_limit_leaves(uninterrupted):
    run, result = uninterrupted
    network = load_network(run.path / "retrain")
    quarter, eighth = network.stem(torch.zeros(1, 3, SIDE, SIDE))
    assert (quarter.shape[-1], eighth.shape[-1]) == (SIDE // 4, SIDE // 8)
    assert quarter.shape[1] == result.channels
    assert result.channels % 2 == 0
    assert result.multiply_adds_millions <= 2.0
    assert network.auxiliary_head is None
    wider = config(channels=result.channels + 2).blueprint(GENOTYPE, (3, SIDE, SIDE), CLASSES)
    wide = Training(config(channels=wider.channels), GENOTYPE, RetrainData.of(photographs()))
    assert wide.multiply_adds_millions > 2.0


def test_a_width_found_and_the_same_width_given_are_one_training(uninterrupted, tmp_path):
    run, result = uninterrupted
    given = new_run(tmp_path / "given")
    same = retrain(config(channels=result.channels), GENOTYPE, RetrainData.of(photographs()), given)
    assert same.test == result.test
    assert_same_weights(run, given)


@pytest.mark.parametrize("die_at", [(0, 1), (1, 0)])
def test_killed_in_mid_epoch_and_resumed_it_ends_at_the_same_bits(uninterrupted, tmp_path, die_at):
    run, result = uninterrupted
    killed = new_run(tmp_path / "killed", Follower(die_at=("retrain", *die_at)))
    with pytest.raises(KilledError):
        retrain(config(), GENOTYPE, RetrainData.of(photographs()), killed)
    torch.rand(5)
    resumed = RunFolder.open(killed.path)
    again = retrain(config(), GENOTYPE, RetrainData.of(photographs()), resumed)
    assert again.test == result.test
    assert_same_weights(run, resumed)
    stream = "retrain/epochs"
    assert timeless(run.records(stream)) == timeless(resumed.records(stream))


def test_both_heads_are_smoothed_and_weighted_in_the_gradient(monkeypatch):
    """Gradients of the two classifiers' biases: mean of p − target, the second's times 0.4."""
    training = Training(config(clip=1e9), GENOTYPE, RetrainData.of(photographs()))
    asked = []
    usual = training.loss
    monkeypatch.setattr(training, "loss", lambda *args: asked.append(args) or usual(*args))
    grads = gradients(training)
    training.step(0, 0)
    assert len(asked) == 2
    for (logits, labels), weight, name in zip(
        asked, (1.0, 0.4), ("classifier.bias", "auxiliary_head.classifier.bias"), strict=True
    ):
        spread = 0.1 / CLASSES
        target = torch.full_like(logits, spread).scatter_(1, labels[:, None], 0.9 + spread)
        expected = weight * (logits.softmax(dim=1) - target).mean(dim=0).detach()
        assert torch.allclose(grads[name], expected, atol=1e-6)


def test_an_odd_width_is_refused_as_the_config_is_made():
    with pytest.raises(ValueError, match=r"channels=7\) with the stem imagenet: .* Give 6 or 8"):
        config(channels=7)


def test_warm_up_longer_than_the_training_is_refused():
    with pytest.raises(ValueError, match=r"warmup_epochs=3, epochs=2\): .* Warm up for fewer"):
        config(warmup_epochs=3)


@pytest.mark.parametrize("value", [1.0, -0.1, float("nan")])
def test_smoothing_is_a_share_below_1(value):
    with pytest.raises(ValueError, match=r"label_smoothing=.*at least 0 and below 1"):
        config(label_smoothing=value)
