"""The embedded default: scikit-learn's 1,797 real 8×8 images of handwritten digits."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from darts.data.area import reduced
from darts.data.images import ImageSet, LabelledImages, Normalisation
from darts.data.splits import split, subset


@dataclass(frozen=True)
class Digits:
    """Images of 17 grey levels from the UCI optical recognition data, bundled with scikit-learn.

    They have no official split, so a stratified one with a fixed seed is made here; it does not
    depend on the seed of a run. A digit's mirror image is not the same digit.

    Args:
        train_share: share of the 1,797 images in the training set.
        train_size: stratified subset of the training set, in images; None takes it all.
        split_seed: seed of both draws.
        image_size: side in pixels to which images are averaged (`area_average`); None leaves 8.
    """

    name: ClassVar[str] = "digits"
    train_share: float = 0.75
    train_size: int | None = None
    split_seed: int = 0
    image_size: int | None = None

    def load(self) -> ImageSet:
        from sklearn.datasets import load_digits

        bundled = load_digits()
        images = torch.from_numpy(bundled.images).to(torch.uint8).unsqueeze(1)
        labels = torch.from_numpy(bundled.target).to(torch.int64)
        train, test = split(
            LabelledImages(images, labels, classes=10), self.train_share, self.split_seed
        )
        train = reduced(subset(train, self.train_size, self.split_seed), self.image_size)
        return ImageSet(
            name=self.name,
            train=train,
            test=reduced(test, self.image_size),
            class_names=tuple("0123456789"),
            normalisation=Normalisation.measure(train.images, full_scale=16.0),
            mirror=False,
        )
