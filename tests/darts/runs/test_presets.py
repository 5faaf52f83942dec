"""The presets say what the papers say, and can be found from the command line's help."""

import json

import pytest

from darts import cli
from darts.data import Cifar100
from darts.networks.frames import IMAGENET
from darts.networks.width import MultiplyAddLimit
from darts.options import Options
from darts.runs import PRESETS
from darts.runs.schedule import Linear
from tests.darts.data.real_files import real


def test_the_mobile_setting_of_imagenet():
    """The paper as far as it says, PC-DARTS and its code for the rest."""
    preset = PRESETS["imagenet-mobile"]
    retrain = preset.retrain
    assert preset.search is None
    assert (preset.data.name, preset.data.image_size) == ("imagenet", 224)
    assert (retrain.epochs, retrain.batch_size, retrain.warmup_epochs) == (250, 1024, 5)
    assert (retrain.learning_rate, retrain.learning_rate_end) == (0.5, 0.0)
    assert retrain.schedule == Linear()
    assert (retrain.momentum, retrain.weight_decay) == (0.9, 3e-5)
    assert (retrain.label_smoothing, retrain.auxiliary_weight, retrain.clip) == (0.1, 0.4, 5.0)
    assert (retrain.padding, retrain.cutout, retrain.drop_path) == (0, 0, 0.0)
    assert (retrain.frame, retrain.cells) == (IMAGENET, 14)
    assert retrain.channels == MultiplyAddLimit(600.0)


def test_cifar100_has_the_papers_settings_of_cifar10():
    hundred, ten = PRESETS["cifar100-s1"], PRESETS["cifar10-s1"]
    assert isinstance(hundred.data, Cifar100)
    assert (hundred.search, hundred.retrain) == (ten.search, ten.retrain)


@pytest.mark.parametrize("name", PRESETS)
def test_the_help_of_preset_names_every_one(name):
    """In full, or after the cifar10- or before the -s1-tiny that several share."""
    words = Options.__doc__.split("preset:")[1].split("dataset:")[0]
    shared = [name.removeprefix("cifar10-"), name.removesuffix("s1-tiny")]
    known = {word.strip("(),;.") for word in words.split()}
    if name.startswith("cifar10-robust-s"):
        assert {"cifar10-robust-s1", "cifar10-robust-s4"} <= known
    else:
        assert known & {name, *shared}


@pytest.mark.parametrize("command", ["full-search", "search", "sweep"])
def test_a_preset_without_a_search_is_refused_where_one_is_asked_for(command, capsys):
    assert cli.main([command, "--preset", "imagenet-mobile"]) == 2
    error = capsys.readouterr().err
    assert f"{command} with the preset imagenet-mobile, which has no search" in error
    assert "darts retrain --preset imagenet-mobile --genotype" in error


@pytest.mark.slow
def test_the_check_of_imagenet_runs_and_its_network_alone_has_the_same_bits(tmp_path, capsys):
    root = str(real("imagenet_sample/imagenette160"))
    run = str(tmp_path / "run")
    command = ["retrain", "--preset", "imagenet-check", "--genotype", "DARTS_V2", "--device", "cpu"]
    assert cli.main([*command, "--data-root", root, "--run-dir", run]) == 0
    assert cli.main(["evaluate", run, "--device", "cpu"]) == 0
    shown = capsys.readouterr().out
    assert "top-5" in shown
    trained = json.loads((tmp_path / "run" / "result.json").read_text())["retrain"]
    again = json.loads((tmp_path / "run" / "evaluation.json").read_text())
    assert trained["multiply_adds_millions"] <= 10
    assert {name: again[name] for name in trained["test"]} == trained["test"]
    assert trained["test"]["images"] == 30
