"""The operations that an edge can be, as DARTS defines them (Liu et al. 2019, §3.1)."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from darts.spaces.normalization import BatchNorm
from darts.spaces.space import NONE

Activation = Callable[[Tensor], Tensor]


class FeatureMap:
    """A feature map and its activation, computed once however many operations ask for it."""

    def __init__(self, raw: Tensor, activation: Activation) -> None:
        self.raw = raw
        self._activation = activation

    @cached_property
    def activated(self) -> Tensor:
        return self._activation(self.raw)


@dataclass(frozen=True)
class Recipe:
    """What operations are made of: the norm after convolutions and after pools, the activation."""

    norm: Callable[[int], nn.Module]
    pool_norm: Callable[[int], nn.Module]
    activation: Activation


def search_recipe(activation: Activation = torch.relu) -> Recipe:
    """In a supernet: norms without scale and shift, and one after each pool."""

    def norm(channels: int) -> nn.Module:
        return BatchNorm(channels, affine=False)

    return Recipe(norm=norm, pool_norm=norm, activation=activation)


def derived_recipe(activation: Activation = torch.relu) -> Recipe:
    """In a network to be trained: ordinary norms, and none after pools."""
    return Recipe(
        norm=nn.BatchNorm2d, pool_norm=lambda channels: nn.Identity(), activation=activation
    )


class Operation(nn.Module, ABC):
    """A map from a feature map to another. The convolutions activate, convolve, normalise."""

    __call__: Callable[[FeatureMap], Tensor]

    @abstractmethod
    def forward(self, x: FeatureMap) -> Tensor: ...


class Zero(Operation):
    """none: zeros of the shape that the other operations give."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: FeatureMap) -> Tensor:
        return torch.zeros_like(x.raw[:, :, :: self.stride, :: self.stride])


class Identity(Operation):
    """skip_connect at stride 1."""

    def forward(self, x: FeatureMap) -> Tensor:
        return x.raw


class Pool(Operation):
    """A 3×3 pool; averages leave the padding out."""

    def __init__(self, pool: nn.Module, norm: nn.Module) -> None:
        super().__init__()
        self.pool = pool
        self.norm = norm

    def forward(self, x: FeatureMap) -> Tensor:
        output: Tensor = self.norm(self.pool(x.raw))
        return output


class ConvNorm(Operation):
    """Activation, convolution, norm; with size 1 a cell's preprocessing."""

    def __init__(self, channels_in: int, channels_out: int, size: int, recipe: Recipe) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels_in, channels_out, size, padding=size // 2, bias=False)
        self.norm = recipe.norm(channels_out)

    def forward(self, x: FeatureMap) -> Tensor:
        output: Tensor = self.norm(self.convolution(x.activated))
        return output


class FactorizedReduce(Operation):
    """skip_connect at stride 2: two strided 1×1 convolutions, the second shifted by one pixel.

    On a side of odd length the shifted one reads a row of zeros past the end, so that both
    halves have the ⌈n/2⌉ pixels that every other operation gives; even sides need none.
    """

    def __init__(self, channels_in: int, channels_out: int, recipe: Recipe) -> None:
        super().__init__()
        if channels_out % 2:
            raise ValueError(
                f"FactorizedReduce to {channels_out} channels: each of its two convolutions makes "
                "half of them. Choose an even number of channels."
            )
        self.straight = nn.Conv2d(channels_in, channels_out // 2, 1, stride=2, bias=False)
        self.shifted = nn.Conv2d(channels_in, channels_out // 2, 1, stride=2, bias=False)
        self.norm = recipe.norm(channels_out)

    def forward(self, x: FeatureMap) -> Tensor:
        height, width = x.raw.shape[-2:]
        shifted = F.pad(x.activated, (-1, width % 2, -1, height % 2))
        halves = [self.straight(x.activated), self.shifted(shifted)]
        output: Tensor = self.norm(torch.cat(halves, dim=1))
        return output


def _depthwise(channels: int, size: int, stride: int, dilation: int) -> nn.Conv2d:
    return nn.Conv2d(
        channels,
        channels,
        size,
        stride=stride,
        padding=dilation * (size // 2),
        dilation=dilation,
        groups=channels,
        bias=False,
    )


class DilatedConvolution(Operation):
    """Activation, depthwise convolution of dilation 2, pointwise convolution, norm."""

    def __init__(self, channels: int, size: int, stride: int, recipe: Recipe) -> None:
        super().__init__()
        self.depthwise = _depthwise(channels, size, stride, dilation=2)
        self.pointwise = nn.Conv2d(channels, channels, 1, bias=False)
        self.norm = recipe.norm(channels)

    def forward(self, x: FeatureMap) -> Tensor:
        output: Tensor = self.norm(self.pointwise(self.depthwise(x.activated)))
        return output


class SeparableConvolution(Operation):
    """Activation, depthwise, pointwise, norm: twice over, the stride in the first."""

    def __init__(self, channels: int, size: int, stride: int, recipe: Recipe) -> None:
        super().__init__()
        self.activation = recipe.activation
        self.depthwise_first = _depthwise(channels, size, stride, dilation=1)
        self.pointwise_first = nn.Conv2d(channels, channels, 1, bias=False)
        self.norm_first = recipe.norm(channels)
        self.depthwise = _depthwise(channels, size, stride=1, dilation=1)
        self.pointwise = nn.Conv2d(channels, channels, 1, bias=False)
        self.norm = recipe.norm(channels)

    def forward(self, x: FeatureMap) -> Tensor:
        first = self.norm_first(self.pointwise_first(self.depthwise_first(x.activated)))
        output: Tensor = self.norm(self.pointwise(self.depthwise(self.activation(first))))
        return output


class FactorizedConvolution(Operation):
    """conv_7x1_1x7: activation, a row convolution, a column convolution, norm."""

    def __init__(self, channels: int, stride: int, recipe: Recipe) -> None:
        super().__init__()
        self.row = nn.Conv2d(
            channels, channels, (1, 7), stride=(1, stride), padding=(0, 3), bias=False
        )
        self.column = nn.Conv2d(
            channels, channels, (7, 1), stride=(stride, 1), padding=(3, 0), bias=False
        )
        self.norm = recipe.norm(channels)

    def forward(self, x: FeatureMap) -> Tensor:
        output: Tensor = self.norm(self.column(self.row(x.activated)))
        return output


def _max_pool(channels: int, stride: int, recipe: Recipe) -> Operation:
    return Pool(nn.MaxPool2d(3, stride=stride, padding=1), recipe.pool_norm(channels))


def _avg_pool(channels: int, stride: int, recipe: Recipe) -> Operation:
    pool = nn.AvgPool2d(3, stride=stride, padding=1, count_include_pad=False)
    return Pool(pool, recipe.pool_norm(channels))


def _skip(channels: int, stride: int, recipe: Recipe) -> Operation:
    return Identity() if stride == 1 else FactorizedReduce(channels, channels, recipe)


def _separable(size: int) -> Callable[[int, int, Recipe], Operation]:
    return lambda channels, stride, recipe: SeparableConvolution(channels, size, stride, recipe)


def _dilated(size: int) -> Callable[[int, int, Recipe], Operation]:
    return lambda channels, stride, recipe: DilatedConvolution(channels, size, stride, recipe)


_TABLE: dict[str, Callable[[int, int, Recipe], Operation]] = {
    NONE: lambda channels, stride, recipe: Zero(stride),
    "max_pool_3x3": _max_pool,
    "avg_pool_3x3": _avg_pool,
    "skip_connect": _skip,
    "sep_conv_3x3": _separable(3),
    "sep_conv_5x5": _separable(5),
    "sep_conv_7x7": _separable(7),
    "dil_conv_3x3": _dilated(3),
    "dil_conv_5x5": _dilated(5),
    "conv_7x1_1x7": FactorizedConvolution,
}

OPERATIONS = tuple(_TABLE)
"""Every operation that a network here can be built of."""


def build(name: str, channels: int, stride: int, recipe: Recipe) -> Operation:
    """The operation called `name`, from `channels` to `channels`.

    Raises:
        ValueError: there is no such operation, or the stride is neither 1 nor 2.
    """
    if name not in _TABLE:
        raise ValueError(f"unknown operation {name!r}; known are {', '.join(OPERATIONS)}.")
    if stride not in (1, 2):
        raise ValueError(f"operation {name!r} at stride {stride}: cells use 1 or 2.")
    return _TABLE[name](channels, stride, recipe)
