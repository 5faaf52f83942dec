"""A saved network evaluated alone has the bits its run recorded; a wrong file is one line."""

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save

from darts import cli
from darts.data import ImageSet, Normalisation, RetrainData
from darts.data.area import reduced
from darts.networks.blueprint import describe, load_network
from darts.networks.stem_and_head import IMAGENET, SMALL_IMAGES
from darts.records.data_record import describe_images
from darts.records.run_folder import RunFolder
from darts.spaces import Genotype
from darts.spaces.nasbench201 import from_string
from darts.spaces.published import DARTS_V2
from darts.training.evaluate_network import evaluate_network, in_words
from darts.training.evaluation import NonFiniteLossError
from darts.training.export import export
from darts.training.full import full_run
from darts.training.retrain import retrain
from darts.training.saved_network import from_run
from tests.darts.networks.test_width import AT_42, s2_genotype
from tests.darts.training import test_imagenet_retrain as imagenet
from tests.darts.training.tiny import full_config, images, new_run, retrain_config, search_config

CONFIG = full_config(
    search=search_config(epochs=1), retrain=retrain_config(epochs=2, auxiliary_weight=0.0)
)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> RunFolder:
    made = new_run(tmp_path_factory.mktemp("evaluated") / "run", config=CONFIG)
    full_run(CONFIG, images(), made)
    return made


@pytest.fixture
def copy(run, tmp_path) -> Path:
    written = shutil.ignore_patterns("evaluation.json")
    shutil.copytree(run.path, tmp_path / "copy", ignore=written)
    return tmp_path / "copy"


def evaluated(path: Path, data: ImageSet, **settings: object) -> dict:
    """The three numbers."""
    record = evaluate_network(path, data, None, **settings)
    return {name: record[name] for name in ("loss", "accuracy_percent", "top5_percent", "images")}


def test_a_run_evaluated_again_has_the_bits_that_it_recorded(run, capsys):
    recorded = run.read("result.json")["retrain"]["test"]
    assert evaluated(run.path, images()) == recorded
    assert cli.main(["evaluate", str(run.path)]) == 0
    shown = capsys.readouterr().out
    assert f"loss {recorded['loss']:.4f}, top-1 {recorded['accuracy_percent']:.2f} %" in shown
    written = json.loads((run.path / "evaluation.json").read_text())
    assert {name: written[name] for name in recorded} == recorded
    assert written["data"]["type"] == "Digits"
    assert written["recorded_after_training"] == recorded


def test_an_exported_network_evaluated_has_them_too(run, tmp_path, capsys):
    export(from_run(run), tmp_path / "to", formats=())
    recorded = run.read("result.json")["retrain"]["test"]
    assert evaluated(tmp_path / "to", images()) == recorded
    assert cli.main(["evaluate", str(tmp_path / "to"), "--dataset", "digits"]) == 0
    assert str(tmp_path / "to" / "evaluation.json") in capsys.readouterr().out
    assert cli.main(["evaluate", str(tmp_path / "to")]) == 2
    error = capsys.readouterr().err
    assert "it was trained on digits. Give --dataset one of digits, cifar10" in error


def test_shares_do_not_depend_on_the_batch_size_nor_loss_by_more_than_rounding(run):
    recorded = run.read("result.json")["retrain"]["test"]
    for size in (1, 7, 449):
        found = evaluated(run.path, images(), batch_size=size)
        assert found["accuracy_percent"] == recorded["accuracy_percent"]
        assert found["top5_percent"] == recorded["top5_percent"]
        assert found["loss"] == pytest.approx(recorded["loss"], rel=1e-5)


def test_images_are_normalised_as_in_training(run):
    """Another set's own mean and deviation are not looked at."""
    other = images()
    strange = replace(other.normalisation, mean=(0.9,), sd=(0.01,))
    recorded = run.read("result.json")["retrain"]["test"]
    assert evaluated(run.path, replace(other, normalisation=strange)) == recorded


def test_other_test_images_give_other_numbers(run):
    """So that equality above means something: without two images it does not hold."""
    other = images()
    fewer = replace(other, test=other.test.take(torch.arange(len(other.test) - 2)))
    recorded = run.read("result.json")["retrain"]["test"]
    found = evaluated(run.path, fewer)
    assert found["images"] == recorded["images"] - 2
    assert found["loss"] != recorded["loss"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"class_names": tuple("01234")}, r"tells 10 classes apart .* digits has 5 classes"),
        ({"class_names": tuple("012345678x")}, r"first other one is '9', here 'x'"),
    ],
)
def test_other_classes_are_refused(run, change, message):
    with pytest.raises(ValueError, match=message):
        evaluate_network(run.path, replace(images(), **change), None)


def test_images_of_other_channels_are_refused_before_they_are_looked_at(copy, capsys):
    data = imagenet.photographs(side=8)
    ten = replace(data, class_names=tuple("0123456789"))
    with pytest.raises(ValueError, match=r"in images of 1 channels; noise has 10 .* and 3 chan"):
        evaluate_network(copy, ten, None)
    assert not (copy / "evaluation.json").exists()


def spoil_weights(folder: Path) -> None:
    path = folder / "retrain" / "network.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))


def cut_weights(folder: Path) -> None:
    path = folder / "retrain" / "network.safetensors"
    path.write_bytes(path.read_bytes()[:100])


def spoil_description(folder: Path) -> None:
    (folder / "retrain" / "network.json").write_text("{")


def widen(folder: Path) -> None:
    path = folder / "retrain" / "network.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "channels": 3}))


def lose_normalisation(folder: Path) -> None:
    path = folder / "retrain" / "network.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "normalisation": {"mean": 1}}))


def remove_network(folder: Path) -> None:
    (folder / "retrain" / "network.json").unlink()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (spoil_weights, "is not the file that network.json describes: its SHA-256"),
        (cut_weights, "is not the file that network.json describes: its SHA-256"),
        (spoil_description, "network.json is not JSON"),
        (widen, "does not fit the network of network.json"),
        (lose_normalisation, "is damaged"),
        (remove_network, "has no retrained network"),
    ],
)
def test_a_damaged_network_is_one_line_and_nothing_is_written(copy, damage, message, capsys):
    damage(copy)
    assert cli.main(["evaluate", str(copy)]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("darts: ")
    assert error.count("\n") == 1
    assert not (copy / "evaluation.json").exists()


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["nowhere"], 1, "nowhere has no network.json"),
        (["RUN", "--batch-size", "0"], 2, "--batch-size 0: ask for 1 image or more"),
        (["RUN", "--dataset", "cifar9"], 2, "No data set 'cifar9'. Did you mean 'cifar10'?"),
        (["RUN", "--data-root", "x"], 2, "--data-root given, but the data set digits has no such"),
        (["RUN", "--device", "cuda:99"], 2, "--device cuda:99 cannot be used"),
    ],
)
def test_what_cannot_be_evaluated_is_one_line(copy, arguments, status, message, capsys):
    named = [str(copy) if argument == "RUN" else argument for argument in arguments]
    assert cli.main(["evaluate", *named]) == status
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_weights_that_are_not_finite_end_in_words_and_not_in_a_record(copy):
    folder = copy / "retrain"
    weights = load_file(folder / "network.safetensors")
    weights["classifier.bias"][3] = float("nan")
    content = save(weights)
    (folder / "network.safetensors").write_bytes(content)
    description = {**describe(folder), "weights_sha256": hashlib.sha256(content).hexdigest()}
    (folder / "network.json").write_text(json.dumps(description))
    with pytest.raises(NonFiniteLossError, match="has a mean loss of nan over 449 images"):
        evaluate_network(copy, images(), None)
    assert not (copy / "evaluation.json").exists()


def test_a_line_without_an_earlier_evaluation_names_this_one_alone():
    record = {"loss": 1.0, "accuracy_percent": 50.0, "top5_percent": 90.0, "images": 1000}
    apart = {"recorded_after_training": None, "other_images_than_the_runs": None}
    line = in_words({**record, **apart})
    assert line == "loss 1.0000, top-1 50.00 %, top-5 90.00 % of 1,000 test images"


def nasbench201() -> Genotype:
    return from_string(
        "|nor_conv_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|skip_connect~0|none~1|avg_pool_3x3~2|"
    )


SMALL = {"stem": SMALL_IMAGES, "channels": 2, "auxiliary_weight": 0.0}
S2 = s2_genotype(AT_42)


@pytest.mark.parametrize(
    ("genotype", "changes"),
    [
        (DARTS_V2, {"stem": IMAGENET, "channels": 4, "cells": 1}),
        (nasbench201(), {**SMALL, "cells": 3}),
        pytest.param(S2, {**SMALL, "cells": 20}, marks=pytest.mark.slow),
    ],
    ids=["imagenet stem", "nasbench201", "s2"],
)
def test_a_trained_network_of_every_kind_comes_back_from_an_export(genotype, changes, tmp_path):
    """Retrained for two steps, exported, read, and evaluated: the same answers, the same record."""
    data = imagenet.photographs(imagenet.SIDE if changes["stem"] == IMAGENET else 32)
    config = imagenet.config(epochs=1, batch_size=14, **changes)
    full = full_config(search=None, retrain=config)
    run = new_run(tmp_path / "run", config=full)
    run.write("genotype.json", genotype.to_dict())
    run.write("data.json", describe_images(data))
    result = retrain(config, genotype, RetrainData.of(data), run)
    item = from_run(RunFolder.open(run.path))
    export(item, tmp_path / "to", formats=("pt2",))
    assert describe(tmp_path / "to")["frame"] == (
        "imagenet" if changes["stem"] == IMAGENET else "small images"
    )
    network = load_network(tmp_path / "to")
    test = data.normalisation(data.test.images)
    with torch.no_grad():
        expected = item.network()(test)
        assert torch.equal(network(test), expected)
        program = torch.export.load(tmp_path / "to" / "network.pt2").module()
        scale = float(expected.abs().max())
        assert (program(test) - expected).abs().max() <= 100 * torch.finfo().eps * scale
    assert evaluated(tmp_path / "to", data) == result.test.to_dict()
    assert describe(tmp_path / "to")["class_names"] == list(data.class_names)


def another_scale(other: ImageSet) -> ImageSet:
    """Pixels between 0 and 1 in place of 0 to 16: 16 times smaller, as floating numbers."""
    parts = {
        name: replace(part, images=part.images.float() / 16)
        for name, part in (("train", other.train), ("test", other.test))
    }
    measured = Normalisation.measure(parts["train"].images, full_scale=1.0)
    return replace(other, **parts, normalisation=measured)


def another_scale_of_floats(other: ImageSet) -> ImageSet:
    """A full scale as the network's own, and pixels a thousand times as bright."""
    bright = replace(other.train, images=other.train.images.float() * 1000)
    measured = Normalisation.measure(bright.images, full_scale=16.0)
    return replace(other, train=bright, test=bright, normalisation=measured)


def another_size(other: ImageSet) -> ImageSet:
    parts = {name: reduced(getattr(other, name), 4) for name in ("train", "test")}
    return replace(other, **parts)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (another_scale, r"another scale than those of digits: its own are divided by 16 and then"),
        (another_scale_of_floats, r"another scale than those of digits: .* the mean 3\d\d"),
        (another_size, r"trained on images of 8×8 pixels, and those of digits have 4×4\. Give"),
    ],
)
@pytest.mark.parametrize("exported", [False, True])
def test_images_of_another_scale_or_size_are_refused(run, change, message, exported, tmp_path):
    """The network would take them, and its accuracy would say nothing."""
    path = run.path
    if exported:
        path = tmp_path / "to"
        export(from_run(run), path, formats=())
    written = (path / "evaluation.json").exists()
    with pytest.raises(ValueError, match=message):
        evaluate_network(path, change(images()), None)
    assert (path / "evaluation.json").exists() == written


def test_weights_of_another_program_take_images_of_any_size(run, tmp_path):
    """The size in its description is a guess."""
    export(from_run(run), tmp_path / "to", formats=())
    description = describe(tmp_path / "to")
    del description["run"]
    (tmp_path / "to" / "network.json").write_text(json.dumps(description))
    assert evaluated(tmp_path / "to", another_size(images()))["images"] == 449


def test_images_that_may_have_been_trained_on_are_said(run):
    """As in a folder that grew, whose fifth for testing was drawn anew."""
    whole = images()
    shifted = replace(
        whole,
        train=whole.train.take(torch.arange(1, len(whole.train))),
        test=whole.test.take(torch.arange(1, len(whole.test))),
    )
    record = evaluate_network(run.path, shifted, None)
    assert record["other_images_than_the_runs"] is True
    assert "it may have been trained on some that are tested here" in in_words(record)
    for same in (whole, replace(whole, train=shifted.train), replace(whole, test=shifted.test)):
        record = evaluate_network(run.path, same, None)
        assert record["other_images_than_the_runs"] is False
        assert "trained on" not in in_words(record)
