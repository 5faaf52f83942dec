"""Batches as a function of (seed, epoch, step): nothing to rewind, so nothing to lose on resume."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from darts.data.augmentation import Augmentation
from darts.data.image_file import UnreadableImageError
from darts.data.images import Images, ImageSet, Normalisation
from darts.data.seeds import derive_seed
from darts.data.splits import split
from darts.spaces.joint_draws import WHOLE, Shard


class Batch(NamedTuple):
    """Normalised images, float32 [b c h w], and labels, int64 [b] or as the task has them."""

    images: Tensor
    labels: Tensor


@dataclass(frozen=True)
class Batches:
    """A shuffled, augmented stream over one set of images.

    An epoch is a fresh permutation cut into whole batches; the remainder, fewer than
    `batch_size` images and others in each epoch, is left out, so that batch norm never sees
    a batch of one. The images of the next two steps are prefetched: a set whose images are in
    files reads them meanwhile.

    Of several processes each reads its `shard` of every batch; the shards together are the batch
    that one process has, bit for bit.

    Raises:
        ValueError: the batch size is not positive or exceeds the number of images, or a square that
            is erased is larger than the images.
    """

    data: Images
    normalisation: Normalisation
    augmentation: Augmentation
    batch_size: int
    seed: int
    purpose: str
    shard: Shard = WHOLE

    def __post_init__(self) -> None:
        if not 0 < self.batch_size <= len(self.data):
            raise ValueError(
                f"A {self.purpose} batch of {self.batch_size} images asked, of {len(self.data)}. "
                f"Set --{self.purpose.split()[0]}.batch-size between 2 and {len(self.data)}, or "
                "use more images."
            )
        cutout, (_, height, width) = self.augmentation.cutout, self.data.shape
        if cutout > max(height, width):
            raise ValueError(
                f"--{self.purpose.split()[0]}.cutout {cutout} for images of {height}×{width} "
                "pixels: a square larger than the image leaves nothing of many images. Set it to "
                "half of a side or less, or to 0 for none."
            )

    @property
    def per_epoch(self) -> int:
        return len(self.data) // self.batch_size

    def at(self, epoch: int, step: int) -> Batch:
        """The shard of one step's batch; a step past the end goes on into the following epochs."""
        epoch, step = epoch + step // self.per_epoch, step % self.per_epoch
        chosen, seed = self._drawn(epoch, step)
        for soon in range(step, step + 3):
            self.data.prefetch(*self._drawn(epoch, soon))
        try:
            raw = self.data.pixels(chosen, seed)
        except UnreadableImageError as error:
            raise UnreadableImageError(
                f"Epoch {epoch}, step {step} of the {self.purpose} images: {error} The last "
                "checkpoint is kept: go on with --resume and the run folder.",
                error.path,
            ) from error
        draw = torch.Generator().manual_seed(seed)
        images = self.normalisation(self.augmentation.move(raw, draw, self.shard))
        return Batch(
            self.augmentation.erase(images, draw, self.shard),
            self.data.labels[chosen.to(self.data.labels.device)],
        )

    def _drawn(self, epoch: int, step: int) -> tuple[Tensor, int]:
        """The indices of the shard's images in a step, and the seed of the step's augmentation."""
        epoch, step = epoch + step // self.per_epoch, step % self.per_epoch
        order = _order(len(self.data), derive_seed(self.seed, self.purpose, epoch))
        chosen = order[step * self.batch_size : (step + 1) * self.batch_size]
        return self.shard.rows(chosen), derive_seed(self.seed, self.purpose, epoch, step)


@lru_cache(maxsize=4)
def _order(n: int, seed: int) -> Tensor:
    """A permutation of 0 … n−1: of an epoch of each of a search's two streams, and the next."""
    return torch.randperm(n, generator=torch.Generator().manual_seed(seed))


@dataclass(frozen=True)
class PairedBatches:
    """The stream of a search: step k of an epoch is (train batch, val batch).

    The two shuffle independently. An epoch has as many steps as the training set has whole
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
    data: Images, normalisation: Normalisation, batch_size: int, shard: Shard = WHOLE
) -> Iterator[Batch]:
    """Every image once, in order, not augmented: for evaluation.

    Of several processes each has whole batches, every `shard.count`-th one.
    """
    own = torch.split(torch.arange(len(data)), batch_size)[shard.index :: shard.count]
    for number, chosen in enumerate(own):
        for soon in own[number : number + 3]:
            data.prefetch(soon, None)
        labels = data.labels[chosen.to(data.labels.device)]
        yield Batch(normalisation(data.pixels(chosen, None)), labels)


@dataclass(frozen=True)
class SearchData:
    """The two halves of the training set. A search never holds a test image."""

    train: Images
    val: Images
    normalisation: Normalisation
    mirror: bool
    crop: bool = True

    @staticmethod
    def of(images: ImageSet, train_share: float, seed: int) -> "SearchData":
        train, val = split(images.train, train_share, derive_seed(seed, "search split"))
        return SearchData(train, val, images.normalisation, images.mirror, images.crop)

    def to(self, device: torch.device | str) -> "SearchData":
        return replace(self, train=self.train.to(device), val=self.val.to(device))


@dataclass(frozen=True)
class RetrainData:
    """The whole training set, and the images that the retrained network is evaluated on."""

    train: Images
    test: Images
    normalisation: Normalisation
    mirror: bool
    crop: bool = True

    @staticmethod
    def of(images: ImageSet) -> "RetrainData":
        return RetrainData(
            images.train, images.test, images.normalisation, images.mirror, images.crop
        )

    def to(self, device: torch.device | str) -> "RetrainData":
        return replace(self, train=self.train.to(device), test=self.test.to(device))
