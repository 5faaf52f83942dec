"""Published sets of small images, whole or a stratified subset, through torchvision."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from darts.data.area import reduced
from darts.data.images import ImageSet, LabelledImages, Normalisation
from darts.data.splits import subset


@dataclass(frozen=True)
class Published:
    """A set of small images with an official training and test set, held in memory.

    A subclass is one set, with its name here and in torchvision.

    Args:
        root: folder that holds, or is to hold, `folder`.
        train_size: stratified subset of the training set, in images; None takes it all.
        test_size: the same of the test set.
        split_seed: seed of both draws; it does not depend on the seed of a run.
        download: fetch the files if they are not there.
        image_size: side in pixels to which images are averaged (`area_average`); None leaves them.
    """

    name: ClassVar[str]
    """On the command line and in records."""
    reader: ClassVar[str]
    """torchvision's class; it is also the set's usual name."""
    folder: ClassVar[str]
    """Where torchvision looks for the files, below the root."""
    megabytes: ClassVar[int]
    """Of the download."""
    mirror: ClassVar[bool]
    """Whether a mirrored image keeps its class."""

    root: str = "data"
    train_size: int | None = None
    test_size: int | None = None
    split_seed: int = 0
    download: bool = False
    image_size: int | None = None

    def load(self) -> ImageSet:
        """Read both parts.

        Raises:
            FileNotFoundError: the files are not there, or are damaged.
            ValueError: more images are asked for than there are, or larger ones.
        """
        (train, names), (test, _) = self._part(train=True), self._part(train=False)
        train = reduced(subset(train, self.train_size, self.split_seed), self.image_size)
        return ImageSet(
            name=self.name,
            train=train,
            test=reduced(subset(test, self.test_size, self.split_seed), self.image_size),
            class_names=names,
            normalisation=Normalisation.measure(train.images),
            mirror=self.mirror,
        )

    def _part(self, train: bool) -> tuple[LabelledImages, tuple[str, ...]]:
        from torchvision import datasets

        try:
            part = getattr(datasets, self.reader)(self.root, train=train, download=self.download)
            names = tuple(part.classes)
            images = torch.as_tensor(part.data)  # [n h w c], or [n h w] if grey
            images = images.permute(0, 3, 1, 2) if images.ndim == 4 else images.unsqueeze(1)
            labels = torch.as_tensor(part.targets)
            return LabelledImages(images.contiguous(), labels, len(names)), names
        except (RuntimeError, ValueError, TypeError, AssertionError, KeyError) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise FileNotFoundError(
                f"{self.reader} was asked for in {self.root!r}, but its files are not there, or "
                f"are damaged ({reason}). Give --data-root the folder that holds {self.folder}/, "
                f"or add --download to fetch it ({self.megabytes} MB)."
            ) from error


@dataclass(frozen=True)
class Cifar10(Published):
    """50,000 training and 10,000 test images, 32×32 RGB, ten classes (Krizhevsky, 2009)."""

    name = "cifar10"
    reader = "CIFAR10"
    folder = "cifar-10-batches-py"
    megabytes = 170
    mirror = True


@dataclass(frozen=True)
class Cifar100(Published):
    """The same sizes in a hundred classes, 500 and 100 images of each (Krizhevsky, 2009)."""

    name = "cifar100"
    reader = "CIFAR100"
    folder = "cifar-100-python"
    megabytes = 169
    mirror = True


@dataclass(frozen=True)
class Mnist(Published):
    """60,000 and 10,000 handwritten digits, 28×28 grey (LeCun et al., 1998).

    A digit's mirror image is not the same digit.
    """

    name = "mnist"
    reader = "MNIST"
    folder = "MNIST/raw"
    megabytes = 12
    mirror = False


@dataclass(frozen=True)
class FashionMnist(Published):
    """60,000 and 10,000 pictures of clothes in ten classes, 28×28 grey (Xiao et al., 2017)."""

    name = "fashion-mnist"
    reader = "FashionMNIST"
    folder = "FashionMNIST/raw"
    megabytes = 31
    mirror = True
