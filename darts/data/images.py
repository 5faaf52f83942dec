"""Labelled images, and the facts about a data set beside its pixels."""

from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import sha256
from math import sqrt
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from darts.data.colour import ColourJitter
from darts.data.seeds import derive_seed
from darts.tasks import CLASSIFICATION, Classification, MultiLabel, Task


class Images(Protocol):
    """Labelled images, wherever their pixels are, as splits, batches and runs use them."""

    @property
    def labels(self) -> Tensor:
        """One label in [0, classes) an image, int64 [n]; of another task as its `require` says."""

    @property
    def classes(self) -> int:
        """Outputs of a network: classes, or what another task has instead."""

    @property
    def task(self) -> Task:
        """What the labels mean."""

    @property
    def channels(self) -> int: ...

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of every image."""

    @property
    def counts(self) -> tuple[int, ...]:
        """Images of each class or label; all images for every number of a regression."""

    def __len__(self) -> int: ...

    def take(self: "AnyImages", indices: Tensor) -> "AnyImages":
        """The images of some indices, int64 [b]."""

    def to(self: "AnyImages", device: torch.device | str) -> "AnyImages":
        """The same images, whose pixels and labels come on a device."""

    def pixels(self, indices: Tensor, seed: int | None) -> Tensor:
        """Raw images, uint8 or float32 [b c h w], of indices int64 [b] on the CPU.

        Image k is a function of index k and the seed alone. The seed draws what the set itself
        varies between looks at an image in training; None is the one look of evaluation.
        """

    def digest(self) -> str:
        """A fingerprint: SHA-256 of all that is known of the images without decoding them."""

    def prefetch(self, indices: Tensor, seed: int | None) -> None:
        """A hint that `pixels` will soon be asked for these; a set may read them early."""


AnyImages = TypeVar("AnyImages", bound=Images)


def class_counts(labels: Tensor, classes: int) -> tuple[int, ...]:
    """Images of each class."""
    return tuple(torch.bincount(labels, minlength=classes).tolist())


@dataclass(frozen=True)
class LabelledImages:
    """Raw images in memory, uint8 or float32 [n c h w], with a label each.

    Args:
        images: values as they are in files; a `Normalisation` makes a network's input of them.
        labels: of a classification one in [0, classes) each, int64 [n]; of another task as its
            `require` says.
        classes: number of classes; of another task the number of a network's outputs.
        task: the meaning of the labels.
        colour: changes of colour in training, of 8-bit RGB images.

    Raises:
        ValueError: wrong shape or type, no image, a number that is not finite, or labels that do
            not fit the task.
    """

    images: Tensor
    labels: Tensor
    classes: int
    task: Task = CLASSIFICATION
    colour: ColourJitter | None = None

    def __post_init__(self) -> None:
        if self.images.ndim != 4 or self.images.dtype not in (torch.uint8, torch.float32):
            raise ValueError(
                f"LabelledImages needs uint8 or float32 images of shape [n c h w]; found "
                f"{self.images.dtype} of shape {list(self.images.shape)}."
            )
        if self.labels.shape[:1] != self.images.shape[:1]:
            raise ValueError(
                f"LabelledImages needs one label an image, {len(self.images)}; found labels of "
                f"shape {list(self.labels.shape)}."
            )
        if self.images.numel() == 0:
            raise ValueError(
                "LabelledImages needs at least one image of one pixel; found shape "
                f"{list(self.images.shape)}."
            )
        if self.images.is_floating_point():
            unfit = ~torch.isfinite(self.images).flatten(1).all(dim=1)
            if bool(unfit.any()):
                raise ValueError(
                    f"{int(unfit.sum())} of {len(self.images)} images hold values that are not "
                    f"finite, number {int(unfit.nonzero()[0])} first. Put them right, or leave "
                    "these images out."
                )
        self.task.require(self.labels, self.classes)
        if self.colour is not None and (self.images.dtype != torch.uint8 or self.channels != 3):
            raise ValueError(
                f"Changes of colour need 8-bit images of 3 channels; found {self.images.dtype} of "
                f"{self.channels}. Leave them out (--colour no)."
            )

    def __len__(self) -> int:
        return len(self.images)

    @property
    def channels(self) -> int:
        return self.images.shape[1]

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of an image."""
        c, h, w = self.images.shape[1:]
        return c, h, w

    @property
    def counts(self) -> tuple[int, ...]:
        """Images of each class or label; all images for every number of a regression."""
        if isinstance(self.task, Classification):
            return class_counts(self.labels, self.classes)
        if isinstance(self.task, MultiLabel):
            return tuple(int(count) for count in self.labels.sum(dim=0).tolist())
        return (len(self),) * self.classes

    def digest(self) -> str:
        """SHA-256 of pixels and labels."""
        found = sha256(repr(tuple(self.images.shape)).encode())
        for tensor in (self.images, self.labels):
            found.update(tensor.cpu().contiguous().flatten().numpy().data)
        return found.hexdigest()

    def take(self, indices: Tensor) -> "LabelledImages":
        return replace(self, images=self.images[indices], labels=self.labels[indices])

    def to(self, device: torch.device | str) -> "LabelledImages":
        return replace(self, images=self.images.to(device), labels=self.labels.to(device))

    def pixels(self, indices: Tensor, seed: int | None) -> Tensor:
        chosen = self.images[indices.to(self.images.device)]
        if seed is None or self.colour is None:
            return chosen
        return self.colour(chosen, [derive_seed(seed, "colour", k) for k in indices.tolist()])

    def prefetch(self, indices: Tensor, seed: int | None) -> None:
        """Nothing to do: the images are in memory."""


@dataclass(frozen=True)
class Normalisation:
    """(pixel / full_scale − mean) / sd for each channel, measured on training images alone."""

    mean: tuple[float, ...]
    sd: tuple[float, ...]
    full_scale: float = 255.0

    @staticmethod
    def measure(images: Tensor, full_scale: float = 255.0) -> "Normalisation":
        """Mean and standard deviation a channel, over images and pixels.

        Args:
            images: [n c h w]. Those of uint8 are summed exactly, as integers; float32 in float64.
            full_scale: largest value of a pixel, which pixels are divided by first.

        Raises:
            ValueError: a channel has one value everywhere.
        """
        channels = images.shape[1]
        means, deviations = [], []
        for channel in range(channels):
            mean, variance = _moments(images[:, channel].flatten().cpu(), full_scale)
            if variance == 0:
                raise ValueError(
                    f"Channel {channel} of {len(images)} images has one value, {mean:.3g}, "
                    "everywhere: it cannot be normalised. Leave the channel out."
                )
            means.append(mean)
            deviations.append(variance**0.5)
        return Normalisation(tuple(means), tuple(deviations), full_scale)

    def __call__(self, images: Tensor) -> Tensor:
        """Raw images [b c h w] to float32 of the same shape, on the device of the images."""
        mean, sd = (_by_channel(x, images.device) for x in (self.mean, self.sd))
        return (images.float() / self.full_scale - mean) / sd


def _moments(values: Tensor, full_scale: float) -> tuple[float, float]:
    """Mean and variance of many numbers, divided by `full_scale`."""
    if values.dtype != torch.uint8:
        wide = values.double() / full_scale
        return float(wide.mean()), float(wide.var(correction=0))
    levels = torch.arange(256, dtype=torch.float64) / full_scale
    share = torch.bincount(values, minlength=256).double()
    share /= share.sum()
    mean = float(share @ levels)
    return mean, float(share @ (levels - mean) ** 2)


@lru_cache(maxsize=16)
def _by_channel(values: tuple[float, ...], device: torch.device) -> Tensor:
    """One number a channel [1 c 1 1]; sent to a device once, not for every batch."""
    return torch.tensor(values, dtype=torch.float32, device=device).view(1, -1, 1, 1)


@dataclass(frozen=True)
class ImageSet:
    """A data set: its training and test sets, and facts about its images.

    Args:
        name: the set's name on the command line and in records.
        train, test: its two parts, of one task.
        class_names: names of classes or labels, or of a regression's numbers.
        normalisation: the normalisation of images before a network gets them.
        mirror: whether a mirrored image keeps its label. A cat does, a digit does not.
        crop: whether a shifted image keeps its label, so that a config's padding holds.
        notes: sentences that a user should read about the images.
    """

    name: str
    train: Images
    test: Images
    class_names: tuple[str, ...]
    normalisation: Normalisation
    mirror: bool
    crop: bool = True
    notes: tuple[str, ...] = ()

    def require_whole(self) -> "ImageSet":
        """The set itself; for those that a user makes.

        Raises:
            ValueError: the parts have unequal shapes, types or scales of pixels, tasks or numbers
                of classes, or do not fit the names or the normalisation.
        """
        ours, theirs = (
            (part.shape, part.classes, type(part.task)) for part in (self.train, self.test)
        )
        if ours != theirs:
            raise ValueError(
                f"The parts of {self.name} do not fit together: training images have (channels, "
                f"height, width), outputs and task {_words(ours)}, test images {_words(theirs)}."
            )
        if isinstance(self.train, LabelledImages) and isinstance(self.test, LabelledImages):
            _require_one_scale(self.name, self.train.images, self.test.images)
        if len(self.class_names) != self.train.classes:
            raise ValueError(
                f"{self.name} has {len(self.class_names)} class names for {self.train.classes} "
                "classes. Give one each."
            )
        if not len(self.normalisation.mean) == len(self.normalisation.sd) == self.train.channels:
            raise ValueError(
                f"{self.name} is normalised by {len(self.normalisation.mean)} means and "
                f"{len(self.normalisation.sd)} deviations for {self.train.channels} channels. "
                "Give one of each a channel."
            )
        return self

    @property
    def task(self) -> Task:
        """What the labels mean."""
        return self.train.task


ANOTHER_SCALE = 100
"""How many times larger one part's pixels are where they must be on another scale: bytes are 255
times what they are between 0 and 1, and no draw of images or light makes so much of a difference.
"""


def _require_one_scale(name: str, train: Tensor, test: Tensor) -> None:
    """Raise ValueError if one normalisation cannot suit both parts' pixels."""
    sizes = [_root_mean_square(images) for images in (train, test)]
    if train.dtype == test.dtype and max(sizes) <= ANOTHER_SCALE * (min(sizes) or max(sizes)):
        return
    ours, theirs = (
        f"{str(images.dtype).removeprefix('torch.')} from {images.min():.4g} to {images.max():.4g}"
        for images in (train, test)
    )
    raise ValueError(
        f"The pixels of {name} are on two scales: training images are {ours}, test images "
        f"{theirs}, and both would be normalised as the training images are. Give both in one type "
        "and scale: bytes (uint8) from 0 to 255, or float32 of both divided by one number, for "
        "instance 255."
    )


def _root_mean_square(images: Tensor) -> float:
    parts = torch.split(images, 1024)  # so that memory holds few of them in float64
    return sqrt(sum(float(part.double().square().sum()) for part in parts) / images.numel())


def _words(facts: tuple[tuple[int, int, int], int, type[Task]]) -> str:
    shape, outputs, task = facts
    return f"{'×'.join(map(str, shape))}, {outputs} and {task.name}"
