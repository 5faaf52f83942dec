"""A weighted sum of norms on a stack against the same spelled out, with all its derivatives."""

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad

from darts.kernels.stack import sum_of_norms

EPS = 1e-5
f64 = torch.float64


def spelled_out(weights: Tensor, maps: list[Tensor], eps: float) -> Tensor:
    total = torch.zeros_like(maps[0])
    for weight, x in zip(weights.unbind(), maps, strict=True):
        centred = x - x.mean(dim=(0, 2, 3), keepdim=True)
        variance = centred.square().mean(dim=(0, 2, 3), keepdim=True)
        total = total + weight * centred * (variance + eps).rsqrt()
    return total


def case(spread: float, layout: torch.memory_format) -> list[Tensor]:
    """Weights, and three maps off zero, with uneven sides."""
    torch.manual_seed(0)
    maps = [torch.randn(3, 5, 4, 7, dtype=f64) * spread + offset for offset in (0.5, -1.0, 0.0)]
    return [torch.randn(3, dtype=f64), *(x.contiguous(memory_format=layout) for x in maps)]


def curved(z: Tensor) -> Tensor:
    """A number with third derivatives, other ones in every pixel."""
    weights = torch.linspace(0.5, 2.0, z.numel(), dtype=z.dtype).view_as(z)
    return (weights * (z.pow(3) + z.sin())).sum()


def gradients(way, given: list[Tensor]) -> list[Tensor]:
    """First derivatives, and those of their square."""
    given = [x.clone().requires_grad_() for x in given]
    first = torch.autograd.grad(curved(way(given[0], given[1:], EPS)), given, create_graph=True)
    second = torch.autograd.grad(sum(x.square().sum() for x in first), given)
    return [*(x.detach() for x in first), *second]


def product(way, given: list[Tensor], moving: list[bool]) -> list[Tensor]:
    """The derivative along a direction, and its gradients in the point and the direction."""
    given = [x.clone().requires_grad_() for x in given]
    towards = [torch.randn_like(x).requires_grad_() for x in given]
    with forward_ad.dual_level():
        point = [
            forward_ad.make_dual(x, t) if moves else x
            for x, t, moves in zip(given, towards, moving, strict=True)
        ]
        slope = forward_ad.unpack_dual(curved(way(point[0], point[1:], EPS))).tangent
    used = [t for t, moves in zip(towards, moving, strict=True) if moves]
    return [slope.detach(), *torch.autograd.grad(slope, [*given, *used])]


def close(found: list[Tensor], expected: list[Tensor], allowed: float) -> None:
    for one, other in zip(found, expected, strict=True):
        assert one.shape == other.shape
        assert (one - other).norm() <= allowed * other.norm()


LAYOUTS = pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
# sums of 84 terms, conditioned by mean/spread up to 1e3, and squares of it in second derivatives
SPREADS = pytest.mark.parametrize(("spread", "allowed"), [(1.0, 1e-12), (1e-3, 1e-9)])


@LAYOUTS
@SPREADS
def test_the_sum_and_its_derivatives_of_both_orders_are_those_spelled_out(spread, allowed, layout):
    given = case(spread, layout)
    weights, *maps = given
    close([sum_of_norms(weights, maps, EPS)], [spelled_out(weights, maps, EPS)], allowed)
    close(gradients(sum_of_norms, given), gradients(spelled_out, given), allowed)


@LAYOUTS
@SPREADS
@pytest.mark.parametrize("moving", [(1, 1, 1, 1), (1, 0, 0, 0), (0, 1, 0, 1)])
def test_products_by_reverse_over_forward_are_those_spelled_out(spread, allowed, layout, moving):
    """All inputs move, the weights alone, or some of the maps."""
    given = case(spread, layout)
    torch.manual_seed(1)
    found = product(sum_of_norms, given, moving)
    torch.manual_seed(1)
    close(found, product(spelled_out, given, moving), allowed)


def test_within_a_dual_level_it_is_differentiated_backwards_once():
    weights, *maps = [x.requires_grad_() for x in case(1.0, torch.channels_last)]
    with forward_ad.dual_level():
        duals = [forward_ad.make_dual(x, torch.ones_like(x)) for x in maps]
        value = curved(forward_ad.unpack_dual(sum_of_norms(weights, duals, EPS)).primal)
    (slope,) = torch.autograd.grad(value, maps[0], create_graph=True)
    with pytest.raises(RuntimeError):
        torch.autograd.grad(slope.square().sum(), maps[0])


def test_the_sum_lies_channels_last():
    weights, *maps = case(1.0, torch.channels_last)
    assert sum_of_norms(weights, maps, EPS).is_contiguous(memory_format=torch.channels_last)
