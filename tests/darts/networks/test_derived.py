"""Networks of genotypes: shapes, auxiliary head, drop-path, refusals. Sizes: test_counting.py."""

import pytest
import torch
from torch import nn

from darts.networks import DerivedNetwork
from darts.networks.cells import dropped
from darts.networks.stem_and_head import IMAGENET
from darts.spaces import Genotype
from darts.spaces.published import DARTS_V1, DARTS_V2, PUBLISHED


def genotype_of(operation: str) -> Genotype:
    edges = [[operation, source] for source in (0, 1, 1, 2, 2, 3, 3, 4)]
    cells = {"normal": edges, "reduce": edges}
    return Genotype.from_dict(cells | {f"{kind}_concat": [2, 3, 4, 5] for kind in cells})


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (7, 7), (8, 8), (28, 28)])
def test_derived_network_takes_images_of_any_size(size):
    network = DerivedNetwork(DARTS_V2, channels=2, cells=3, in_channels=1)
    assert network(torch.randn(3, 1, *size)).shape == (3, 10)


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_published_genotype_builds_and_runs(name):
    network = DerivedNetwork(PUBLISHED[name].genotype, channels=2, cells=3)
    logits = network(torch.randn(2, 3, 8, 8))
    assert logits.shape == (2, 10)
    assert torch.isfinite(logits).all()


def test_auxiliary_logits_come_in_training_mode_only():
    network = DerivedNetwork(DARTS_V2, channels=2, cells=3, auxiliary=True)
    images = torch.randn(2, 3, 32, 32)
    logits, auxiliary = network(images)
    assert logits.shape == auxiliary.shape == (2, 10)
    assert network.eval()(images).shape == (2, 10)


def test_auxiliary_head_hangs_after_two_thirds_of_the_cells():
    network = DerivedNetwork(DARTS_V2, channels=2, cells=6, auxiliary=True)
    head_inputs, outputs = [], []
    network.auxiliary_head.register_forward_hook(lambda *call: head_inputs.append(call[1][0]))
    for cell in network.cells:
        cell.register_forward_hook(lambda *call: outputs.append(call[2].raw))
    network(torch.randn(2, 3, 32, 32))
    assert torch.equal(head_inputs[0], outputs[4])
    assert head_inputs[0].shape[-2:] == (8, 8)


def test_auxiliary_head_refuses_images_too_small_for_it():
    network = DerivedNetwork(DARTS_V2, channels=2, cells=3, auxiliary=True)
    with pytest.raises(ValueError, match=r"2×2 pixels and needs 8×8.*Leave it out"):
        network(torch.randn(2, 3, 8, 8))


def test_imagenet_network_starts_its_cells_at_a_quarter_and_an_eighth():
    network = DerivedNetwork(
        DARTS_V2, channels=4, cells=3, classes=7, auxiliary=True, stem=IMAGENET
    )
    shapes = []
    network.cells[0].register_forward_hook(
        lambda *call: shapes.extend(x.raw.shape[-1] for x in call[1][0])
    )
    logits, auxiliary = network(torch.randn(2, 3, 224, 224))
    assert shapes == [56, 28]
    assert logits.shape == auxiliary.shape == (2, 7)


def test_cells_reduce_at_a_third_and_two_thirds():
    network = DerivedNetwork(DARTS_V1, channels=2, cells=6)
    sizes = []
    for cell in network.cells:
        cell.register_forward_hook(lambda *call: sizes.append(tuple(call[2].raw.shape[1:3])))
    network(torch.randn(2, 3, 16, 16))
    assert sizes == [(8, 16), (8, 16), (16, 8), (16, 8), (32, 4), (32, 4)]


def test_drop_path_drops_whole_samples_and_keeps_the_mean():
    x = torch.ones(4000, 2, 3, 3)
    kept = dropped(x, 0.25)
    per_sample = kept.flatten(1)
    assert ((per_sample == 0).all(1) | (per_sample == 1 / 0.75).all(1)).all()
    # a mean of 4000 draws of variance 1/3: three standard deviations are 0.027
    assert abs(kept.mean() - 1) < 0.027


def test_drop_path_acts_on_edges_with_operations_in_training_mode_only():
    images = torch.randn(8, 3, 8, 8)
    network = DerivedNetwork(genotype_of("sep_conv_3x3"), channels=2, cells=1)
    assert not torch.equal(network(images, 0.5), network(images, 0.0))
    network.eval()
    assert torch.equal(network(images, 0.5), network(images, 0.0))


def test_drop_path_never_drops_an_identity():
    images = torch.randn(8, 3, 8, 8)
    network = DerivedNetwork(genotype_of("skip_connect"), channels=2, cells=4)
    normal_only = DerivedNetwork(genotype_of("skip_connect"), channels=2, cells=4)
    normal_only.load_state_dict(network.state_dict())
    # reduction cells have factorised reductions, which may be dropped: leave them out
    normal_only.cells, normal_only.classifier = normal_only.cells[:1], nn.Flatten()
    assert torch.equal(normal_only(images, 0.9), normal_only(images, 0.0))
    assert not torch.equal(network(images, 0.9), network(images, 0.0))


def test_drop_path_follows_the_seed():
    network = DerivedNetwork(DARTS_V2, channels=2, cells=3)
    images = torch.randn(8, 3, 8, 8)
    torch.manual_seed(1)
    first = network(images, 0.5)
    torch.manual_seed(1)
    assert torch.equal(first, network(images, 0.5))
    torch.manual_seed(2)
    assert not torch.equal(first, network(images, 0.5))


@pytest.mark.parametrize("probability", [1.0, -0.1, float("nan")])
def test_drop_path_must_be_a_probability_below_one(probability):
    with pytest.raises(ValueError, match=r"drop_path=.*\[0, 1\)"):
        DerivedNetwork(DARTS_V2, channels=2, cells=1)(torch.zeros(2, 3, 8, 8), probability)


def test_images_with_other_channels_are_refused():
    with pytest.raises(ValueError, match=r"in_channels=3\) got .* \(2, 1, 8, 8\)"):
        DerivedNetwork(DARTS_V2, channels=2, cells=1)(torch.zeros(2, 1, 8, 8))


def test_node_adds_its_two_edges():
    """A cell of identities only: node 2 = s0 + s1, node 3 = s1 + node 2, and so on."""
    network = DerivedNetwork(genotype_of("skip_connect"), channels=2, cells=4)
    cell = network.cells[0]
    seen = []
    for process in cell.preprocess:
        process.register_forward_hook(lambda *call: seen.append(call[2]))
    cell.register_forward_hook(lambda *call: seen.append(call[2].raw))
    network(torch.randn(2, 3, 8, 8))
    s0, s1, output = seen
    n2 = s0 + s1
    n3 = s1 + n2
    n4 = n2 + n3
    torch.testing.assert_close(output, torch.cat([n2, n3, n4, n3 + n4], dim=1))
