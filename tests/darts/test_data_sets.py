"""One small full run on every data set, by the command line; a damaged photograph ends one well."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from darts import cli
from tests.darts.data.image_folder import write_tree
from tests.darts.data.real_files import real, write_cifar100, write_idx

SMALL = (
    "--estimator=first-order",
    "--search.epochs=1",
    "--search.cells=3",
    "--search.channels=2",
    "--retrain.epochs=1",
    "--retrain.cells=3",
    "--retrain.channels=4",
)


def run(*arguments: str | Path) -> int:
    return cli.main(["full-search", *map(str, arguments), "--device", "cpu"])


def assert_whole(folder: Path, name: str, shape: list[int], classes: int) -> None:
    """A finished run whose record says what was asked, and whose halves are the training part."""
    result = json.loads((folder / "result.json").read_text())
    data = json.loads((folder / "data.json").read_text())
    assert data["name"] == name
    assert data["shape"] == shape
    assert len(data["class_names"]) == len(data["train_counts"]) == classes
    assert sum(data["train_counts"]) == data["train_images"]
    assert sum(data["test_counts"]) == data["test_images"] == result["retrain"]["test"]["images"]
    both = zip(data["search"]["train_counts"], data["search"]["val_counts"], strict=True)
    assert [sum(pair) for pair in both] == data["train_counts"]
    assert sum(data["search"]["val_counts"]) == data["search"]["val_images"]
    assert 0 <= result["retrain"]["test"]["accuracy_percent"] <= 100
    page = (folder / "report.html").read_text()
    assert "The images" in page
    assert f"{data['train_images']:,}" in page


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "reader", "subset"),
    [
        ("mnist", "MNIST", "small/mnist_subset.npz"),
        ("fashion-mnist", "FashionMNIST", "small/fashion_mnist_subset.npz"),
    ],
)
def test_a_full_run_on_a_grey_set(name, reader, subset, tmp_path):
    """28×28 images pass both reductions, to 7×7."""
    write_idx(tmp_path, reader, real(subset))
    sizes = ("--train-size=128", "--test-size=50", "--data-root", tmp_path)
    assert run("--dataset", name, *sizes, *SMALL, "--run-dir", tmp_path / "run") == 0
    assert_whole(tmp_path / "run", name, [1, 28, 28], 10)


@pytest.mark.slow
def test_a_full_run_on_cifar100(tmp_path, monkeypatch):
    write_cifar100(tmp_path)
    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda *_: True)
    sizes = ("--train-size=200", "--test-size=100", "--data-root", tmp_path)
    assert run("--dataset", "cifar100", *sizes, *SMALL, "--run-dir", tmp_path / "run") == 0
    assert_whole(tmp_path / "run", "cifar100", [3, 32, 32], 100)


FOLDERS = (
    *("--dataset=imagenet", "--preset=digits-check", "--image-size=32", "--search.batch-size=32"),
    *("--retrain.batch-size=32", "--search.padding=0", "--retrain.padding=0"),
)


@pytest.mark.slow
def test_a_full_run_on_folders(tmp_path):
    root = real("imagenet_sample/imagenette160")
    sizes = ("--train-size=128", "--test-size=50", "--data-root", root)
    assert run(*FOLDERS, *sizes, *SMALL, "--run-dir", tmp_path / "run") == 0
    assert_whole(tmp_path / "run", "imagenet", [3, 32, 32], 10)


@pytest.mark.parametrize("stage", ["search", "retrain"])
def test_a_damaged_photograph_ends_a_run_that_goes_on_to_the_same_bits(
    stage, tmp_path, capsys, monkeypatch
):
    """The image goes bad as its stage begins, and is put right before the run goes on."""
    root = write_tree(tmp_path / "images")
    common = (
        *("--dataset=imagenet", "--preset=digits-check", "--image-size=16", "--data-root", root),
        *("--search.batch-size=3", "--retrain.batch-size=3", *SMALL, "--retrain.epochs=2"),
        *("--search.checkpoint-share=1", "--retrain.checkpoint-share=1"),
    )
    assert run(*common, "--run-dir", tmp_path / "whole") == 0
    photographs = sorted((root / "train").glob("*/*.JPEG"))
    contents = {path: path.read_bytes() for path in photographs}
    damage_when(stage, photographs[3], monkeypatch)
    assert run(*common, "--run-dir", tmp_path / "cut") == 1
    message = capsys.readouterr().err
    assert photographs[3].name in message
    assert "step" in message
    assert "it is empty (0 bytes)" in message
    assert "--resume" in message
    assert not (tmp_path / "cut" / "result.json").exists()
    monkeypatch.undo()
    for path, content in contents.items():
        path.write_bytes(content)
    shutil.move(root, tmp_path / "moved")
    assert run("--resume", tmp_path / "cut", "--data-root", tmp_path / "moved", "--readers=3") == 0
    ends = [load_file(tmp_path / name / "retrain/network.safetensors") for name in ("whole", "cut")]
    assert ends[0].keys() == ends[1].keys()
    assert all(torch.equal(ends[0][key], ends[1][key]) for key in ends[0])
    genotypes = [(tmp_path / name / "genotype.json").read_text() for name in ("whole", "cut")]
    assert genotypes[0] == genotypes[1]


def damage_when(stage: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty a file when a stage has made its second step."""
    from darts.records.run_folder import RunFolder

    tick = RunFolder.tick

    def follow(run: RunFolder, current: str, epoch: int, step: int) -> None:
        if (current, epoch, step) == (stage, 0, 0):
            path.write_bytes(b"")
        tick(run, current, epoch, step)

    monkeypatch.setattr(RunFolder, "tick", follow)
