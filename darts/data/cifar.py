"""CIFAR-10, whole or a stratified subset, through torchvision."""

from dataclasses import dataclass

import torch

from darts.data.images import ImageSet, LabelledImages, Normalisation
from darts.data.splits import subset


@dataclass(frozen=True)
class Cifar10:
    """50,000 training and 10,000 test photographs, 32×32 RGB, ten classes (Krizhevsky, 2009).

    Args:
        root: folder that holds, or is to hold, `cifar-10-batches-py/`.
        train_size: stratified subset of the training part, in images; None takes it all.
        test_size: the same of the test part.
        split_seed: seed of both draws; it does not depend on the seed of a run.
        download: fetch the 170 MB archive if it is not there.
    """

    root: str
    train_size: int | None = None
    test_size: int | None = None
    split_seed: int = 0
    download: bool = False

    def load(self) -> ImageSet:
        train = self._part(train=True)
        test = self._part(train=False)
        train = subset(train, self.train_size, self.split_seed)
        test = subset(test, self.test_size, self.split_seed)
        names = "airplane automobile bird cat deer dog frog horse ship truck"
        return ImageSet(
            name="cifar10",
            train=train,
            test=test,
            class_names=tuple(names.split()),
            normalisation=Normalisation.measure(train.images),
            mirror=True,
        )

    def _part(self, train: bool) -> LabelledImages:
        from torchvision.datasets import CIFAR10

        try:
            part = CIFAR10(self.root, train=train, download=self.download)
        except RuntimeError as error:
            raise FileNotFoundError(
                f"CIFAR-10 was asked for in {self.root!r}, but its files are not there, or are "
                "damaged (torchvision checks their MD5 sums). Give --data-root the folder that "
                "holds cifar-10-batches-py/, or add --download to fetch it (170 MB)."
            ) from error
        images = torch.from_numpy(part.data).permute(0, 3, 1, 2).contiguous()
        return LabelledImages(images, torch.tensor(part.targets), classes=10)
