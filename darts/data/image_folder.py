"""An image folder in ImageNet's layout, whose files are decoded when a batch asks for them."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

import torch
from torch import Tensor

from darts.data.colour import ColourJitter
from darts.data.image_file import UnreadableImageError, reason
from darts.data.image_view import View, read_view, require_readable
from darts.data.images import ImageSet, Normalisation, class_counts
from darts.data.prefetch import Prefetcher
from darts.data.seeds import derive_seed
from darts.data.splits import subset
from darts.tasks import CLASSIFICATION, Task

IMAGENET = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and deviation of ImageNet's training images, as DARTS and torchvision use them."""


@dataclass(frozen=True)
class FolderImages:
    """Images in files, as square views of them: `Images` of any number.

    Training views are a random crop with ColourJitter, evaluation views the middle; see
    `read_view`. Threads decode them; those of the next steps are prefetched.

    Args:
        folder: the folder that holds a folder for every class.
        names: names of the files, <class>/<file>, as many as labels.
        labels: int64 [n].
        classes: number of classes.
        size: side of a view in pixels.
        prefetcher: decodes them on threads.
        device: the device that views come on.
    """

    folder: str
    names: tuple[str, ...]
    labels: Tensor
    classes: int
    size: int
    prefetcher: Prefetcher[View, Tensor] = field(repr=False, compare=False)
    device: torch.device | str = "cpu"

    def __len__(self) -> int:
        return len(self.names)

    @property
    def channels(self) -> int:
        return 3

    @property
    def task(self) -> Task:
        return CLASSIFICATION

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of a view."""
        return 3, self.size, self.size

    @property
    def counts(self) -> tuple[int, ...]:
        """The number of images of each class."""
        return class_counts(self.labels, self.classes)

    def digest(self, sizes: Mapping[str, int] = MappingProxyType({})) -> str:
        """SHA-256 of the files' names, sizes in bytes and labels; pixels are not looked at.

        Args:
            sizes: sizes by path of files that had others before.

        Raises:
            UnreadableImageError: a file is absent, empty, or no file.
        """
        found, wrong = sha256(), []
        for name, label in zip(self.names, self.labels.tolist(), strict=True):
            path = Path(self.folder, name)
            size = path.stat().st_size if path.is_file() else 0
            wrong += [] if size else [path]
            size = sizes.get(str(path.resolve()), size) if sizes else size
            found.update(f"{name}\0{size}\0{label}\0".encode())
        if wrong:
            raise UnreadableImageError(
                f"{len(wrong)} of {len(self)} images cannot be read. The first: {wrong[0]}: "
                f"{reason(wrong[0], OSError())} Put the right file there."
            )
        return found.hexdigest()

    def take(self, indices: Tensor) -> "FolderImages":
        names = tuple(self.names[index] for index in indices.tolist())
        return replace(self, names=names, labels=self.labels[indices.to(self.labels.device)])

    def to(self, device: torch.device | str) -> "FolderImages":
        return replace(self, labels=self.labels.to(device), device=device)

    def pixels(self, indices: Tensor, seed: int | None) -> Tensor:
        """Training views drawn by the seed, evaluation views if it is None.

        Raises:
            UnreadableImageError: a file is not an image; the message names it.
        """
        asked = self._views(indices, seed)
        views = torch.stack(self.prefetcher.results(asked)).to(self.device)
        if seed is None:
            return views
        return ColourJitter()(views, [derive_seed(seed, "colour", view.name) for view in asked])

    def prefetch(self, indices: Tensor, seed: int | None) -> None:
        self.prefetcher.prefetch(self._views(indices, seed))

    def _views(self, indices: Tensor, seed: int | None) -> tuple[View, ...]:
        return tuple(
            View(self.folder, self.names[index], self.size, seed) for index in indices.tolist()
        )


@dataclass(frozen=True)
class ImageFolders:
    """ImageNet, or any image folder laid out like it: <root>/{train,val}/<class>/<image>.

    Classes are the folders of `train` in sorted order, as in torchvision's `ImageFolder`. The
    folders are scanned once, and a file is read when a batch asks for it, so that memory holds a
    few batches whatever the number of images.

    Args:
        root: folder that holds `train` and `val`.
        train_size: stratified subset of the training images; None takes them all.
        test_size: the same of the images in `val`, which are the test set.
        split_seed: seed of both draws; it does not depend on the seed of a run.
        image_size: side in pixels that networks see.
        workers: threads that decode; None is one for each CPU. No number changes any bit.

    Raises:
        ValueError: the image size or the number of workers is not positive.
    """

    name: ClassVar[str] = "imagenet"
    root: str = "data"
    train_size: int | None = None
    test_size: int | None = None
    split_seed: int = 0
    image_size: int = 224
    workers: int | None = None

    def __post_init__(self) -> None:
        for entry in ("image_size", "workers"):
            value = getattr(self, entry)
            if value is not None and not 0 < value <= LARGEST[entry]:
                raise ValueError(
                    f"ImageFolders({entry}={value}): it must be 1 to {LARGEST[entry]:,}."
                )

    def load(self) -> ImageSet:
        """Scan the folders; no image is read.

        Raises:
            FileNotFoundError: a folder is missing.
            ValueError: a class has no image or is in one part alone, or its first image has more
                than 8 bits.
        """
        classes = _classes(Path(self.root, "train"))
        _require_same(classes, _classes(Path(self.root, "val")), self.root)
        prefetcher = Prefetcher(read_view, self.workers or os.cpu_count() or 1)
        train, test = (self._part(part, classes, prefetcher) for part in ("train", "val"))
        return ImageSet(
            name=self.name,
            train=subset(train, self.train_size, self.split_seed),
            test=subset(test, self.test_size, self.split_seed),
            class_names=tuple(classes),
            normalisation=IMAGENET,
            mirror=True,
        )

    def _part(
        self, part: str, classes: list[str], prefetcher: Prefetcher[View, Tensor]
    ) -> FolderImages:
        from torchvision.datasets.folder import IMG_EXTENSIONS, make_dataset

        folder = Path(self.root, part)
        index = {name: label for label, name in enumerate(classes)}
        found = make_dataset(str(folder), index, IMG_EXTENSIONS, allow_empty=True)
        labels = torch.tensor([label for _, label in found], dtype=torch.int64)
        empty = [
            n for n, c in zip(classes, class_counts(labels, len(classes)), strict=True) if not c
        ]
        if empty:
            raise ValueError(
                f"{len(empty)} of {len(classes)} classes have no image in {folder}, {empty[0]} "
                f"first. Images end in {', '.join(IMG_EXTENSIONS)}. Fill the folder, or remove the "
                "class from train and val."
            )
        for label in range(len(classes)):  # sets are of one kind: the first of each class tells
            require_readable(Path(found[int((labels == label).nonzero()[0])][0]))
        names = tuple(Path(path).relative_to(folder).as_posix() for path, _ in found)
        return FolderImages(str(folder), names, labels, len(classes), self.image_size, prefetcher)


LARGEST = {"image_size": 4096, "workers": 1024}
"""Beyond these no machine could hold a batch, or the threads."""


def _classes(folder: Path) -> list[str]:
    """The names of the folders in a folder, sorted."""
    if not folder.is_dir():
        raise FileNotFoundError(
            f"ImageNet was asked for, but there is no folder {folder}. Give --data-root the folder "
            "that holds train/ and val/, each with a folder of images for every class."
        )
    names = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir())
    if not names:
        raise FileNotFoundError(
            f"{folder} holds no folder of a class. It must hold one for every class, with the "
            "images of the class in it; ImageNet's own archive of validation images has none, and "
            "must be sorted into them first."
        )
    return names


def _require_same(train: list[str], val: list[str], root: str) -> None:
    for part, other, extra in (
        ("val", "train", sorted(set(val) - set(train))),
        ("train", "val", sorted(set(train) - set(val))),
    ):
        if extra:
            raise ValueError(
                f"{len(extra)} classes in {Path(root, part)} are not in {Path(root, other)}, "
                f"{extra[0]} first ({len(train)} in train, {len(val)} in val). Both must hold the "
                "same ones."
            )
