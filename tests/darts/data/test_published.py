"""Published sets where they are: the right image under the right label; a clear word otherwise."""

import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from darts.data import Cifar10, Cifar100, FashionMnist, ImageSet, Mnist
from darts.data.published import Published
from tests.darts.data.real_files import (
    cifar100_names,
    cifar100_part,
    real,
    write_cifar100,
    write_idx,
)

KINDS = (Cifar10, Cifar100, Mnist, FashionMnist)
GREY = ((Mnist, "small/mnist_subset.npz"), (FashionMnist, "small/fashion_mnist_subset.npz"))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_missing_data_set_is_an_error_that_says_what_to_do(kind, tmp_path):
    message = rf"--data-root .* holds {kind.folder}/, or add --download .*{kind.megabytes} MB"
    with pytest.raises(FileNotFoundError, match=message):
        kind(root=str(tmp_path)).load()


@pytest.mark.parametrize(
    ("kind", "file"), [(Cifar10, "data_batch_1"), (Cifar100, "train")], ids=lambda k: str(k)
)
def test_a_file_with_another_md5_sum_is_refused_before_it_is_unpickled(kind, file, tmp_path):
    """The torn file would raise UnpicklingError, which is not what comes."""
    folder = tmp_path / kind.folder
    folder.mkdir()
    (folder / file).write_bytes(b"torn")
    with pytest.raises(FileNotFoundError, match=r"are damaged \(Dataset not found or corrupted"):
        kind(root=str(tmp_path)).load()


def test_the_subset_of_cifar100_is_refused_for_its_md5_sum(tmp_path):
    write_cifar100(tmp_path)
    with pytest.raises(FileNotFoundError, match="corrupted"):
        Cifar100(root=str(tmp_path)).load()


@pytest.fixture
def cifar100(tmp_path, monkeypatch) -> ImageSet:
    """The subset, with torchvision's check of MD5 sums out of the way."""
    write_cifar100(tmp_path)
    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda *_: True)
    return Cifar100(root=str(tmp_path)).load()


def test_cifar100_has_every_image_under_its_own_label(cifar100):
    for part, found in (("train", cifar100.train), ("test", cifar100.test)):
        images, labels = cifar100_part(part)
        assert np.array_equal(found.images.permute(0, 2, 3, 1).numpy(), images)
        assert np.array_equal(found.labels.numpy(), labels)
    assert cifar100.class_names == cifar100_names()
    assert (cifar100.train.counts, cifar100.test.counts) == ((20,) * 100, (5,) * 100)
    assert cifar100.train.shape == (3, 32, 32)
    assert cifar100.mirror


def idx(kind: type[Published], subset: str, root: Path) -> Published:
    write_idx(root, kind.reader, real(subset))
    return kind(root=str(root))


@pytest.mark.parametrize(("kind", "subset"), GREY, ids=lambda k: getattr(k, "name", ""))
def test_grey_sets_have_every_image_under_its_own_label(kind, subset, tmp_path):
    found = idx(kind, subset, tmp_path).load()
    arrays = np.load(real(subset))
    for part, images in (("train", found.train), ("test", found.test)):
        assert np.array_equal(images.images.squeeze(1).numpy(), arrays[f"x_{part}"])
        assert np.array_equal(images.labels.numpy(), arrays[f"y_{part}"])
        assert sum(images.counts) == len(images)
        assert images.counts == tuple(np.bincount(arrays[f"y_{part}"], minlength=10))
    assert found.train.shape == (1, 28, 28)
    assert len(found.class_names) == 10


def test_labels_and_class_names_mean_what_they_say(tmp_path):
    """Facts that no file states: a one has the least ink, a zero a hole; trousers have two legs.

    With any other order of the labels, another class would be named.
    """
    digits = idx(Mnist, "small/mnist_subset.npz", tmp_path).load()
    ink = means(digits).mean(dim=(1, 2))
    assert digits.class_names[int(ink.argmin())].startswith("1")
    hole = means(digits)[:, 12:16, 12:16].mean(dim=(1, 2))
    assert digits.class_names[int(hole.argmin())].startswith("0")
    clothes = idx(FashionMnist, "small/fashion_mnist_subset.npz", tmp_path).load()
    gap = means(clothes)[:, 20:26, 13:15].mean(dim=(1, 2)) / means(clothes)[:, 20:26].mean((1, 2))
    footwear = {"Sandal", "Sneaker", "Ankle boot", "Bag"}
    upright = [label for label, name in enumerate(clothes.class_names) if name not in footwear]
    legs = min(upright, key=lambda label: float(gap[label]))
    assert clothes.class_names[legs] == "Trouser"


def means(images: ImageSet) -> torch.Tensor:
    """The mean image of each class, [10 28 28]."""
    train = images.train
    return torch.stack(
        [train.images[train.labels == label, 0].double().mean(0) for label in range(10)]
    )


def test_a_digit_is_never_mirrored_and_clothes_are():
    assert not Mnist.mirror
    assert FashionMnist.mirror


def test_a_subset_depends_on_its_size_and_seed_alone(tmp_path):
    whole = idx(Mnist, "small/mnist_subset.npz", tmp_path)

    def drawn(size: int, seed: int) -> torch.Tensor:
        return Mnist(whole.root, train_size=size, split_seed=seed).load().train.images

    torch.manual_seed(1)
    first = drawn(500, 3)
    torch.manual_seed(2)
    assert torch.equal(first, drawn(500, 3))
    assert not torch.equal(first, drawn(500, 4))
    small = Mnist(whole.root, train_size=100, test_size=50).load()
    assert max(small.train.counts) - min(small.train.counts) <= 1
    assert (len(small.train), len(small.test)) == (100, 50)
    with pytest.raises(ValueError, match="4001 images asked, but there are 4000"):
        drawn(4001, 0)


def test_damaged_files_of_mnist_are_refused_or_read_and_nothing_else(tmp_path):
    """No sum guards these files: 200 mutations, each an error that names the set, or images."""
    data = idx(Mnist, "small/mnist_subset.npz", tmp_path)
    files = sorted((tmp_path / "MNIST" / "raw").iterdir())
    draw, refused = random.Random(0), 0
    for _ in range(200):
        file = draw.choice(files)
        whole = file.read_bytes()
        if draw.random() < 0.4:
            file.write_bytes(whole[: draw.randrange(40)])
        else:
            torn = bytearray(whole)
            torn[draw.randrange(16)] = draw.randrange(256)
            file.write_bytes(torn)
        try:
            data.load()
        except FileNotFoundError as error:
            refused += 1
            assert "MNIST was asked for" in str(error)  # noqa: PT017
        file.write_bytes(whole)
    assert refused > 100
    data.load()


@pytest.mark.slow
def test_a_subset_of_cifar_is_stratified_and_has_the_known_mean(tmp_path):
    source = real("cifar10").parent
    subprocess.run([sys.executable, source / "materialise.py", tmp_path], check=True)
    images = Cifar10(root=str(tmp_path), train_size=500, test_size=100).load()
    assert images.train.counts == (50,) * 10
    assert images.test.counts == (10,) * 10
    assert images.train.shape == (3, 32, 32)
    assert images.mirror
    names = "airplane automobile bird cat deer dog frog horse ship truck"
    assert images.class_names == tuple(names.split())
    for found, published in zip(images.normalisation.mean, (0.4914, 0.4822, 0.4465), strict=True):
        assert abs(found - published) < 0.02
