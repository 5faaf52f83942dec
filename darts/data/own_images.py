"""Images of one's own: folders of classes or a CSV file, of any size and number of channels."""

import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from darts.data.colour import ColourJitter
from darts.data.image_file import RawImage, UnreadableImageError, read_image
from darts.data.images import ImageSet, LabelledImages, Normalisation
from darts.data.labels import labels_of
from darts.data.listing import listed
from darts.data.splits import split, subset
from darts.tasks import Classification, TaskName

MOST_BYTES = 4 * 2**30
"""Of all images in memory; more are read from files as they are asked for, by `ImageFolders`."""
SMALLEST = 2
"""Images of a part, and classes, below which there is nothing to learn or to evaluate."""


@dataclass(frozen=True)
class OwnImages:
    """Images of one's own, read into memory at the start of a run.

    Laid out as `listed` says: a folder of images for every class, below train/ and test/ (or val/)
    or without parts, or a CSV file of paths and labels. `read_image` says which files there may
    be. Grey images have one channel, and three if others of the set are in colour. Without a test
    part a stratified share is set aside, which does not depend on the seed of a run.

    Args:
        root: the folder, or the CSV file.
        task: classification, regression or multi-label; `labels_of` describes the labels of each
            in a file.
        test_share: share of the images set aside for testing, where there is no test part.
        train_size: stratified subset of the training images; None takes them all.
        test_size: the same of the test images.
        split_seed: seed of these draws.
        image_size: side in pixels of the squares that networks see: the shorter side is scaled to
            it (bilinear, antialiased) and the middle cut out. None leaves images as they are,
            square or not, and they must be of one size.
        mirror: whether training mirrors images at random. None is yes for images in colour whose
            classes are no single letters or digits, and no for others.
        crop: whether training shifts them at random, by the padding of search and retraining.
        colour: whether training changes brightness, contrast, saturation and hue, of 8-bit images
            in colour.
        mean, std: numbers of the normalisation, one a channel, for values as they are in the
            files, 8-bit ones divided by 255; None measures them on the training images.

    Raises:
        ValueError: a share, size or normalisation that cannot be.
    """

    name: ClassVar[str] = "folder"
    root: str = "data"
    task: TaskName = "classification"
    test_share: float = 0.2
    train_size: int | None = None
    test_size: int | None = None
    split_seed: int = 0
    image_size: int | None = None
    mirror: bool | None = None
    crop: bool = True
    colour: bool = False
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if not 0 < self.test_share < 1:
            raise ValueError(
                f"--test-share {self.test_share:g}: it must lie strictly between 0 and 1."
            )
        if self.image_size is not None and not 0 < self.image_size <= 4096:
            raise ValueError(f"--image-size {self.image_size}: it must be 1 to 4096.")
        if (self.mean is None) != (self.std is None) or len(self.mean or ()) != len(self.std or ()):
            raise ValueError(
                f"--mean {self.mean} and --std {self.std}: give both, a number for each channel, "
                "or neither to have them measured."
            )
        if self.std is not None and not all(deviation > 0 for deviation in self.std):
            raise ValueError(f"--std {self.std}: deviations are positive.")

    def load(self) -> ImageSet:
        """Read all of them.

        Raises:
            FileNotFoundError: there is no such folder or file.
            ValueError: labels, sizes or kinds do not fit together, a part is too small, or the
                memory is; the first image that does not fit is named.
            UnreadableImageError: files are torn or no images; the first is named.
        """
        found = listed(Path(self.root))
        labels = labels_of(found, self.task)
        images, kind = self._pixels([entry.path for entry in found.entries])
        colour = ColourJitter() if self.colour else None
        whole = LabelledImages(images, labels.values, len(labels.names), labels.task, colour)
        _require_enough(whole, labels.names, self.root)
        parts = [entry.test for entry in found.entries]
        if None in parts or True not in parts:
            train, test = self._split(whole, labels.names)
        else:
            train, test = (
                whole.take(torch.tensor([i for i, part in enumerate(parts) if part is chosen]))
                for chosen in (False, True)
            )
            _require_classes(train, test, labels.names, self.root)
        train = subset(train, self.train_size, self.split_seed)
        test = subset(test, self.test_size, self.split_seed)
        return ImageSet(
            name=self.name,
            train=train,
            test=test,
            class_names=labels.names,
            normalisation=self._normalisation(train),
            mirror=self._mirrored(train, labels.names),
            crop=self.crop,
            notes=(*found.notes, *_kind_notes(kind), *_twins(train, test)),
        ).require_whole()

    def _split(
        self, whole: LabelledImages, names: Sequence[str]
    ) -> tuple[LabelledImages, LabelledImages]:
        try:
            return split(whole, 1 - self.test_share, self.split_seed)
        except ValueError as error:
            if not isinstance(whole.task, Classification):
                raise
            rarest = min(range(len(names)), key=whole.counts.__getitem__)
            raise ValueError(
                f"A test share of {self.test_share:g} of {len(whole)} images in {len(names)} "
                f"classes leaves a class without a test or a training image; {names[rarest]} has "
                f"the fewest, {whole.counts[rarest]}. Give a larger --test-share, or more images."
            ) from error

    def _pixels(self, paths: Sequence[Path]) -> tuple[Tensor, str]:
        """All images as one tensor, and of what kind they are."""
        first = self._sized(paths[0], read_image(paths[0]))
        needed = len(paths) * max(first.pixels.nbytes, 3 * first.pixels[0].numel())
        if needed > MOST_BYTES:
            shape = "×".join(map(str, first.pixels.shape))
            raise ValueError(
                f"{len(paths):,} images of {shape} take {needed / 2**30:.1f} GiB of memory, and "
                f"--dataset folder may take {MOST_BYTES / 2**30:.0f}. Give a smaller --image-size, "
                "or --dataset imagenet, which reads images below train/ and val/ as they are "
                "asked for."
            )
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            found = list(pool.map(self._read, paths))
        unreadable = [item for item in found if isinstance(item, UnreadableImageError)]
        if unreadable:
            raise UnreadableImageError(
                f"{len(unreadable)} of {len(paths)} images cannot be used. The first: "
                f"{unreadable[0]}"
            )
        raw = [item for item in found if isinstance(item, RawImage)]
        _require_one(paths, [image.kind for image in raw], "values")
        channels = {image.pixels.shape[0] for image in raw}
        if channels == {1, 3} and raw[0].kind == "8-bit":
            raw = [RawImage(p.pixels.expand(3, -1, -1), p.kind) for p in raw]
        _require_one(paths, [f"{p.pixels.shape[0]} channels" for p in raw], "channels")
        sizes = [f"{p.pixels.shape[1]}×{p.pixels.shape[2]} pixels" for p in raw]
        _require_one(paths, sizes, "size")
        return torch.stack([image.pixels for image in raw]), raw[0].kind

    def _read(self, path: Path) -> RawImage | UnreadableImageError:
        try:
            return self._sized(path, read_image(path))
        except UnreadableImageError as error:
            return error

    def _sized(self, path: Path, image: RawImage) -> RawImage:
        """A square of the side asked for."""
        from torchvision.transforms import functional

        side = self.image_size
        if side is None:
            return image
        _, height, width = image.pixels.shape
        if max(height, width) > 100 * min(height, width):
            raise UnreadableImageError(
                f"{path} has {height}×{width} pixels: hardly anything of it would be in a square. "
                "Cut it, or leave it out."
            )
        scaled = functional.resize(image.pixels, [side], antialias=True)
        return RawImage(functional.center_crop(scaled, [side, side]), image.kind)

    def _normalisation(self, train: LabelledImages) -> Normalisation:
        scale = 255.0 if train.images.dtype == torch.uint8 else 1.0
        if self.mean is None or self.std is None:
            return Normalisation.measure(train.images, scale)
        return Normalisation(self.mean, self.std, scale)

    def _mirrored(self, train: LabelledImages, names: Sequence[str]) -> bool:
        if self.mirror is not None:
            return self.mirror
        letters = isinstance(train.task, Classification) and all(len(name) == 1 for name in names)
        return train.channels == 3 and not letters


def _require_one(paths: Sequence[Path], found: Sequence[str], what: str) -> None:
    """Raise ValueError unless all images are alike in one thing."""
    counts = Counter(found).most_common()
    if len(counts) == 1:
        return
    (usual, many), (other, few) = counts[:2]
    examples = [paths[found.index(kind)] for kind in (usual, other)]
    cure = {
        "size": "Give --image-size N: each is scaled to a square of side N, for instance 64.",
        "values": "Convert them all to one kind: files do not say how the values of two compare.",
        "channels": "Convert them all to one number of channels.",
    }[what]
    raise ValueError(
        f"The images are not of one {what.rstrip('s')}: {many} have {usual} ({examples[0]}), {few} "
        f"{other} ({examples[1]})"
        f"{f', and {len(counts) - 2} more kinds' if len(counts) > 2 else ''}. {cure}"
    )


def _require_enough(images: LabelledImages, names: Sequence[str], root: str) -> None:
    if isinstance(images.task, Classification) and len(names) < SMALLEST:
        raise ValueError(
            f"{root} holds one class, {names[0]}: there is nothing to tell apart. Name the folder "
            "whose folders are the classes."
        )
    if len(images) < 2 * SMALLEST:
        raise ValueError(f"{root} holds {len(images)} images; a run needs {2 * SMALLEST} or more.")


def _require_classes(
    train: LabelledImages, test: LabelledImages, names: Sequence[str], root: str
) -> None:
    """Raise ValueError unless both given parts have every class."""
    for part, other, where in ((test, train, "test"), (train, test, "training")):
        if not isinstance(part.task, Classification):
            part.task.require_part(part.labels)
            continue
        absent = [name for name, count in zip(names, part.counts, strict=True) if not count]
        if absent:
            there = other.counts[names.index(absent[0])]
            raise ValueError(
                f"{len(absent)} of {len(names)} classes in {root} have no {where} image, "
                f"{absent[0]} first ({there} images in the other part). Both parts must have every "
                "class."
            )


def _kind_notes(kind: str) -> tuple[str, ...]:
    if kind == "8-bit":
        return ()
    return (f"Their values are {kind}, and are taken as they are in the files.",)


def _twins(train: LabelledImages, test: LabelledImages) -> tuple[str, ...]:
    """A sentence where test images are among the training ones."""

    def digests(part: LabelledImages) -> list[bytes]:
        return [sha256(image.numpy().tobytes()).digest() for image in part.images]

    known = set(digests(train))
    twins = sum(digest in known for digest in digests(test))
    if not twins:
        return ()
    return (
        f"{twins:,} of {len(test):,} test images are among the training images too, pixel for "
        "pixel: a result on them says less.",
    )
