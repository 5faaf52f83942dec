"""The quick depthwise convolution is PyTorch's own, with all derivatives."""

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn import functional as F

from darts.spaces.depthwise import by_phases, depthwise


def plain(x: Tensor, weight: Tensor, dilation: int) -> Tensor:
    padding = dilation * (weight.shape[-1] // 2)
    return F.conv2d(x, weight, None, 1, padding, dilation, x.shape[1])


@pytest.mark.parametrize("size", [(6, 8), (5, 7), (1, 2), (9, 4)])
@pytest.mark.parametrize(("kernel", "dilation"), [(3, 1), (5, 1), (7, 1), (3, 2), (5, 2)])
@pytest.mark.parametrize("quick", [depthwise, by_phases])
def test_both_are_the_convolution_up_to_third_order_and_forwards(quick, kernel, dilation, size):
    """Rounding of some hundred terms alone separates them: 1e-12 in float64."""
    torch.manual_seed(0)
    x = torch.randn(3, 4, *size, dtype=torch.float64)
    x = x.contiguous(memory_format=torch.channels_last).requires_grad_()
    weight = torch.randn(4, 1, kernel, kernel, dtype=torch.float64, requires_grad=True)
    directions = [torch.randn_like(x), torch.randn_like(weight)]

    def derivatives(function):
        y = function(x, weight, dilation)
        value, found = y.pow(4).sum(), [y]
        for order in range(3):
            slopes = torch.autograd.grad(value, (x, weight), create_graph=order < 2)
            found += slopes
            value = sum((a * b).sum() for a, b in zip(slopes, directions, strict=True))
        return found

    expected = derivatives(plain)
    for a, b in zip(derivatives(quick), expected, strict=True):
        assert (a - b).norm() <= 1e-12 * b.norm()
    with forward_ad.dual_level():
        dual = quick(
            forward_ad.make_dual(x, directions[0]),
            forward_ad.make_dual(weight, directions[1]),
            dilation,
        )
        slope = forward_ad.unpack_dual(dual.pow(4).sum()).tangent
        found = torch.autograd.grad(slope, (x, weight))
    for a, b in zip(found, expected[3:5], strict=True):
        assert (a - b).norm() <= 1e-12 * b.norm()
