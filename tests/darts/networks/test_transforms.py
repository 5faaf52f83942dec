"""A supernet within the transforms of `torch.func`: of α alone, as users write them."""

import pytest
import torch
from torch.func import grad, jvp, vmap

from darts.methods.mixing_weights import MixingWeights
from darts.networks import Architecture, Supernet
from darts.spaces import NASBENCH201, S1


@pytest.fixture(params=[True, False], ids=["training", "evaluation"])
def training(request):
    return request.param


@pytest.fixture(params=[S1, NASBENCH201], ids=lambda space: space.name)
def case(request, training):
    """A loss as a function of α, α, and a direction."""
    supernet = Supernet(request.param, channels=4, cells=3).double().train(training)
    architecture = Architecture(request.param)
    alpha = architecture.initial(0, scale=0.5, dtype=torch.float64)
    images = torch.randn(4, 3, 9, 8, dtype=torch.float64)

    def loss(alpha):
        return supernet(images, MixingWeights(architecture.mixing_weights(alpha))).square().sum()

    return loss, alpha, {kind: torch.randn_like(tensor) for kind, tensor in alpha.items()}


def gradients(loss, alpha, *, create_graph=False):
    leaves = {kind: tensor.clone().requires_grad_() for kind, tensor in alpha.items()}
    found = torch.autograd.grad(loss(leaves), leaves.values(), create_graph=create_graph)
    return leaves, dict(zip(leaves, found, strict=True))


def inner(one, other):
    return sum((one[kind] * other[kind]).sum() for kind in one)


def test_grad_and_jvp_are_autograds(case):
    loss, alpha, direction = case
    _, expected = gradients(loss, alpha)
    torch.testing.assert_close(grad(loss)(alpha), expected)
    value, slope = jvp(loss, (alpha,), (direction,))
    torch.testing.assert_close(value, loss(alpha))
    torch.testing.assert_close(slope, inner(expected, direction))


def test_a_second_derivative_is_autograds(case):
    loss, alpha, direction = case
    leaves, slope = gradients(loss, alpha, create_graph=True)
    expected = torch.autograd.grad(inner(slope, direction), leaves.values())
    _, found = jvp(grad(loss), (alpha,), (direction,))
    torch.testing.assert_close(found, dict(zip(leaves, expected, strict=True)))


def test_vmap_over_architectures_is_one_after_the_other(case):
    loss, alpha, direction = case
    several = [alpha, direction, {kind: -tensor for kind, tensor in alpha.items()}]
    stacked = {kind: torch.stack([each[kind] for each in several]) for kind in alpha}
    expected = torch.stack([loss(each) for each in several])
    with torch.no_grad():
        torch.testing.assert_close(vmap(loss)(stacked), expected)
    torch.testing.assert_close(vmap(loss)(stacked), expected)
