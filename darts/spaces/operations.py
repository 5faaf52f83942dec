"""The operations that an edge can be, as DARTS defines them (Liu et al. 2019, §3.1)."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import product
from types import MappingProxyType

import torch
from torch import Tensor, nn

from darts.kernels import Unit
from darts.spaces.average_pool import AveragePool
from darts.spaces.depthwise import DepthwiseConvolution
from darts.spaces.feature_map import Activation, FeatureMap
from darts.spaces.joint_draws import Drawing
from darts.spaces.native_node import pointwise_norm
from darts.spaces.normalization import BatchNorm
from darts.spaces.space import NONE, SKIP


@dataclass(frozen=True)
class Recipe:
    """The parts of operations: norms after convolutions and pools, and the activation.

    A network keeps its recipe, and is pickled with it: a part is a function that a module names.
    """

    norm: Callable[[int], nn.Module]
    pool_norm: Callable[[int], nn.Module]
    activation: Activation


def search_recipe(activation: Activation = torch.relu, *, pools: bool = True) -> Recipe:
    """In a supernet: norms without scale and shift, and one after each pool if `pools`."""
    return Recipe(_plain_norm, _plain_norm if pools else _no_norm, activation)


def derived_recipe() -> Recipe:
    """In a network to be trained: ordinary norms, and none after pools."""
    return Recipe(norm=nn.BatchNorm2d, pool_norm=_no_norm, activation=torch.relu)


def _plain_norm(channels: int) -> nn.Module:
    return BatchNorm(channels, affine=False)


def _no_norm(channels: int) -> nn.Module:
    return nn.Identity()


class Operation(nn.Module, ABC):
    """A map from a feature map to another. The convolutions activate, convolve, normalise.

    Attributes:
        shared: without weights it gives the same on every edge from one state. An operation that
            draws random numbers does not, and says so by False.
    """

    shared: bool = True
    __call__: Callable[[FeatureMap], Tensor]

    @abstractmethod
    def forward(self, x: FeatureMap) -> Tensor: ...

    @property
    def units(self) -> tuple[Unit, ...]:
        """The chain of native units that it is, its parameters in their order; () if it is none."""
        return ()

    @property
    def norms(self) -> tuple[nn.Module, ...]:
        """The norms of its units, or the one that it ends in."""
        return ()


class Zero(Operation):
    """`none`: zeros of the shape that the other operations give."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: FeatureMap) -> Tensor:
        return torch.zeros_like(x.raw[:, :, :: self.stride, :: self.stride])


class Identity(Operation):
    """skip_connect at stride 1."""

    def forward(self, x: FeatureMap) -> Tensor:
        return x.raw


class Normed(Operation):
    """An operation that ends in a norm over the batch: the norm of what `before_norm` gives."""

    norm: nn.Module

    @abstractmethod
    def before_norm(self, x: FeatureMap) -> Tensor: ...

    @property
    def norms(self) -> tuple[nn.Module, ...]:
        return (self.norm,)

    def forward(self, x: FeatureMap) -> Tensor:
        output: Tensor = self.norm(self.before_norm(x))
        return output


class Pool(Normed):
    """A 3×3 pool; averages leave the padding out."""

    def __init__(self, pool: nn.Module, norm: nn.Module) -> None:
        super().__init__()
        self.pool = pool
        self.norm = norm

    def before_norm(self, x: FeatureMap) -> Tensor:
        return x.pooled(self.pool)


class ConvNorm(Operation):
    """Activation, convolution, norm; with size 1 a cell's preprocessing."""

    def __init__(self, channels_in: int, channels_out: int, size: int, recipe: Recipe) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels_in, channels_out, size, padding=size // 2, bias=False)
        self.norm = recipe.norm(channels_out)

    def forward(self, x: FeatureMap) -> Tensor:
        weight = self.convolution.weight
        if weight.shape[-1] == 1 and x.natively(self.norm):
            return pointwise_norm(x.raw, weight, self.norm)
        output: Tensor = self.norm(self.convolution(x.activated))
        return output


class FactorizedReduce(Normed):
    """skip_connect at stride 2: a 1×1 convolution of the even pixels beside one of the odd.

    DARTS says it with strided convolutions, the second on the image without its first row and
    column, and so takes even sides only. On odd ones the second half reads zeros at the end.
    """

    def __init__(self, channels_in: int, channels_out: int, recipe: Recipe) -> None:
        super().__init__()
        if channels_out % 2:
            raise ValueError(
                f"FactorizedReduce to {channels_out} channels: each of its two convolutions makes "
                "half of them. Choose an even number of channels."
            )
        self.straight = nn.Conv2d(channels_in, channels_out // 2, 1, bias=False)
        self.shifted = nn.Conv2d(channels_in, channels_out // 2, 1, bias=False)
        self.norm = recipe.norm(channels_out)

    def forward(self, x: FeatureMap) -> Tensor:
        if x.natively(self.norm):
            straight, shifted = self.straight.weight, self.shifted.weight
            half = len(straight)
            first = pointwise_norm(x.even, straight, self.norm, slice(half))
            odd = x.as_large_as_even(x.odd)
            return torch.cat([first, pointwise_norm(odd, shifted, self.norm, slice(half, None))], 1)
        return super().forward(x)

    def before_norm(self, x: FeatureMap) -> Tensor:
        odd = x.as_large_as_even(x.odd_activated)
        return torch.cat([self.straight(x.even_activated), self.shifted(odd)], dim=1)


class DilatedConvolution(Normed):
    """Activation, depthwise convolution of dilation 2, pointwise convolution, norm.

    At stride 2 it reads even pixels only, and is the ordinary convolution of those.
    """

    def __init__(self, channels: int, size: int, stride: int, recipe: Recipe) -> None:
        super().__init__()
        self.stride = stride
        self.depthwise = DepthwiseConvolution(channels, size, dilation=2 // stride)
        self.pointwise = nn.Conv2d(channels, channels, 1, bias=False)
        self.norm = recipe.norm(channels)

    def before_norm(self, x: FeatureMap) -> Tensor:
        if self.stride == 1:
            maps = self.depthwise(x.activated, lambda: x.activated_phases)
        else:
            maps = self.depthwise(x.even_activated)
        output: Tensor = self.pointwise(maps)
        return output

    @property
    def units(self) -> tuple[Unit, ...]:
        size = self.depthwise.kernel_size[0]
        return (Unit(size, self.stride, dilation=2),)


class SeparableConvolution(Normed):
    """Activation, depthwise, pointwise, norm: twice over, the stride in the first."""

    def __init__(self, channels: int, size: int, stride: int, recipe: Recipe) -> None:
        super().__init__()
        self.activation = recipe.activation
        self.depthwise_first = DepthwiseConvolution(channels, size, stride)
        self.pointwise_first = nn.Conv2d(channels, channels, 1, bias=False)
        self.norm_first = recipe.norm(channels)
        self.depthwise = DepthwiseConvolution(channels, size)
        self.pointwise = nn.Conv2d(channels, channels, 1, bias=False)
        self.norm = recipe.norm(channels)

    def before_norm(self, x: FeatureMap) -> Tensor:
        return self.second(self.activation(self.norm_first(self.first(x))))

    def first(self, x: FeatureMap) -> Tensor:
        """The first convolutions, before their norm."""
        output: Tensor = self.pointwise_first(self.depthwise_first(x.activated))
        return output

    def second(self, first: Tensor) -> Tensor:
        """The second convolutions, of the first ones' normed and activated output."""
        output: Tensor = self.pointwise(self.depthwise(first))
        return output

    @property
    def units(self) -> tuple[Unit, ...]:
        size, stride = self.depthwise.kernel_size[0], self.depthwise_first.stride[0]
        return Unit(size, stride), Unit(size)

    @property
    def norms(self) -> tuple[nn.Module, ...]:
        return self.norm_first, self.norm


class FactorizedConvolution(Normed):
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

    def before_norm(self, x: FeatureMap) -> Tensor:
        output: Tensor = self.column(self.row(x.activated))
        return output


class PlainConvolution(Normed):
    """nor_conv: activation, convolution, norm (NAS-Bench-201's ReLU-Conv-BN)."""

    def __init__(self, channels: int, size: int, stride: int, recipe: Recipe) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(
            channels, channels, size, stride=stride, padding=size // 2, bias=False
        )
        self.norm = recipe.norm(channels)

    def before_norm(self, x: FeatureMap) -> Tensor:
        output: Tensor = self.convolution(x.activated)
        return output

    @property
    def units(self) -> tuple[Unit, ...]:
        of_pixels = self.convolution.kernel_size == self.convolution.stride == (1, 1)
        return (Unit(0),) if of_pixels else ()


class Noise(Operation, Drawing):
    """noise: N(0, 1) in place of every value (Zela et al. 2020, §4, space S4)."""

    shared = False

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: FeatureMap) -> Tensor:
        pixels = x.raw[:, :, :: self.stride, :: self.stride]
        # not randn_like, whose values would depend on the memory layout
        return self.shard.drawn(
            lambda shape: torch.randn(shape, dtype=pixels.dtype, device=pixels.device),
            pixels.shape,
        )


def _max_pool(channels: int, stride: int, recipe: Recipe) -> Operation:
    return Pool(nn.MaxPool2d(3, stride=stride, padding=1), recipe.pool_norm(channels))


def _avg_pool(channels: int, stride: int, recipe: Recipe) -> Operation:
    return Pool(AveragePool(3, stride), recipe.pool_norm(channels))


def _skip(channels: int, stride: int, recipe: Recipe) -> Operation:
    return Identity() if stride == 1 else FactorizedReduce(channels, channels, recipe)


Make = Callable[[int, int, Recipe], Operation]
"""(channels, stride, recipe) ↦ an operation."""


def _of_size(make: Callable[[int, int, int, Recipe], Operation], size: int) -> Make:
    return lambda channels, stride, recipe: make(channels, size, stride, recipe)


_TABLE: dict[str, Make] = {
    NONE: lambda channels, stride, recipe: Zero(stride),
    "max_pool_3x3": _max_pool,
    "avg_pool_3x3": _avg_pool,
    SKIP: _skip,
    "sep_conv_3x3": _of_size(SeparableConvolution, 3),
    "sep_conv_5x5": _of_size(SeparableConvolution, 5),
    "sep_conv_7x7": _of_size(SeparableConvolution, 7),
    "dil_conv_3x3": _of_size(DilatedConvolution, 3),
    "dil_conv_5x5": _of_size(DilatedConvolution, 5),
    "conv_7x1_1x7": FactorizedConvolution,
    "nor_conv_1x1": _of_size(PlainConvolution, 1),
    "nor_conv_3x3": _of_size(PlainConvolution, 3),
    "noise": lambda channels, stride, recipe: Noise(stride),
}

_REGISTERED: set[str] = set()
_TRIED: set[tuple[str, int, int]] = set()

OPERATIONS = MappingProxyType(_TABLE)
"""Every operation that a network here can be built of, those registered included."""


def register_operation(name: str, make: Make) -> None:
    """Add an operation, so that spaces and genotypes can hold it.

    Args:
        name: a name that no operation has.
        make: (channels, stride, recipe) ↦ an operation from `channels` to `channels` that takes
            every stride-th pixel; stride is 1 or 2.

    Raises:
        ValueError: the name is taken.
    """
    if name in _TABLE:
        raise ValueError(f"there is an operation {name!r} already. Register under another name.")
    _TABLE[name] = make
    _REGISTERED.add(name)


def build(name: str, channels: int, stride: int, recipe: Recipe) -> Operation:
    """The operation called `name`, from `channels` to `channels`.

    One that was registered is tried first on two small maps.

    Raises:
        ValueError: there is no such operation, the stride is neither 1 nor 2, or a registered
            operation does not give maps of the size that a node adds.
    """
    if name not in _TABLE:
        raise ValueError(f"unknown operation {name!r}; known are {', '.join(OPERATIONS)}.")
    if stride not in (1, 2):
        raise ValueError(f"operation {name!r} at stride {stride}: cells use 1 or 2.")
    require_shapes((name,), channels, (stride,), recipe)
    return _TABLE[name](channels, stride, recipe)


def require_shapes(
    names: Iterable[str], channels: int, strides: Iterable[int], recipe: Recipe
) -> None:
    """Raise ValueError unless registered operations give maps of the size that a node adds.

    Each is tried once, on two small maps at each stride; the project's own are not.
    """
    for name, stride in product(_REGISTERED & set(names), strides):
        if (name, channels, stride) not in _TRIED:
            _try(name, channels, stride, recipe)
            _TRIED.add((name, channels, stride))


def _try(name: str, channels: int, stride: int, recipe: Recipe) -> None:
    with torch.random.fork_rng(devices=[]), torch.device("cpu"), torch.no_grad():
        evaluate: Callable[[FeatureMap], Tensor] = _TABLE[name](channels, stride, recipe).__call__
        for sides in ((8, 8), (7, 5)):
            given = (2, channels, *sides)
            expected = (2, channels, *(-(-side // stride) for side in sides))
            at = f"operation {name!r} at stride {stride}, on a map of {given}"
            try:
                found = tuple(evaluate(FeatureMap(torch.randn(given), recipe.activation)).shape)
            except Exception as error:  # whatever a user's code raises
                raise ValueError(f"{at}: {type(error).__name__}: {error}") from error
            if found != expected:
                raise ValueError(
                    f"{at}, gives one of {found}, and a node adds maps of {expected}. Keep images "
                    "and channels, and of the pixels every stride-th."
                )
