"""What is exported is the network: every format, read back, answers real images as it does."""

import hashlib
import json
import pickle
import zipfile
from pathlib import Path

import pytest
import torch

from darts import cli, extras
from darts.data import Digits, Normalisation, RetrainData
from darts.networks import DerivedNetwork
from darts.networks.blueprint import Blueprint, describe, load_network
from darts.networks.counting import count_multiply_adds, count_parameters
from darts.records.data_record import describe_images
from darts.records.run_folder import RunFolder
from darts.spaces.notation import genotype_from_text
from darts.spaces.published import DARTS_V2
from darts.training.evaluation import Evaluation
from darts.training.export import export
from darts.training.retraining import Training
from darts.training.saved_network import from_run, untrained
from tests import documents
from tests.darts.training.tiny import full_config, new_run

IMAGES = Digits().load()
CHANNELS, CELLS = 4, 3
TEST = Evaluation(0.5, {"accuracy_percent": 90.0, "top5_percent": 99.0}, len(IMAGES.test))


def original() -> DerivedNetwork:
    """A network with an auxiliary head, and running statistics of real images, not initial ones."""
    torch.manual_seed(0)
    network = DerivedNetwork(
        DARTS_V2, channels=CHANNELS, cells=CELLS, in_channels=1, auxiliary=True
    )
    network.auxiliary_head.train(False)  # 8×8 images are too small for it
    head, network.auxiliary_head = network.auxiliary_head, None
    for part in IMAGES.train.images[:512].split(64):
        network(IMAGES.normalisation(part))
    network.auxiliary_head = head
    return network.eval()


def answers(network, count: int = 200) -> torch.Tensor:
    with torch.no_grad():
        return network(IMAGES.normalisation(IMAGES.test.images[:count]))


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> RunFolder:
    config = full_config()
    object.__setattr__(config.retrain, "channels", CHANNELS)
    object.__setattr__(config.retrain, "cells", CELLS)
    run = new_run(tmp_path_factory.mktemp("run") / "run", config=config)
    run.write("data.json", describe_images(IMAGES))
    run.write("genotype.json", DARTS_V2.to_dict())
    training = Training(config.retrain, DARTS_V2, RetrainData.of(IMAGES))
    training.network = original()
    assert any(name.startswith("auxiliary_head.") for name in training.network.state_dict())
    training.saved(TEST).write(run.path / "retrain")
    return run


@pytest.fixture(scope="module")
def folder(run, tmp_path_factory) -> Path:
    pytest.importorskip("onnxscript", reason="ONNX needs the extra [export]")
    folder = tmp_path_factory.mktemp("export") / "to"
    export(from_run(run), folder)
    return folder


def test_two_lines_of_python_give_the_network_back(folder):
    network = load_network(folder)
    assert torch.equal(answers(network), answers(original()))
    assert not network.training
    assert network.auxiliary_head is None


def test_torch_export_answers_as_the_network_for_batches_of_any_size(folder):
    program = torch.export.load(folder / "network.pt2").module()
    for count in (1, 2, 7, 200):
        expected = answers(original(), count)
        assert (answers(program, count) - expected).abs().max() <= tolerance(expected)


def test_onnx_answers_as_the_network_for_batches_of_any_size(folder):
    runtime = pytest.importorskip("onnxruntime", reason="needs the extra [export]")
    session = runtime.InferenceSession(folder / "network.onnx")
    assert [put.name for put in (*session.get_inputs(), *session.get_outputs())] == [
        "images",
        "logits",
    ]

    def network(images: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(session.run(["logits"], {"images": images.numpy()})[0])

    for count in (1, 2, 7, 200):
        expected = answers(original(), count)
        assert (answers(network, count) - expected).abs().max() <= tolerance(expected)


def tolerance(logits: torch.Tensor) -> float:
    """Rounding of a sum of the network's ~100 layers; another network is 10⁴ times further off."""
    return 100 * torch.finfo(torch.float32).eps * float(logits.abs().max())


def test_the_tolerance_tells_networks_apart():
    other = original()
    with torch.no_grad():
        other.classifier.weight[0, 0] += 1e-2
    assert (answers(other) - answers(original())).abs().max() > tolerance(answers(original()))


def test_the_description_has_what_a_user_needs(folder):
    content = describe(folder)
    bare = Blueprint(DARTS_V2, CHANNELS, CELLS, 10, 1).build()
    assert content["params"] == count_parameters(bare)
    assert content["multiply_adds"] == count_multiply_adds(bare, (1, 8, 8))
    assert content["image_height_width"] == [8, 8]
    assert content["class_names"] == list("0123456789")
    assert content["trained"] is True
    stored = content["normalisation"]
    again = Normalisation(tuple(stored["mean"]), tuple(stored["sd"]), stored["full_scale"])
    assert again == IMAGES.normalisation
    assert genotype_from_text((folder / "genotype.txt").read_text()) == DARTS_V2


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("network.safetensors", lambda data: data[:-1], "is not the file that network.json"),
        ("network.json", lambda data: data[:-5], "is not JSON"),
        ("network.json", lambda data: b"[]", "should have the format"),
        ("network.json", lambda data: data.replace(b'"cells": 3', b'"cells": 4'), "does not fit"),
        ("network.json", lambda data: data.replace(b'"cells": 3', b'"cells": "3"'), "cells='3'"),
        ("network.json", lambda data: data.replace(b'"cells"', b'"shells"'), "has no cells"),
        ("network.json", lambda data: data.replace(b"small images", b"x"), "there are small"),
    ],
)
def test_a_damaged_folder_is_refused(folder, tmp_path, file, change, message):
    for name in ("network.json", "network.safetensors"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    load_network(tmp_path)
    (tmp_path / file).write_bytes(change((tmp_path / file).read_bytes()))
    with pytest.raises(ValueError, match=message):
        load_network(tmp_path)


def test_weights_that_are_no_safetensors_are_refused_even_with_the_right_digest(folder, tmp_path):
    content = describe(folder)
    planted = pickle.dumps({"weights": 1})
    (tmp_path / "network.safetensors").write_bytes(planted)
    content["weights_sha256"] = hashlib.sha256(planted).hexdigest()
    (tmp_path / "network.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match="does not fit the network"):
        load_network(tmp_path)


class _Planted:
    """Unpickled, it appends to the list that `sys.planted` is: code from a file has run."""

    def __reduce__(self):
        return exec, ("import sys; sys.planted.append('ran')",)


def test_reading_a_pt2_file_can_run_its_code_so_this_project_only_writes_them(
    folder, tmp_path, monkeypatch
):
    """Why `load_network` reads safetensors. One weight is declared pickled, and is a program."""
    import sys

    monkeypatch.setattr(sys, "planted", [], raising=False)
    target = tmp_path / "planted.pt2"
    with zipfile.ZipFile(folder / "network.pt2") as whole, zipfile.ZipFile(target, "w") as planted:
        for name in whole.namelist():
            content = whole.read(name)
            if name.endswith("weights_config.json"):
                config = json.loads(content)
                next(iter(config["config"].values()))["use_pickle"] = True
                content = json.dumps(config).encode()
            elif name.endswith("/weight_0"):
                content = pickle.dumps(_Planted())
            planted.writestr(name, content)
    with pytest.raises(Exception):  # noqa: B017  whatever torch then trips over
        torch.export.load(target)
    assert sys.planted == ["ran"]
    sources = Path(cli.__file__).parent.rglob("*.py")
    assert not [path for path in sources if "torch.export.load(" in path.read_text()]


def test_a_genotype_is_exported_with_the_weights_that_training_begins_with(tmp_path, capsys):
    sizes = ["--channels", "4", "--cells", "3", "--in-channels", "1", "--image-size", "8"]
    to = tmp_path / "to"
    command = ["export", "DARTS_V2", *sizes, "--seed", "3", "--to", str(to), "--formats"]
    assert cli.main(command) == 0
    assert "initial weights, seed 3" in capsys.readouterr().out
    assert sorted(path.name for path in to.iterdir()) == [
        "genotype.txt",
        "network.json",
        "network.safetensors",
    ]
    item = untrained(Blueprint(DARTS_V2, 4, 3, 10, 1), (8, 8), seed=3)
    assert torch.equal(answers(load_network(to)), answers(item.network()))
    assert cli.main(command) == 1
    assert "exists and is not empty" in capsys.readouterr().err


def test_the_blocks_of_the_page_run_on_an_exported_folder(tmp_path, monkeypatch):
    item = untrained(Blueprint(DARTS_V2, 4, 3, 10, 1), (8, 8), seed=3)
    export(item, tmp_path / "exported", formats=())
    monkeypatch.chdir(tmp_path)
    found = documents.run("docs/INTEROP.md")
    assert torch.equal(answers(found["network"]), answers(item.network()))
    assert callable(found["wandb"])


def test_a_run_without_a_network_has_nothing_to_export(tmp_path):
    run = new_run(tmp_path / "run")
    run.write("data.json", describe_images(IMAGES))
    with pytest.raises(ValueError, match=r"has no retrained network.*--resume"):
        from_run(run)


def test_a_missing_extra_is_one_line_and_nothing_is_written(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    to = tmp_path / "to"
    assert cli.main(["export", "DARTS_V2", "--to", str(to)]) == 1
    error = capsys.readouterr().err
    assert error == (
        "darts: Export to ONNX needs onnx and onnxscript, which are not installed: "
        "pip install 'amended-darts[export]'.\n"
    )
    assert not to.exists()
