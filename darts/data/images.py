"""Labelled images, and what is known about a data set beside its pixels."""

from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Protocol, TypeVar

import torch
from torch import Tensor


class Images(Protocol):
    """What splits, batches and runs ask of labelled images, wherever their pixels are."""

    @property
    def labels(self) -> Tensor:
        """One label in [0, classes) an image, int64 [n]."""

    @property
    def classes(self) -> int: ...

    @property
    def channels(self) -> int: ...

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of every image."""

    @property
    def counts(self) -> tuple[int, ...]:
        """Images of each class."""

    def __len__(self) -> int: ...

    def take(self: "AnyImages", indices: Tensor) -> "AnyImages":
        """The images of some indices, int64 [b]."""

    def to(self: "AnyImages", device: torch.device | str) -> "AnyImages":
        """The same images, whose pixels and labels come on a device."""

    def pixels(self, indices: Tensor, seed: int | None) -> Tensor:
        """Raw images, uint8 [b c h w], of indices int64 [b] on the CPU.

        Image k is a function of index k and the seed alone. The seed draws what the set itself
        varies between looks at an image in training; None is the one look of evaluation.
        """

    def digest(self) -> str:
        """What tells them from other images: SHA-256 of what is known of them without decoding."""

    def expect(self, indices: Tensor, seed: int | None) -> None:
        """Say that `pixels` will soon be asked for these; nothing needs to be done about it."""


AnyImages = TypeVar("AnyImages", bound=Images)


def class_counts(labels: Tensor, classes: int) -> tuple[int, ...]:
    """Images of each class."""
    return tuple(torch.bincount(labels, minlength=classes).tolist())


@dataclass(frozen=True)
class LabelledImages:
    """Raw images in memory, uint8 [n c h w], with one label in [0, classes) each, int64 [n].

    Raises:
        ValueError: wrong shape or type, no image, or a label out of range.
    """

    images: Tensor
    labels: Tensor
    classes: int

    def __post_init__(self) -> None:
        if self.images.ndim != 4 or self.images.dtype != torch.uint8:
            raise ValueError(
                f"LabelledImages needs uint8 images of shape [n c h w]; found "
                f"{self.images.dtype} of shape {list(self.images.shape)}."
            )
        if self.labels.shape != self.images.shape[:1] or self.labels.dtype != torch.int64:
            raise ValueError(
                f"LabelledImages needs one int64 label an image, shape [{len(self.images)}]; found "
                f"{self.labels.dtype} of shape {list(self.labels.shape)}."
            )
        if len(self.images) == 0:
            raise ValueError("LabelledImages needs at least one image; found 0.")
        lowest, highest = int(self.labels.min()), int(self.labels.max())
        if lowest < 0 or highest >= self.classes:
            raise ValueError(
                f"Labels must lie in 0…{self.classes - 1} for {self.classes} classes; found "
                f"{lowest}…{highest}."
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
        """Images of each class."""
        return class_counts(self.labels, self.classes)

    def digest(self) -> str:
        """SHA-256 of pixels and labels."""
        found = sha256(repr(tuple(self.images.shape)).encode())
        for tensor in (self.images, self.labels):
            found.update(tensor.cpu().contiguous().flatten().numpy().data)
        return found.hexdigest()

    def take(self, indices: Tensor) -> "LabelledImages":
        return LabelledImages(self.images[indices], self.labels[indices], self.classes)

    def to(self, device: torch.device | str) -> "LabelledImages":
        return LabelledImages(self.images.to(device), self.labels.to(device), self.classes)

    def pixels(self, indices: Tensor, seed: int | None) -> Tensor:
        return self.images[indices.to(self.images.device)]

    def expect(self, indices: Tensor, seed: int | None) -> None:
        """They are here already."""


@dataclass(frozen=True)
class Normalisation:
    """(pixel / full_scale − mean) / sd for each channel, measured on training images alone."""

    mean: tuple[float, ...]
    sd: tuple[float, ...]
    full_scale: float = 255.0

    @staticmethod
    def measure(images: Tensor, full_scale: float = 255.0) -> "Normalisation":
        """Mean and standard deviation a channel of uint8 [n c h w], summed exactly as integers."""
        channels = images.shape[1]
        values = torch.arange(256, dtype=torch.float64) / full_scale
        means, deviations = [], []
        for channel in range(channels):
            share = torch.bincount(images[:, channel].flatten().cpu(), minlength=256).double()
            share /= share.sum()
            mean = float(share @ values)
            variance = float(share @ (values - mean) ** 2)
            if variance == 0:
                raise ValueError(
                    f"Channel {channel} of {len(images)} images has one value, {mean:.3g}, "
                    "everywhere: it cannot be normalised. Leave the channel out."
                )
            means.append(mean)
            deviations.append(variance**0.5)
        return Normalisation(tuple(means), tuple(deviations), full_scale)

    def __call__(self, images: Tensor) -> Tensor:
        """uint8 [b c h w] to float32 of the same shape, on the device of the images."""
        mean, sd = (_by_channel(x, images.device) for x in (self.mean, self.sd))
        return (images.float() / self.full_scale - mean) / sd


@lru_cache(maxsize=16)
def _by_channel(values: tuple[float, ...], device: torch.device) -> Tensor:
    """One number a channel [1 c 1 1]; sent to a device once, not for every batch."""
    return torch.tensor(values, dtype=torch.float32, device=device).view(1, -1, 1, 1)


@dataclass(frozen=True)
class ImageSet:
    """A data set: its official training and test parts, and facts about its images.

    mirror: whether a mirrored image keeps its class; true of photographs, false of digits.
    """

    name: str
    train: Images
    test: Images
    class_names: tuple[str, ...]
    normalisation: Normalisation
    mirror: bool
