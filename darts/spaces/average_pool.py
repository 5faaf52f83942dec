"""The 3×3 average that leaves the padding out, with a gradient that is right on every device."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class AveragePool(nn.AvgPool2d):
    """A k×k average, k odd, over the pixels that lie in the map; every stride-th window.

    On a GPU it is spelled out as a sum over a padded map, divided by the number of pixels. For
    maps in channels-last order PyTorch's own padded pool gives wrong gradients there, without a
    word, in releases at least up to 2.11 (pytorch/pytorch#188344). Without padding it is right.

    Args:
        size: k.
        stride: between windows, in pixels.
    """

    def __init__(self, size: int, stride: int) -> None:
        super().__init__(size, stride=stride, padding=size // 2, count_include_pad=False)
        self._window = (size, stride)

    def forward(self, x: Tensor) -> Tensor:
        if x.is_cuda:
            return spelled_out(x, *self._window)
        return super().forward(x)


def spelled_out(x: Tensor, size: int, stride: int) -> Tensor:
    """The same average by sums of padded maps.

    Args:
        x: [b c h w].
        size: k, odd.
        stride: between windows, in pixels.

    Returns:
        [b c ⌈h/stride⌉ ⌈w/stride⌉]
    """
    inside = torch.ones((1, 1, *x.shape[-2:]), dtype=x.dtype, device=x.device)
    return _sums(x, size, stride) / _sums(inside, size, stride)


def _sums(x: Tensor, size: int, stride: int) -> Tensor:
    edge = size // 2
    return F.avg_pool2d(F.pad(x, (edge,) * 4), size, stride, divisor_override=1)
