"""Image folders: torchvision's classes and views, whatever the threads."""

import csv
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import datasets, transforms

from darts.data import (
    Augmentation,
    Batches,
    FolderImages,
    ImageFolders,
    PairedBatches,
    RetrainData,
    SearchData,
)
from darts.data.batches import in_order
from darts.data.image_file import UnreadableImageError
from darts.data.image_view import (
    resized,
)
from darts.spaces.joint_draws import Shard
from tests.darts.data.image_folder import HIGH, WIDE, photograph, write_tree
from tests.darts.data.real_files import real

MINI = "imagenet_sample/mini100_84"


@pytest.fixture
def root(tmp_path) -> Path:
    return write_tree(tmp_path)


def training(root: Path, workers: int = 2, size: int = 6) -> Batches:
    images = ImageFolders(str(root), image_size=16, workers=workers).load()
    return Batches(images.train, images.normalisation, Augmentation(padding=0), size, 0, "retrain")


@pytest.mark.parametrize("part", ["train", "val"])
def test_files_and_classes_are_those_of_torchvisions_image_folder(part):
    images = ImageFolders(str(real(MINI))).load()
    ours = images.train if part == "train" else images.test
    theirs = datasets.ImageFolder(str(real(MINI) / part))
    assert images.class_names == tuple(theirs.classes)
    assert ours.labels.tolist() == theirs.targets
    assert [f"{ours.folder}/{name}" for name in ours.names] == [path for path, _ in theirs.samples]
    assert ours.counts == (20 if part == "train" else 5,) * 100


def test_the_label_of_a_class_is_its_rank_in_imagenet(tmp_path):
    source = real("imagenet_sample/one_per_class128/val")
    for part in ("train", "val"):
        (tmp_path / part).symlink_to(source)
    images = ImageFolders(str(tmp_path)).load()
    with real("imagenet_sample/class_names.tsv").open() as file:
        index = {
            row["wnid"]: int(row["ilsvrc_index"]) for row in csv.DictReader(file, delimiter="\t")
        }
    assert len(images.class_names) == 1000
    assert [index[wnid] for wnid in images.class_names] == list(range(1000))
    assert [index[name.split("/")[0]] for name in images.test.names] == images.test.labels.tolist()


def test_an_evaluation_view_is_torchvisions_resize_and_centre_crop():
    data = ImageFolders(str(real("imagenet_sample/imagenette160")), image_size=112).load().test
    view = transforms.Compose(
        [transforms.Resize(128), transforms.CenterCrop(112), transforms.PILToTensor()]
    )
    indices = torch.arange(0, len(data), 9)
    expected = [
        view(Image.open(Path(data.folder, data.names[index])).convert("RGB")) for index in indices
    ]
    assert torch.equal(data.pixels(indices, None), torch.stack(expected))
    assert data.shape == (3, 112, 112)


def test_imagenets_own_sizes_are_256_and_224():
    assert resized(224) == 256
    assert ImageFolders("x").image_size == 224


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_a_batch_is_the_same_bits_for_every_number_of_threads_and_order_of_asking(root, workers):
    expected = [training(root, workers=1).at(epoch, 1) for epoch in range(4)]
    stream = training(root, workers)
    for epoch in (2, 0, 3, 1, 2):
        images, labels = stream.at(epoch, 1)
        assert torch.equal(images, expected[epoch].images)
        assert torch.equal(labels, expected[epoch].labels)


def test_photographs_of_several_processes_together_are_those_of_one(root):
    whole = training(root).at(1, 1)
    parts = [replace(training(root), shard=Shard(index, 3)).at(1, 1) for index in range(3)]
    assert torch.equal(torch.cat([part.images for part in parts]), whole.images)
    assert torch.equal(torch.cat([part.labels for part in parts]), whole.labels)


def test_a_view_changes_with_epoch_step_and_seed_and_not_with_the_folder(root, tmp_path):
    data = ImageFolders(str(root), image_size=16).load().train
    indices = torch.arange(4)
    views = [data.pixels(indices, seed) for seed in (1, 2)]
    assert not torch.equal(*views)
    shutil.copytree(root / "train", tmp_path / "moved" / "train")
    shutil.copytree(root / "val", tmp_path / "moved" / "val")
    moved = ImageFolders(str(tmp_path / "moved"), image_size=16).load().train
    assert torch.equal(moved.pixels(indices, 1), views[0])


def test_colours_change_with_the_seed_and_differ_between_images(root):
    """Plain photographs, in which a crop cannot be seen."""
    for file in (root / "train").glob("*/*"):
        Image.new("RGB", (WIDE, HIGH), (90, 120, 150)).save(file)
    data = ImageFolders(str(root), image_size=16).load().train
    views = [data.pixels(torch.arange(3), seed) for seed in (1, 2)]
    colours = {tuple(view[:, 0, 0].tolist()) for batch in views for view in batch}
    assert len(colours) == 6


def test_halves_of_a_search_are_stratified_disjoint_and_read_ahead_beside_each_other(root):
    images = ImageFolders(str(root), image_size=16).load()
    halves = SearchData.of(images, 0.5, seed=0)
    assert (halves.train.counts, halves.val.counts) == ((2, 4), (2, 4))
    assert not set(halves.train.names) & set(halves.val.names)
    streams = [
        Batches(part, images.normalisation, Augmentation(padding=0), 3, 0, name)
        for name, part in (("search train", halves.train), ("search val", halves.val))
    ]
    pair = PairedBatches(*streams)
    for epoch, step in ((0, 0), (0, 1), (1, 0)):
        train, val = pair.at(epoch, step)
        assert torch.equal(train.images, streams[0].at(epoch, step).images)
        assert torch.equal(val.labels, streams[1].at(0, epoch * pair.per_epoch + step).labels)


def test_a_subset_is_stratified_and_depends_on_its_seed():
    def drawn(seed: int) -> FolderImages:
        return ImageFolders(str(real(MINI)), train_size=300, split_seed=seed).load().train

    assert drawn(1).counts == (3,) * 100
    assert drawn(1).names == drawn(1).names
    assert drawn(1).names != drawn(2).names


def test_evaluation_sees_every_photograph_once_in_order(root):
    data = RetrainData.of(ImageFolders(str(root), image_size=16).load())
    labels = torch.cat([batch.labels for batch in in_order(data.test, data.normalisation, 3)])
    assert torch.equal(labels, data.test.labels)
    images = torch.cat([batch.images for batch in in_order(data.test, data.normalisation, 3)])
    assert torch.equal(images, data.normalisation(data.test.pixels(torch.arange(4), None)))


def damaged(kind: str, whole: bytes) -> bytes | None:
    return {
        "empty": b"",
        "truncated": whole[: 3 * len(whole) // 4],
        "text": b"<html>404 not found</html>",
        "gone": None,
    }[kind]


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("empty", r"it is empty \(0 bytes\)"),
        ("truncated", r"truncated .*bytes\)"),
        ("text", r"it is none of JPEG, PNG.*\(26 bytes\)"),
        ("gone", "it is not there"),
    ],
)
def test_a_damaged_photograph_is_named_with_the_step_that_asked_for_it(root, kind, words):
    stream = training(root)
    path = root / "train/n02/5.JPEG"
    content = damaged(kind, path.read_bytes())
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    asked, _ = stream._drawn(0, 0)
    step = 0 if stream.data.names.index("n02/5.JPEG") in asked else 1
    assert len(stream.at(0, 1 - step).labels) == 6
    message = rf"Epoch 0, step {step} of the retrain images: .*n02/5.JPEG cannot be read.*{words}"
    with pytest.raises(UnreadableImageError, match=message):
        stream.at(0, step)


@pytest.mark.parametrize(
    ("kind", "words"), [("empty", r"is empty \(0"), ("pipe", "or a pipe"), ("link", "not there")]
)
def test_what_is_surely_no_photograph_is_refused_before_a_run_knows_its_images(root, kind, words):
    path = root / "train/n02/5.JPEG"
    path.unlink()
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("nowhere")
    train = ImageFolders(str(root), image_size=16).load().train
    with pytest.raises(UnreadableImageError, match=rf"1 of \d+ images .*n02/5.JPEG: .*{words}"):
        train.digest()


def test_missing_folders_are_refused_with_what_is_expected(root):
    with pytest.raises(FileNotFoundError, match=r"no folder .*nowhere/train.*--data-root"):
        ImageFolders(str(root / "nowhere")).load()
    shutil.rmtree(root / "val")
    with pytest.raises(FileNotFoundError, match=r"no folder .*/val"):
        ImageFolders(str(root)).load()
    (root / "val").mkdir()
    photograph(0).save(root / "val" / "ILSVRC2012_val_00000001.JPEG")
    with pytest.raises(FileNotFoundError, match=r"val holds no folder of a class.*must be sorted"):
        ImageFolders(str(root)).load()


@pytest.mark.parametrize(("part", "other"), [("val", "train"), ("train", "val")])
def test_a_class_in_one_part_alone_is_refused_by_name(root, part, other):
    shutil.copytree(root / part / "n01", root / part / "n99")
    with pytest.raises(ValueError, match=rf"1 classes in .*{part} are not in .*{other}, n99 first"):
        ImageFolders(str(root)).load()


@pytest.mark.parametrize("part", ["train", "val"])
def test_a_class_without_an_image_is_refused_by_name(root, part):
    for file in (root / part / "n01").iterdir():
        file.rename(file.with_suffix(".txt"))
    with pytest.raises(ValueError, match=rf"1 of 2 classes have no image in .*{part}, n01 first"):
        ImageFolders(str(root)).load()


@pytest.mark.parametrize(
    "change", [{"image_size": 0}, {"image_size": 10**6}, {"workers": 0}, {"workers": -1}]
)
def test_sizes_that_cannot_be_are_refused(change):
    ((name, value),) = change.items()
    with pytest.raises(ValueError, match=rf"ImageFolders\({name}={value}\)"):
        ImageFolders("x", **change)


def test_a_set_of_16_bit_images_is_refused_before_any_work(tmp_path):
    root = write_tree(tmp_path / "data")
    first = sorted((root / "train" / "n02").iterdir())[0]
    Image.fromarray(np.full((20, 20), 900, np.uint16)).save(first, "PNG")
    with pytest.raises(UnreadableImageError, match="more than 8 bits a pixel"):
        ImageFolders(root=str(root), image_size=16).load()
