"""The average pool against its definition, and its spelled-out form against PyTorch's."""

import pytest
import torch
from torch.autograd import forward_ad, grad
from torch.nn import functional as F

from darts.spaces.average_pool import AveragePool, spelled_out
from darts.spaces.operations import build, search_recipe


def maps(height, width, layout):
    generator = torch.Generator().manual_seed(height * 10 + width)
    x = torch.randn(2, 3, height, width, generator=generator, dtype=torch.float64)
    return x.contiguous(memory_format=layout).requires_grad_()


def by_definition(x, size, stride):
    """The mean of the pixels that a window meets, window by window."""
    height, width = x.shape[-2:]
    rows = [
        [
            x[
                :,
                :,
                max(0, i - size // 2) : i + size // 2 + 1,
                max(0, j - size // 2) : j + size // 2 + 1,
            ].mean(dim=(2, 3))
            for j in range(0, width, stride)
        ]
        for i in range(0, height, stride)
    ]
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)


LAYOUTS = pytest.mark.parametrize(
    "layout",
    [torch.contiguous_format, torch.channels_last],
    ids=["channels first", "channels last"],
)
SIDES = pytest.mark.parametrize("sides", [(1, 1), (2, 3), (5, 4), (8, 8)])
STRIDES = pytest.mark.parametrize("stride", [1, 2])


@LAYOUTS
@SIDES
@STRIDES
@pytest.mark.parametrize(
    "pool", [lambda s: AveragePool(3, s), lambda s: lambda x: spelled_out(x, 3, s)]
)
def test_values_and_gradients_are_those_of_the_definition(layout, sides, stride, pool):
    x = maps(*sides, layout)
    expected, found = by_definition(x, 3, stride), pool(stride)(x)
    assert torch.allclose(found, expected, rtol=0, atol=1e-14)
    weights = torch.randn(expected.shape, dtype=x.dtype, generator=torch.Generator().manual_seed(0))
    (slope,) = grad((found.square() * weights).sum(), x, create_graph=True)
    (truth,) = grad((expected.square() * weights).sum(), x, create_graph=True)
    assert torch.allclose(slope, truth, rtol=0, atol=1e-13)
    direction = torch.randn(x.shape, dtype=x.dtype, generator=torch.Generator().manual_seed(1))
    (product,) = grad(slope, x, direction)
    (true_product,) = grad(truth, x, direction)
    assert torch.allclose(product, true_product, rtol=0, atol=1e-13)


@SIDES
@STRIDES
def test_forward_mode_passes_through_the_spelled_out_form(sides, stride):
    x = maps(*sides, torch.channels_last)
    direction = torch.randn(x.shape, dtype=x.dtype, generator=torch.Generator().manual_seed(1))
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(x, direction)
        tangent = forward_ad.unpack_dual(spelled_out(dual, 3, stride).square()).tangent
    (expected,) = torch.func.jvp(
        lambda x: F.avg_pool2d(x, 3, stride, 1, count_include_pad=False).square(),
        (x,),
        (direction,),
    )[1:]
    assert torch.allclose(tangent, expected, rtol=0, atol=1e-13)


def test_every_average_pool_of_a_search_is_this_one():
    """PyTorch's own padded pool has wrong gradients on GPUs, so none may be left in a space."""
    for stride in (1, 2):
        pool = build("avg_pool_3x3", 4, stride, search_recipe()).pool
        assert type(pool) is AveragePool
