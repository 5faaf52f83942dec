"""Counts are the published ones, to every digit given."""

import pytest
import torch
from torch import nn

from darts.networks import Architecture, DerivedNetwork, Supernet
from darts.networks.counting import count_multiply_adds, count_parameters
from darts.networks.frames import IMAGENET
from darts.spaces import S1
from darts.spaces.published import DARTS_V2, PUBLISHED

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
            frame=IMAGENET,
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
    mixing = architecture.mixing(architecture.initial(0, device="meta"))
    derived = DerivedNetwork(DARTS_V2, channels=4, cells=3)
    counted = count_multiply_adds(supernet, (3, 8, 8), mixing)
    assert counted > 3 * count_multiply_adds(derived, (3, 8, 8))
