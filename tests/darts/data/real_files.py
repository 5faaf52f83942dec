"""Real images from the project's data folder, in the formats that torchvision reads."""

import io
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from darts.data import ImageSet, LabelledImages, Normalisation

BESIDE_PROJECT = Path(__file__).parents[4] / "shared" / "data"


def real(name: str) -> Path:
    """A file or folder of the data folder; the test is skipped where it is absent."""
    path = Path(os.environ.get("DARTS_DATA_DIR", BESIDE_PROJECT), name)
    if not path.exists():
        pytest.skip(f"no {path}; set DARTS_DATA_DIR to the folder that has {name}")
    return path


def write_idx(root: Path, reader: str, subset: Path) -> None:
    """MNIST's own files below `root`, as `reader` (MNIST, FashionMNIST) looks for them."""
    arrays = np.load(subset)
    folder = root / reader / "raw"
    folder.mkdir(parents=True)
    for part, prefix in (("train", "train"), ("test", "t10k")):
        images, labels = arrays[f"x_{part}"], arrays[f"y_{part}"].astype(np.uint8)
        (folder / f"{prefix}-images-idx3-ubyte").write_bytes(_idx(images))
        (folder / f"{prefix}-labels-idx1-ubyte").write_bytes(_idx(labels))


def _idx(values: np.ndarray) -> bytes:
    sizes = b"".join(size.to_bytes(4, "big") for size in values.shape)
    return bytes([0, 0, 8, values.ndim]) + sizes + np.ascontiguousarray(values).tobytes()


def cifar10_images(train: int, test: int) -> ImageSet:
    """The first images of CIFAR-10's first training file, and of its test file."""
    parts = []
    for name, count in (("data_batch_1", train), ("test_batch", test)):
        with zipfile.ZipFile(real(f"cifar10/{name}.zip")) as archive:
            sheets = sorted(n for n in archive.namelist() if n.endswith("webp"))
            tiles = _tiles(archive, sheets[: -(-count // 100)])
            pixels = torch.from_numpy(tiles[:count]).permute(0, 3, 1, 2).contiguous()
            labels = np.frombuffer(archive.read("labels.u1"), np.uint8)[:count].astype(np.int64)
        parts.append(LabelledImages(pixels, torch.from_numpy(labels), classes=10))
    names = "airplane automobile bird cat deer dog frog horse ship truck"
    return ImageSet(
        "cifar10",
        *parts,
        tuple(names.split()),
        Normalisation.measure(parts[0].images),
        mirror=True,
    )


def _tiles(archive: zipfile.ZipFile, names: list[str]) -> np.ndarray:
    """The images of sheets of 10 by 10, uint8 [n 32 32 3]."""
    sheets = [np.asarray(Image.open(io.BytesIO(archive.read(n))).convert("RGB")) for n in names]
    tiles = np.stack(sheets).reshape(-1, 10, 32, 10, 32, 3).transpose(0, 1, 3, 2, 4, 5)
    return tiles.reshape(-1, 32, 32, 3)


def cifar100_part(part: str) -> tuple[np.ndarray, np.ndarray]:
    """uint8 images [n 32 32 3] and labels of the subset of CIFAR-100, "train" or "test"."""
    with zipfile.ZipFile(real("small/cifar100_subset.zip")) as archive:
        names = sorted(n for n in archive.namelist() if n.startswith(part) and n.endswith("webp"))
        tiles = _tiles(archive, names)
        labels = np.frombuffer(archive.read(f"{part}/labels.u1"), np.uint8)
    return tiles[: len(labels)], labels.astype(np.int64)


def cifar100_names() -> tuple[str, ...]:
    with zipfile.ZipFile(real("small/cifar100_subset.zip")) as archive:
        return tuple(archive.read("fine_names.txt").decode().split())


def write_cifar100(root: Path) -> None:
    """The subset in the official layout; torchvision's MD5 sums do not fit it."""
    folder = root / "cifar-100-python"
    folder.mkdir(parents=True)
    for part in ("train", "test"):
        images, labels = cifar100_part(part)
        rows = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
        content = {"data": rows, "fine_labels": labels.tolist()}
        (folder / part).write_bytes(pickle.dumps(content))
    (folder / "meta").write_bytes(pickle.dumps({"fine_label_names": list(cifar100_names())}))
