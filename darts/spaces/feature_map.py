"""A feature map, and the values that operations read from it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from darts.kernels import usable
from darts.spaces.depthwise import phases
from darts.spaces.normalization import norming
from darts.spaces.once import Once

if TYPE_CHECKING:
    from darts.spaces.operations import Operation

Activation = Callable[[Tensor], Tensor]


class FeatureMap:
    """A feature map, and the values that operations read from it, each computed once."""

    def __init__(self, raw: Tensor, activation: Activation) -> None:
        self.raw = raw
        self.activation = activation
        self._once: dict[nn.Module, Tensor] = {}

    def of(self, operation: Operation) -> Tensor:
        """The output of an operation; computed once if it is the same on every edge."""
        evaluate: Callable[[FeatureMap], Tensor] = operation.__call__
        if not operation.shared or next(operation.parameters(), None) is not None:
            return evaluate(self)
        if operation not in self._once:
            self._once[operation] = evaluate(self)
        return self._once[operation]

    def pooled(self, pool: nn.Module) -> Tensor:
        """The output of a pool on the map before its activation, computed once."""
        if pool not in self._once:
            self._once[pool] = pool(self.raw)
        return self._once[pool]

    def natively(self, norm: nn.Module) -> bool:
        """Whether native kernels can activate and convolve the map and then take this norm."""
        return self.activation is torch.relu and norming(norm) is not None and usable(self.raw)

    @Once
    def activated(self) -> Tensor:
        return self.activation(self.raw)

    @Once
    def activated_phases(self) -> Tensor:
        """What kernels of dilation 2 see as dense ones: `phases` of the activated map."""
        return phases(self.activated, 2)

    @property
    def _layout(self) -> torch.memory_format:
        if torch._C._functorch.is_batchedtensor(self.raw):  # vmap asks of no other layout
            return torch.contiguous_format
        last = self.raw.is_contiguous(memory_format=torch.channels_last)
        plain = self.raw.is_contiguous() and not last
        return torch.contiguous_format if plain else torch.channels_last

    @Once
    def even(self) -> Tensor:
        """Pixels 0, 2, 4, ... before the activation: ⌈n/2⌉ a side."""
        return self.raw[:, :, ::2, ::2].contiguous(memory_format=self._layout)

    @Once
    def odd(self) -> Tensor:
        """Pixels 1, 3, 5, ... before the activation: ⌊n/2⌋ a side."""
        return self.raw[:, :, 1::2, 1::2].contiguous(memory_format=self._layout)

    @Once
    def even_activated(self) -> Tensor:
        return self.activation(self.even)

    @Once
    def odd_activated(self) -> Tensor:
        return self.activation(self.odd)

    def as_large_as_even(self, odd: Tensor) -> Tensor:
        """With a row and a column of zeros at the end, where the map's sides are odd."""
        height, width = self.raw.shape[-2:]
        return F.pad(odd, (0, width % 2, 0, height % 2)) if height % 2 or width % 2 else odd
