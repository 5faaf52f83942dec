"""Stem and auxiliary head, before and beside the cells of a network, by image size."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from darts.spaces.feature_map import Activation
from darts.spaces.macro_architecture import MacroArchitecture


class Stem(nn.Module):
    """From images to the first cell's inputs, as many as the macro-architecture asks."""

    channels: int
    """Channels of every output."""
    halves: bool
    """The second output has half the first one's resolution."""

    @abstractmethod
    def forward(self, images: Tensor) -> tuple[Tensor, ...]: ...


class SmallImageStem(Stem):
    """CIFAR: one 3×3 convolution and norm; to three times the cells' channels in DARTS."""

    def __init__(self, in_channels: int, channels: int, macro: MacroArchitecture) -> None:
        super().__init__()
        self.channels = macro.stem_multiplier * channels
        self.halves = False
        self.inputs = macro.inputs
        self.convolution = nn.Conv2d(in_channels, self.channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(self.channels)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        return (self.norm(self.convolution(images)),) * self.inputs


class Activate(nn.Module):
    """An activation as a layer."""

    def __init__(self, activation: Activation) -> None:
        super().__init__()
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(x)


class ImageNetStem(Stem):
    """ImageNet: three strided 3×3 convolutions; the cells start at 1/4 and 1/8 resolution.

    The same in a supernet (PC-DARTS's `model_search_imagenet.py`), with its norms and activation.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        macro: MacroArchitecture,
        norm: Callable[[int], nn.Module] = nn.BatchNorm2d,
        activation: Activation = torch.relu,
    ) -> None:
        super().__init__()
        if macro.inputs != 2:
            raise ValueError(
                "the ImageNet stem has two outputs, for cells that read two; these read "
                f"{macro.inputs}. Use the stem SMALL_IMAGES."
            )
        self.channels = channels
        self.halves = True
        self.quarter = nn.Sequential(
            nn.Conv2d(in_channels, channels // 2, 3, stride=2, padding=1, bias=False),
            norm(channels // 2),
            Activate(activation),
            nn.Conv2d(channels // 2, channels, 3, stride=2, padding=1, bias=False),
            norm(channels),
        )
        self.eighth = nn.Sequential(
            Activate(activation),
            nn.Conv2d(channels, channels, 3, stride=2, padding=1, bias=False),
            norm(channels),
        )

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        quarter = self.quarter(images)
        return quarter, self.eighth(quarter)


class AuxiliaryHead(nn.Module):
    """A second classifier at 2/3 of the depth: pool, 1×1 and 2×2 convolutions, linear.

    Args:
        channels: channels of its input.
        classes: number of classes.
        pool_stride: stride of the 5×5 average pool.
        norm: makes the norm after a convolution.
        norm_last: whether one follows the 2×2 convolution. DARTS's ImageNet head has none there.
    """

    def __init__(
        self,
        channels: int,
        classes: int,
        pool_stride: int,
        norm: Callable[[int], nn.Module],
        norm_last: bool,
    ) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.ReLU(),
            nn.AvgPool2d(5, stride=pool_stride, count_include_pad=False),
            nn.Conv2d(channels, 128, 1, bias=False),
            norm(128),
            nn.ReLU(),
            nn.Conv2d(128, 768, 2, bias=False),
            norm(768) if norm_last else nn.Identity(),
            nn.ReLU(),
        )
        self.classifier = nn.Linear(768, classes)
        self.least = 5 + pool_stride

    def forward(self, x: Tensor) -> Tensor:
        if min(x.shape[-2:]) < self.least:
            raise ValueError(
                f"the auxiliary head got feature maps of {x.shape[-2]}×{x.shape[-1]} pixels and "
                f"needs {self.least}×{self.least}. Leave it out (--retrain.auxiliary-weight 0), or "
                "take larger images."
            )
        # At the images that DARTS uses this is one pixel; larger images are averaged.
        logits: Tensor = self.classifier(self.features(x).mean(dim=(2, 3)))
        return logits


@dataclass(frozen=True)
class StemAndHead(ABC):
    """A stem and an auxiliary head for images of one size.

    Attributes:
        module: the stem itself, from the images to the first cell.
        pool_stride: stride of the pool that the auxiliary head begins with.
        norm_last: whether a norm follows that head's last convolution.
        even: C must be even.
    """

    module: ClassVar[type[Stem]]
    pool_stride: ClassVar[int]
    norm_last: ClassVar[bool]
    even: ClassVar[bool]

    def auxiliary_head(
        self,
        channels: int,
        classes: int,
        norm: Callable[[int], nn.Module] = nn.BatchNorm2d,
    ) -> AuxiliaryHead:
        return AuxiliaryHead(channels, classes, self.pool_stride, norm, self.norm_last)


@dataclass(frozen=True)
class SmallImageStemAndHead(StemAndHead):
    """CIFAR and smaller (DARTS's `NetworkCIFAR`)."""

    module = SmallImageStem
    pool_stride = 3
    norm_last = True
    even = False


@dataclass(frozen=True)
class ImageNetStemAndHead(StemAndHead):
    """224×224 images, cells from 56×56 and 28×28 on (DARTS's `NetworkImageNet`).

    C is even: the first cell halves one of its inputs by two convolutions of C/2 channels each.
    """

    module = ImageNetStem
    pool_stride = 2
    norm_last = False
    even = True


SMALL_IMAGES, IMAGENET = SmallImageStemAndHead(), ImageNetStemAndHead()
