"""A norm in a product by reverse over forward, in closed form, against elementary operations."""

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad

from darts.spaces.dual_norm import dual_norm

EPS = 1e-5


def spelled_out(x: Tensor, eps: float) -> Tensor:
    centred = x - x.mean(dim=(0, 2, 3), keepdim=True)
    return centred * (centred.square().mean(dim=(0, 2, 3), keepdim=True) + eps).rsqrt()


def product(norm, x: Tensor, xt: Tensor | None) -> list[Tensor]:
    """⟨∇f(norm(x)), ẋ⟩ and its gradients in x and ẋ, of an f with third derivatives."""
    x = x.clone().requires_grad_()
    given = [x] if xt is None else [x, xt.clone().requires_grad_()]
    weight = torch.tensor(1.3, dtype=x.dtype)
    with forward_ad.dual_level():
        scaled = forward_ad.make_dual(weight, torch.ones_like(weight))
        y = scaled * norm(forward_ad.make_dual(*given) if xt is not None else x, EPS)
        slope = forward_ad.unpack_dual((y.pow(3) + y.sin()).sum()).tangent
    return [slope, *torch.autograd.grad(slope, given)]


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("spread", [1.0, 1e-3])
def test_values_and_adjoints_are_those_of_the_spelled_out_norm(spread, layout):
    """At a spread of 1e-3 the eps counts. Sums of 84 terms, conditioned by mean/spread: 1e-9."""
    torch.manual_seed(0)
    x = torch.randn(3, 5, 4, 7, dtype=torch.float64) * spread + 0.5
    x, xt = x.contiguous(memory_format=layout), torch.randn_like(x)
    for found, expected in zip(product(dual_norm, x, xt), product(spelled_out, x, xt), strict=True):
        assert (found - expected).norm() <= 1e-9 * expected.norm()


def test_without_a_tangent_it_is_the_norm_of_a_constant():
    torch.manual_seed(0)
    x = torch.randn(3, 5, 4, 7, dtype=torch.float64)
    found, expected = product(dual_norm, x, None), product(spelled_out, x, None)
    for one, other in zip(found, expected, strict=True):
        assert (one - other).norm() <= 1e-11 * other.norm()


def test_it_is_differentiated_backwards_once():
    x = torch.randn(2, 3, 4, 4, dtype=torch.float64, requires_grad=True)
    with forward_ad.dual_level():
        y = dual_norm(forward_ad.make_dual(x, torch.ones_like(x)), EPS)
        value = forward_ad.unpack_dual(y).primal.pow(3).sum()
    (slope,) = torch.autograd.grad(value, x, create_graph=True)
    with pytest.raises(RuntimeError):
        torch.autograd.grad(slope.pow(2).sum(), x)
