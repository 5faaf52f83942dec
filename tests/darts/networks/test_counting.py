"""Counts are the published ones, to every digit given."""

import copy
from math import prod

import pytest
import torch
from torch import nn

from bilevel import Vector
from darts.data import Batch
from darts.networks import Architecture, DerivedNetwork, Supernet
from darts.networks.adapter import SupernetAdapter
from darts.networks.counting import count_multiply_adds, count_parameters, multiply_adds_of
from darts.networks.stem_and_head import IMAGENET
from darts.spaces import S1
from darts.spaces.published import DARTS_V2, PUBLISHED
from tests.darts.training.tiny import TWO_EDGES

SIZED = [name for name, entry in PUBLISHED.items() if entry.cifar is not None]


def test_eight_published_genotypes_have_known_sizes():
    assert len(SIZED) == 8


def test_darts_v2_has_the_parameters_of_the_original():
    network = DerivedNetwork(DARTS_V2, channels=36, cells=20, auxiliary=True)
    assert count_parameters(network) == 3_349_342
    assert count_parameters(network, auxiliary=True) == 3_825_768


@pytest.mark.parametrize("name", SIZED)
def test_counts_on_cifar_are_the_published_ones(name):
    genotype, size = PUBLISHED[name].genotype, PUBLISHED[name].cifar
    with torch.device("meta"):
        network = DerivedNetwork(genotype, channels=36, cells=20, auxiliary=True)
        hundred = DerivedNetwork(genotype, channels=36, cells=20, classes=100)
    assert count_parameters(network) == round(size.params_millions * 1e6)
    with_auxiliary = count_parameters(network, auxiliary=True)
    assert with_auxiliary == round(size.params_with_auxiliary_millions * 1e6)
    assert count_parameters(hundred) == round(size.params_100_classes_millions * 1e6)
    millions = count_multiply_adds(network, (3, 32, 32)) / 1e6
    assert round(millions, 3) == size.multiply_adds_millions


@pytest.mark.parametrize("name", SIZED)
def test_counts_on_imagenet_are_the_published_ones(name):
    size = PUBLISHED[name].imagenet
    with torch.device("meta"):
        network = DerivedNetwork(
            PUBLISHED[name].genotype,
            channels=48,
            cells=14,
            classes=1000,
            auxiliary=True,
            stem=IMAGENET,
        )
    assert count_parameters(network) == round(size.params_millions * 1e6)
    with_auxiliary = count_parameters(network, auxiliary=True)
    assert with_auxiliary == round(size.params_with_auxiliary_millions * 1e6)
    millions = count_multiply_adds(network, (3, 224, 224)) / 1e6
    assert round(millions, 3) == size.multiply_adds_millions


def test_multiply_adds_by_hand():
    """A strided, grouped convolution: 8 · 3·3 outputs of 5·5·2 products; then 72 · 4."""
    network = nn.Sequential(
        nn.Conv2d(4, 8, 5, stride=2, padding=2, groups=2), nn.Flatten(), nn.Linear(72, 4)
    )
    assert count_multiply_adds(network, (4, 5, 5)) == 8 * 9 * 25 * 2 + 72 * 4


def test_counting_leaves_the_network_as_it_was():
    network = DerivedNetwork(DARTS_V2, channels=2, cells=3, auxiliary=True)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    count_multiply_adds(network, (3, 32, 32))
    assert network.training
    assert next(network.parameters()).device.type == "cpu"
    for module in network.modules():
        assert not module._forward_hooks
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_multiply_adds_of_a_supernet():
    """All operations of all edges count once: more than any one network of the space."""
    architecture = Architecture(S1)
    with torch.device("meta"):
        supernet = Supernet(S1, channels=4, cells=3)
    mixing = architecture.mixing_weights(architecture.initial(0, device="meta"))
    derived = DerivedNetwork(DARTS_V2, channels=4, cells=3)
    counted = count_multiply_adds(supernet, (3, 8, 8), mixing)
    assert counted > 3 * count_multiply_adds(derived, (3, 8, 8))


def hooked(module: nn.Module, shape: tuple[int, int, int], *inputs: object) -> int:
    """Multiply-adds of one image by hooks on layers: another way to the same number."""
    shadow = copy.deepcopy(module).to("meta").eval()
    total = 0

    def add(layer: nn.Module, _: object, output: torch.Tensor) -> None:
        nonlocal total
        if isinstance(layer, nn.Conv2d):
            total += output[0].numel() * prod(layer.weight.shape[1:])
        elif isinstance(layer, nn.Linear):
            total += output[0].numel() * layer.in_features

    for layer in shadow.modules():
        layer.register_forward_hook(add)
    with torch.no_grad():
        shadow(torch.zeros(1, *shape, device="meta"), *inputs)
    return total


@pytest.mark.parametrize("groups", [1, 3, 6])
def test_both_gradients_of_a_convolution_count_as_much_as_itself(groups):
    """b·h·w·c_out·(c_in/groups)·k² for each of the three."""
    layer = nn.Conv2d(6, 12, 3, padding=1, groups=groups, bias=False)
    x = torch.randn(2, 6, 8, 8, requires_grad=True)
    once = 2 * 8 * 8 * 12 * (6 // groups) * 9
    assert multiply_adds_of(lambda: layer(x)) == once
    assert multiply_adds_of(lambda: layer(x).sum().backward()) == 3 * once
    assert multiply_adds_of(lambda: layer(x.detach()).sum().backward()) == 2 * once


def test_a_step_of_a_supernet_counts_three_forwards_less_what_the_images_would_take():
    """Forwards alone are counted by hooks."""
    torch.manual_seed(0)
    architecture = Architecture(TWO_EDGES)
    alpha = architecture.initial(0)
    supernet = Supernet(TWO_EDGES, channels=2, cells=2)
    batch = Batch(torch.randn(3, 3, 32, 32), torch.tensor([0, 1, 2]))
    mixing = {
        kind: weights.to("meta") for kind, weights in architecture.mixing_weights(alpha).items()
    }
    forward = hooked(supernet, (3, 32, 32), mixing)
    assert count_multiply_adds(supernet, (3, 32, 32), mixing) == forward
    adapter = SupernetAdapter(supernet, architecture, weight_decay=3e-4)
    problem = adapter.problem(batch, batch, seed=0)
    counted = multiply_adds_of(
        lambda: problem.inner_gradient(Vector.of(adapter.omega).detach(), Vector.of(alpha))
    )
    stem = supernet.stem[0].weight.numel() * 32 * 32
    assert counted == 3 * (3 * forward - stem)
