"""Methods that change the search cell: partial channels, edge weights, auxiliary skips, drops."""

import pytest
import torch
from torch.nn import functional as F

from darts.methods.auxiliary_skip import AuxiliarySkip
from darts.methods.mixing_weights import MixingWeights
from darts.methods.partial_channels import PartialChannels, edge_shares, shuffled
from darts.networks import Architecture, Supernet
from darts.networks.cells import CellMixingWeights, SearchCell
from darts.networks.counting import count_parameters
from darts.spaces import S1, Space
from darts.spaces.feature_map import FeatureMap
from darts.spaces.operations import (
    Identity,
    search_recipe,
)

OPERATIONS = ("none", "skip_connect", "sep_conv_3x3", "avg_pool_3x3")
ONE_NODE = Space("one-node", OPERATIONS, nodes=1, edges=((0, 2), (1, 2)), keep_edges=2)


def cell_of(kind, **options):
    recipe = search_recipe(torch.tanh)
    plain = [Identity(), Identity()]
    cell = SearchCell(ONE_NODE, kind, plain, 8, kind == "reduce", recipe, **options)
    return cell.double()


def inputs():
    return [FeatureMap(torch.randn(3, 8, 6, 6, dtype=torch.float64), torch.tanh) for _ in range(2)]


def by_hand(cell, row, state, weights):
    """Σ_o w_o · o(x) on one edge, from the cell's own operations."""
    total = 0
    for name, weight in zip(OPERATIONS, weights, strict=True):
        if name == "none":
            continue
        operation = cell.edges[row][name] if name in cell.edges[row] else cell.shared[row][name]
        total = total + weight * operation(state)
    return total


@pytest.mark.parametrize("kind", ["normal", "reduce"])
def test_partial_channels_mix_a_quarter_and_pass_the_rest_by(kind):
    """Eq. 1 and 2 of PC-DARTS on a node of two edges, written out."""
    cell = cell_of(kind, partial=PartialChannels(share=4))
    states = inputs()
    weights = torch.rand(2, 4, dtype=torch.float64)
    beta = torch.tensor([0.3, 0.7], dtype=torch.float64)
    mix = MixingWeights({kind: weights}, edges={kind: beta})
    found = cell(states, CellMixingWeights.of(mix, kind)).raw
    expected = 0
    for row, state in enumerate(states):
        seen = FeatureMap(state.raw[:, :2], torch.tanh)
        rest = state.raw[:, 2:]
        if kind == "reduce":
            rest = F.max_pool2d(rest, 2)
        mixed = torch.cat([by_hand(cell, row, seen, weights[row]), rest], 1)
        n, _, h, w = mixed.shape
        dealt = mixed.view(n, 4, 2, h, w).transpose(1, 2).reshape(n, 8, h, w)
        expected = expected + beta[row] * dealt
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_partial_channels_shrink_the_operations():
    whole = count_parameters(cell_of("normal"))
    part = count_parameters(cell_of("normal", partial=PartialChannels(share=4)))
    assert whole == 2 * 2 * (8 * 9 + 64)
    assert part == 2 * 2 * (2 * 9 + 4)


def test_shuffling_deals_channels_out():
    x = torch.arange(8.0).view(1, 8, 1, 1)
    assert shuffled(x, 4).flatten().tolist() == [0, 2, 4, 6, 1, 3, 5, 7]


def test_edge_shares_add_up_to_one_at_every_node():
    shares = edge_shares(S1, torch.randn(14, dtype=torch.float64))
    for target in S1.targets:
        assert float(shares[list(S1.incoming(target))].sum()) == pytest.approx(1)
    beta = torch.zeros(14, dtype=torch.float64)
    beta[1] = torch.log(torch.tensor(3.0))
    assert edge_shares(S1, beta)[:3].tolist() == pytest.approx([1 / 4, 3 / 4, 1 / 3])


def test_edge_normalisation_decides_which_edges_are_kept():
    """Equal α everywhere; β alone ranks the edges into a node (§3.3)."""
    architecture = Architecture(S1, edge_normalisation=True)
    alpha = {name: torch.zeros(shape) for name, shape in architecture.shapes.items()}
    rows = S1.incoming(5)
    alpha["normal edges"][rows[3]] = 2.0
    alpha["normal edges"][rows[1]] = 1.0
    inputs = architecture.genotype(alpha)["normal"].inputs(3)
    assert [source for _, source in inputs] == [3, 1]
    torch.testing.assert_close(
        architecture.mixing_weights(alpha)["normal"].sum(), torch.tensor(4.0)
    )


@pytest.mark.parametrize("channels", [2, 4, 12])
def test_channels_that_cannot_be_divided_are_refused(channels):
    with pytest.raises(ValueError, match=rf"1/4 asked for cells of {channels} .* multiple of 8"):
        PartialChannels().require(channels)
    with pytest.raises(ValueError, match="1/4 asked for cells of"):
        Supernet(S1, channels=channels, cells=4, partial=PartialChannels())


@pytest.mark.parametrize("kind", ["normal", "reduce"])
def test_an_auxiliary_skip_adds_its_weight_times_the_skip_of_every_edge(kind):
    cell = cell_of(kind, auxiliary_skip=True)
    states = inputs()
    weights = torch.rand(2, 4, dtype=torch.float64)
    plain = cell(states, CellMixingWeights.of(MixingWeights({kind: weights}), kind)).raw
    beside = cell(
        states, CellMixingWeights.of(MixingWeights({kind: weights}, auxiliary_skip=0.5), kind)
    ).raw
    skips = sum(cell.auxiliary[str(row)](state) for row, state in enumerate(states))
    torch.testing.assert_close(beside - plain, 0.5 * skips, rtol=1e-10, atol=1e-12)
    if kind == "normal":
        torch.testing.assert_close(skips, states[0].raw + states[1].raw)


def test_the_auxiliary_skip_fades_from_one_to_zero():
    skip = AuxiliarySkip()
    assert [skip.weight(progress) for progress in (0.0, 0.25, 0.5, 1.0)] == [1.0, 0.75, 0.5, 0.0]
    with pytest.raises(ValueError, match="start ≥ end ≥ 0"):
        AuxiliarySkip(start=0.5, end=1.0)


def test_a_supernet_without_auxiliary_skips_refuses_their_weight():
    space = ONE_NODE
    mix = MixingWeights(
        Architecture(space).mixing_weights(Architecture(space).initial(0)), auxiliary_skip=0.3
    )
    with pytest.raises(ValueError, match=r"auxiliary_skip=0.3, but this supernet has no skips"):
        Supernet(space, channels=2, cells=1)(torch.randn(2, 3, 4, 4), mix)


STATE = FeatureMap(
    1 + torch.rand(4000, 8, 2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)),
    torch.tanh,
)


def node_with(**drops):
    """A normal cell whose weights are one on skip-connect of the first edge alone, or else."""
    weights = torch.zeros(2, 4, dtype=torch.float64)
    weights[0, drops.pop("operation")] = 1.0
    cell = cell_of("normal")
    mix = MixingWeights({"normal": weights}, **drops)
    return cell, lambda: cell([STATE, STATE], CellMixingWeights.of(mix, "normal")).raw


def test_drop_path_drops_whole_images_and_keeps_the_mean():
    cell, output = node_with(operation=2, drop_path=0.25)
    whole = cell.edges[0]["sep_conv_3x3"](STATE)
    ratio = output() / whole
    first = ratio[:, 0, 0, 0]
    torch.testing.assert_close(ratio, first[:, None, None, None].expand_as(ratio))
    assert set(first.round(decimals=6).tolist()) == {0.0, round(1 / 0.75, 6)}
    assert abs(float((first == 0).double().mean()) - 0.25) < 4 * (0.25 * 0.75 / 4000) ** 0.5


def test_drop_path_spares_identities_and_skip_dropout_hits_them_value_by_value():
    _, spared = node_with(operation=1, drop_path=0.9)
    assert torch.equal(spared(), STATE.raw)
    _, output = node_with(operation=1, skip_dropout=0.25)
    dropped = output() / STATE.raw
    assert set(dropped.round(decimals=6).unique().tolist()) == {0.0, round(1 / 0.75, 6)}
    assert abs(float((dropped == 0).double().mean()) - 0.25) < 4 * (0.1875 / 128_000) ** 0.5


def test_nothing_is_dropped_in_evaluation_mode():
    cell, output = node_with(operation=1, skip_dropout=0.9, drop_path=0.9)
    cell.eval()
    assert torch.equal(output(), STATE.raw)


def test_a_supernet_with_an_auxiliary_head_gives_both_logits_in_training_only():
    supernet = Supernet(ONE_NODE, channels=2, cells=3, auxiliary_head=True)
    mixing = Architecture(ONE_NODE).mixing_weights(Architecture(ONE_NODE).initial(0))
    before = {name: value.clone() for name, value in supernet.state_dict().items()}
    logits, auxiliary = supernet(torch.randn(2, 3, 32, 32), mixing)
    assert logits.shape == auxiliary.shape == (2, 10)
    assert all(torch.equal(value, before[name]) for name, value in supernet.state_dict().items())
    assert supernet.eval()(torch.randn(2, 3, 32, 32), mixing).shape == (2, 10)
