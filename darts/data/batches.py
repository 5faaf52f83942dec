"""Batches as a function of (seed, epoch, step): nothing to rewind, so nothing to lose on resume."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from darts.data.augmentation import Augmentation
from darts.data.images import ImageSet, LabelledImages, Normalisation
from darts.data.seeds import derive_seed
from darts.data.splits import split


class Batch(NamedTuple):
    """Normalised images, float32 [b c h w], and labels, int64 [b]."""

    images: Tensor
    labels: Tensor


@dataclass(frozen=True)
class Batches:
    """A shuffled, augmented stream over one set of images.

    An epoch is a fresh permutation cut into whole batches; the remainder, fewer than
    `batch_size` images and others in each epoch, is left out, so that batch norm never sees
    a batch of one.

    Raises:
        ValueError: the batch size is not positive or exceeds the number of images.
    """

    data: LabelledImages
    normalisation: Normalisation
    augmentation: Augmentation
    batch_size: int
    seed: int
    purpose: str

    def __post_init__(self) -> None:
        if not 0 < self.batch_size <= len(self.data):
            raise ValueError(
                f"A {self.purpose} batch of {self.batch_size} images asked, of {len(self.data)}. "
                f"Set the batch size between 1 and {len(self.data)}, or use more images."
            )

    @property
    def per_epoch(self) -> int:
        return len(self.data) // self.batch_size

    def at(self, epoch: int, step: int) -> Batch:
        """The batch of one step; a step past the end goes on into the following epochs."""
        epoch, step = epoch + step // self.per_epoch, step % self.per_epoch
        order = torch.Generator().manual_seed(derive_seed(self.seed, self.purpose, epoch))
        indices = torch.randperm(len(self.data), generator=order)
        chosen = indices[step * self.batch_size : (step + 1) * self.batch_size]
        chosen = chosen.to(self.data.images.device)
        draw = torch.Generator().manual_seed(derive_seed(self.seed, self.purpose, epoch, step))
        moved = self.augmentation.move(self.data.images[chosen], draw)
        images = self.augmentation.erase(self.normalisation(moved), draw)
        return Batch(images, self.data.labels[chosen])


@dataclass(frozen=True)
class PairedBatches:
    """The stream of a search: step k of an epoch is (train batch, val batch).

    The two shuffle independently. An epoch has as many steps as the training part has whole
    batches; the validation stream runs on beside it and starts over as it ends.
    """

    train: Batches
    val: Batches

    @property
    def per_epoch(self) -> int:
        return self.train.per_epoch

    def at(self, epoch: int, step: int) -> tuple[Batch, Batch]:
        return self.train.at(epoch, step), self.val.at(0, epoch * self.per_epoch + step)


def in_order(
    data: LabelledImages, normalisation: Normalisation, batch_size: int
) -> Iterator[Batch]:
    """Every image once, in order, not augmented: for evaluation."""
    for start in range(0, len(data), batch_size):
        stop = start + batch_size
        yield Batch(normalisation(data.images[start:stop]), data.labels[start:stop])


@dataclass(frozen=True)
class SearchData:
    """The two halves of the training part. A search never holds a test image."""

    train: LabelledImages
    val: LabelledImages
    normalisation: Normalisation
    mirror: bool

    @staticmethod
    def of(images: ImageSet, train_share: float, seed: int) -> "SearchData":
        train, val = split(images.train, train_share, derive_seed(seed, "search split"))
        return SearchData(train, val, images.normalisation, images.mirror)

    def to(self, device: torch.device | str) -> "SearchData":
        return SearchData(
            self.train.to(device), self.val.to(device), self.normalisation, self.mirror
        )


@dataclass(frozen=True)
class RetrainData:
    """The whole training part, and the images that the retrained network is judged on."""

    train: LabelledImages
    test: LabelledImages
    normalisation: Normalisation
    mirror: bool

    @staticmethod
    def of(images: ImageSet) -> "RetrainData":
        return RetrainData(images.train, images.test, images.normalisation, images.mirror)

    def to(self, device: torch.device | str) -> "RetrainData":
        return RetrainData(
            self.train.to(device), self.test.to(device), self.normalisation, self.mirror
        )
