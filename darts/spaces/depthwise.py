"""Depthwise convolutions by operations that PyTorch is quick at, on the CPU and on a GPU.

Convolution, input gradient and weight gradient are bilinear, and each derivative of one is
another of them: the input gradient is the convolution by the flipped kernel. PyTorch 2.14 takes up
to 40 times as long for the gradients of 5×5 and of dilated kernels as for the convolution itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import Function
from torch.nn import functional as F


def depthwise(x: Tensor, weight: Tensor, dilation: int) -> Tensor:
    """The convolution of x [n, c, h, w] by weight [c, 1, k, k], k odd, that keeps the size.

    Differentiable to any order, in reverse mode and in forward mode.
    """
    result: Tensor = _Convolution.apply(x, weight, dilation)
    return result


def quicker(x: Tensor, weight: Tensor, dilation: int) -> bool:
    """Whether `depthwise` is quicker than F.conv2d in a supernet: dilated kernels, on a CPU.

    A 5×5 kernel without dilation gains alone, but not within a network. In a compiled one and
    under autocast there is F.conv2d alone: torch.compile does not take `depthwise` into its graph,
    and autocast does not narrow what it is given.
    """
    if x.device.type != "cpu" or torch.compiler.is_compiling() or torch.is_autocast_enabled("cpu"):
        return False
    height, width = weight.shape[2:]
    return height == width and (height, dilation) in _MEASURED


_MEASURED = {(3, 2), (5, 2)}


def by_phases(x: Tensor, weight: Tensor, dilation: int, parts: Tensor | None = None) -> Tensor:
    """`depthwise` by dense convolutions of the phases of x, in PyTorch's own operations.

    `parts` are `phases(x, dilation)`, where they are there already.

    By cuDNN the weight gradients of dilated kernels on channels-last maps were 29 % of a weight
    step of S1 on a GPU (docs/CARD.md).
    """
    height, width = x.shape[2:]
    size = weight.shape[-1]
    parts = phases(x, dilation) if parts is None else parts
    parts = F.conv2d(parts, weight, None, 1, size // 2, 1, x.shape[1])
    return _joined(parts, len(x), dilation)[:, :, :height, :width]


def phases_are_quicker(x: Tensor, dilation: int) -> bool:
    """Whether `by_phases` is quicker than F.conv2d: on a GPU, of channels-last maps."""
    return dilation > 1 and x.is_cuda and x.is_contiguous(memory_format=torch.channels_last)


class DepthwiseConvolution(nn.Conv2d):
    """A k×k convolution of each channel with itself, k odd, that keeps the size (or halves it).

    On small maps its outer taps can lie in the padding at every pixel: all but the centre one of
    a 5×5 kernel of dilation 2 on 2×2 pixels. They add zero and are left out of the arithmetic.
    """

    def __init__(self, channels: int, size: int, stride: int = 1, dilation: int = 1) -> None:
        super().__init__(
            channels,
            channels,
            size,
            stride=stride,
            padding=dilation * (size // 2),
            dilation=dilation,
            groups=channels,
            bias=False,
        )

    def forward(self, x: Tensor, phases: Callable[[], Tensor] | None = None) -> Tensor:
        """The convolution of x; `phases` gives those of x by the dilation, if they are shared."""
        (size, _), (dilation, _) = self.kernel_size, self.dilation
        reach = dilation * (size // 2)
        # A tap t pixels off the centre meets no pixel of a side of n ≤ |t|.
        row, column = (max(0, (reach - side) // dilation + 1) for side in x.shape[-2:])
        if row == column == 0:
            if self.stride == (1, 1) and quicker(x, self.weight, dilation):
                return depthwise(x, self.weight, dilation)
            if self.stride == (1, 1) and phases_are_quicker(x, dilation):
                return by_phases(x, self.weight, dilation, None if phases is None else phases())
            return super().forward(x)
        return F.conv2d(
            x,
            self.weight[:, :, row : size - row, column : size - column],
            stride=self.stride,
            padding=(reach - dilation * row, reach - dilation * column),
            dilation=self.dilation,
            groups=self.groups,
        )


class _Convolution(Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, weight: Tensor, dilation: int) -> Tensor:
        padding = dilation * (weight.shape[-1] // 2)
        return F.conv2d(x, weight, None, 1, padding, dilation, x.shape[1])

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, int], output: Tensor) -> None:
        x, weight, ctx.dilation = inputs
        ctx.save_for_backward(x, weight)
        ctx.save_for_forward(x, weight)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        x, weight = ctx.saved_tensors
        to_x = _Convolution.apply(g, weight.flip(2, 3), ctx.dilation)
        to_weight = _TapSums.apply(x, g, weight.shape[-1], ctx.dilation)
        return to_x, to_weight, None

    @staticmethod
    def jvp(ctx: Any, x: Tensor | None, weight: Tensor | None, _: None) -> Any:
        point, kernel = ctx.saved_tensors
        moved = 0 if x is None else _Convolution.apply(x, kernel, ctx.dilation)
        turned = 0 if weight is None else _Convolution.apply(point, weight, ctx.dilation)
        return moved + turned


class _TapSums(Function):
    """Σ over images and pixels of x, shifted by each tap, times g: the weight gradient."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, g: Tensor, size: int, dilation: int) -> Tensor:
        if dilation > 1:  # a dilated kernel on an image is a dense one on every phase of it
            x, g = phases(x, dilation), phases(g, dilation)
        if size == 3:
            return _three_by_three(x, g, 1)
        reach = size // 2
        sums = x.new_empty(x.shape[1], 1, size, size)
        for row in range(0, size - 2, 2):  # 3×3 blocks of taps, of which neighbours share a row
            for column in range(0, size - 2, 2):
                top, left = reach - row, reach - column
                shifted = F.pad(x, (left, 2 - left, top, 2 - top))
                block = _three_by_three(shifted, g, 0)
                sums[:, :, row : row + 3, column : column + 3] = block
        return sums

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, int, int], output: Tensor) -> None:
        x, g, ctx.size, ctx.dilation = inputs
        ctx.save_for_backward(x, g)
        ctx.save_for_forward(x, g)

    @staticmethod
    def backward(ctx: Any, to: Tensor) -> Any:
        x, g = ctx.saved_tensors
        to_x = _Convolution.apply(g, to.flip(2, 3), ctx.dilation)
        return to_x, _Convolution.apply(x, to, ctx.dilation), None, None

    @staticmethod
    def jvp(ctx: Any, x: Tensor | None, g: Tensor | None, *_: None) -> Any:
        point, gradient = ctx.saved_tensors
        moved = 0 if x is None else _TapSums.apply(x, gradient, ctx.size, ctx.dilation)
        turned = 0 if g is None else _TapSums.apply(point, g, ctx.size, ctx.dilation)
        return moved + turned


def _three_by_three(x: Tensor, g: Tensor, padding: int) -> Tensor:
    channels = x.shape[1]
    kernel = x.new_empty(channels, 1, 3, 3)
    sums: Tensor = torch.ops.aten.convolution_backward(
        *(g, x, kernel, None, [1, 1], [padding, padding], [1, 1], False, [0, 0], channels),
        [False, True, False],
    )[1]
    return sums


def phases(x: Tensor, step: int) -> Tensor:
    """The pixels of each residue of row and column by `step`, as images of their own.

    Args:
        x: [b c h w].
        step: how far apart the pixels of a phase are.

    Returns:
        [b·step² c ⌈h/step⌉ ⌈w/step⌉], channels last, with zeros where the map ends.
    """
    n, c, height, width = x.shape
    if height % step or width % step:  # padding by nothing would be a copy
        x = F.pad(x, (0, -width % step, 0, -height % step))
    x = x.permute(0, 2, 3, 1)
    rows, columns = x.shape[1] // step, x.shape[2] // step
    x = x.reshape(n, rows, step, columns, step, c).permute(2, 4, 0, 1, 3, 5)
    return x.reshape(n * step * step, rows, columns, c).permute(0, 3, 1, 2)


def _joined(parts: Tensor, n: int, step: int) -> Tensor:
    """The n images whose phases these are."""
    _, c, rows, columns = parts.shape
    x = parts.permute(0, 2, 3, 1).reshape(step, step, n, rows, columns, c)
    x = x.permute(2, 3, 0, 4, 1, 5).reshape(n, rows * step, columns * step, c)
    return x.permute(0, 3, 1, 2)
