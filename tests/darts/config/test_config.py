"""Settings: the paper's by default, checked at once, saved whole, compared field by field."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bilevel import Autograd, CentralDifference
from bilevel.derivatives import ReverseOverForward
from bilevel.estimators import Amended, DartsSecondOrder, FirstOrder
from darts.config.as_json import differences, from_json, to_json
from darts.config.full import FullConfig
from darts.config.presets import PRESETS
from darts.config.retrain import RetrainConfig
from darts.config.schedule import HalfCosine, half_cosine
from darts.config.search import SearchConfig
from darts.data import Cifar10
from darts.names import ESTIMATORS, TYPES
from darts.networks.stem_and_head import SMALL_IMAGES
from tests.darts.training.tiny import full_config


def test_the_defaults_are_the_papers():
    search, retrain = SearchConfig(), RetrainConfig()
    assert (search.channels, search.cells, search.batch_size) == (16, 8, 96)
    assert search.estimator == Amended(eta=0.1, derivatives=ReverseOverForward())
    assert ESTIMATORS.read("amended") == search.estimator
    assert (search.alpha_learning_rate, search.alpha_betas) == (3e-4, (0.5, 0.999))
    assert (search.alpha_weight_decay, search.weight_decay) == (1e-3, 3e-4)
    assert (search.learning_rate, search.learning_rate_end) == (0.025, 0.001)
    assert (search.momentum, search.clip, search.train_share) == (0.9, 5.0, 0.5)
    assert (retrain.channels, retrain.cells, retrain.epochs) == (36, 20, 600)
    assert (retrain.batch_size, retrain.cutout, retrain.padding) == (96, 16, 4)
    assert (retrain.learning_rate, retrain.learning_rate_end) == (0.025, 0.0)
    assert (retrain.drop_path, retrain.auxiliary_weight) == (0.2, 0.4)
    assert (retrain.stem, retrain.schedule) == (SMALL_IMAGES, HalfCosine())
    assert (retrain.warmup_epochs, retrain.label_smoothing) == (0, 0.0)
    paper = PRESETS["cifar10-s1"]
    assert (paper.search, paper.retrain) == (search, retrain)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_survives_being_written_and_read(name):
    text = json.dumps(to_json(PRESETS[name]))
    assert from_json(json.loads(text), TYPES) == PRESETS[name]


def test_a_config_with_names_that_were_renamed_is_read_and_equal_to_todays():
    """before.json, of a run of before, holds still_epochs and a frame of type SmallImageFrame."""
    old = json.loads(Path(__file__).with_name("before.json").read_text("utf-8"))
    config = from_json(old, TYPES)
    assert config.search.frozen_epochs == old["search"]["still_epochs"]
    assert "frame" in old["retrain"]
    assert config.retrain.stem == SMALL_IMAGES
    assert differences(old, to_json(config)) == []
    text = json.dumps(to_json(PRESETS["cifar10-p-darts"]))
    for name, before in (("frozen_epochs", "still_epochs"), ("macro_architecture", "arrangement")):
        assert name in text
        text = text.replace(f'"{name}"', f'"{before}"')
    assert from_json(json.loads(text), TYPES) == PRESETS["cifar10-p-darts"]


def test_a_config_of_before_keeps_the_graph_that_it_names():
    """Searches took all exact products by `Autograd` at first, and their configs say so."""
    stored = {"type": "Amended", "eta": 0.1, "derivatives": {"type": "Autograd", "chunk": 1}}
    content = {**to_json(PRESETS["cifar10-s1"].search), "estimator": stored}
    config = from_json(json.loads(json.dumps(content)), TYPES)
    assert config.estimator == Amended(eta=0.1, derivatives=Autograd())
    assert to_json(config) == content


@pytest.mark.parametrize(
    "estimator",
    [FirstOrder(), DartsSecondOrder(xi=0.01), Amended(0.2, derivatives=CentralDifference(0.1))],
    ids=lambda estimator: type(estimator).__name__,
)
def test_the_estimator_is_recorded_with_its_parameters(estimator):
    config = SearchConfig(estimator=estimator)
    content = to_json(config)
    assert content["estimator"]["type"] == type(estimator).__name__
    assert from_json(content, TYPES) == config


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        (SearchConfig, {"epochs": 0}, r"SearchConfig\(epochs=0\): it must be 1 or more"),
        (SearchConfig, {"batch_size": -1}, r"batch_size=-1\): it must be 2 or more"),
        (SearchConfig, {"batch_size": 1}, r"batch_size=1\): it must be 2 or more, because batch"),
        (RetrainConfig, {"batch_size": 1}, r"batch_size=1\): it must be 2 or more, because batch"),
        (SearchConfig, {"learning_rate": 0.0}, r"learning_rate=0.0\): it must be positive"),
        (SearchConfig, {"clip": float("nan")}, r"clip=nan\): it must be positive"),
        (SearchConfig, {"clip": float("inf")}, r"clip=inf\): it must be positive and finite"),
        (SearchConfig, {"weight_decay": -1e-4}, "finite and not negative"),
        (SearchConfig, {"train_share": 1.0}, "strictly between 0 and 1"),
        (SearchConfig, {"momentum": 1.0}, "at least 0 and below 1"),
        (SearchConfig, {"alpha_betas": (0.5, 1.0)}, r"alpha_betas=1.0\): .* below 1"),
        (SearchConfig, {"checkpoint_share": 0.0}, r"checkpoint_share=0.0\): .* above 0"),
        (RetrainConfig, {"checkpoint_share": 1.5}, "at most 1, which is a checkpoint after every"),
        (RetrainConfig, {"drop_path": 1.0}, r"drop_path=1.0\): .* below 1"),
        (RetrainConfig, {"cells": 0}, r"RetrainConfig\(cells=0\)"),
        (RetrainConfig, {"test_every": 0}, r"test_every=0\): it must be 1 or more"),
        (RetrainConfig, {"auxiliary_weight": -0.4}, "finite and not negative"),
    ],
)
def test_a_bad_value_fails_as_the_config_is_made(kind, settings, message):
    with pytest.raises(ValueError, match=message):
        kind(**settings)


def test_a_run_without_stages_is_refused():
    with pytest.raises(ValueError, match="neither a search nor a retrain"):
        full_config(search=None, retrain=None)


def test_differences_name_every_setting_that_differs_and_no_other():
    one = full_config()
    other = replace(one, search=replace(one.search, epochs=7, estimator=FirstOrder()))
    found = differences(to_json(one), to_json(other))
    assert found == [
        "search.epochs: 3 ≠ 7",
        "search.estimator.derivatives.type: ReverseOverForward ≠ absent",
        "search.estimator.eta: 0.1 ≠ absent",
        "search.estimator.type: Amended ≠ FirstOrder",
    ]
    assert differences(to_json(one), to_json(one)) == []


def test_where_the_data_are_may_change_and_what_they_are_may_not():
    here, there = Cifar10("here", train_size=5), Cifar10("there", train_size=5, download=True)
    config = FullConfig("x", here, SearchConfig(), None)
    moved = replace(config, data=there)
    smaller = replace(config, data=Cifar10("here", train_size=4))
    assert differences(to_json(config), to_json(moved)) == []
    assert differences(to_json(config), to_json(smaller)) == ["data.train_size: 5 ≠ 4"]


def test_a_seed_goes_to_every_stage_and_not_to_the_images():
    config = full_config().with_seed(5)
    assert (config.search.seed, config.retrain.seed, config.seed) == (5, 5, 5)
    assert config.data == full_config().data


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"type": "Os"}, "names type 'Os', which is not known .* register_data_set"),
        ({"surprise": 1}, r"unknown fields \['surprise'\], missing fields none"),
    ],
)
def test_a_config_that_this_version_does_not_know_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        from_json({**to_json(SearchConfig()), **change}, TYPES)


def test_a_config_with_a_missing_field_is_refused():
    content = to_json(RetrainConfig())
    del content["cells"]
    with pytest.raises(ValueError, match=r"missing fields \['cells'\]"):
        from_json(content, TYPES)


def test_what_json_cannot_record_is_refused():
    with pytest.raises(TypeError, match="found object"):
        to_json((object(),))


def test_the_half_cosine_has_the_right_ends_and_middle_and_falls():
    assert half_cosine(0.025, 0.001, 0.0) == 0.025
    assert half_cosine(0.025, 0.001, 1.0) == pytest.approx(0.001)
    assert half_cosine(0.025, 0.001, 0.5) == pytest.approx(0.013)
    values = [half_cosine(1.0, 0.0, k / 50) for k in range(51)]
    assert values == sorted(values, reverse=True)
