"""What processes draw for their shards of a batch is, together, what one draws for all of it."""

import pytest
import torch

from darts.methods.mixing_weights import MixingWeights
from darts.networks import Architecture, DerivedNetwork, Supernet
from darts.networks.cells import dropped
from darts.spaces import SPACES
from darts.spaces.feature_map import FeatureMap
from darts.spaces.joint_draws import WHOLE, Shard, share_draws
from darts.spaces.operations import (
    Noise,
)
from darts.spaces.published import PUBLISHED

SHARDS = [Shard(index, 3) for index in range(3)]


def under_one_seed(draw, x):
    """draw(rows of x, shard) for the whole and for each shard, and the random state after it."""
    found = []
    for shard in (WHOLE, *SHARDS):
        torch.manual_seed(5)
        found.append((draw(shard.rows(x), shard), torch.get_rng_state()))
    return found


def noise(x, shard):
    operation = Noise(stride=2)
    operation.shard = shard
    return operation(FeatureMap(x, torch.relu))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(
    "draw",
    [
        lambda x, shard: dropped(x, 0.4, shard),
        lambda x, shard: shard.dropout(x, 0.4),
        lambda x, shard: shard.dropout(x.mean(dim=(2, 3)), 0.4),
        noise,
    ],
    ids=["drop-path", "dropout", "dropout of features", "noise"],
)
def test_the_parts_are_the_whole_and_leave_the_same_random_state(draw, layout):
    x = torch.ones(9, 4, 6, 6).contiguous(memory_format=layout)
    (whole, state), *shards = under_one_seed(draw, x)
    assert torch.equal(torch.cat([values for values, _ in shards]), whole)
    assert all(torch.equal(after, state) for _, after in shards)
    assert len(whole.unique()) > 1


def test_nothing_is_drawn_in_evaluation():
    x = torch.ones(3, 2)
    state = torch.get_rng_state()
    assert torch.equal(SHARDS[0].dropout(x, 0.4, training=False), x)
    assert torch.equal(torch.get_rng_state(), state)


def test_every_mask_of_the_networks_is_shared():
    """Batch norm aside (its own tests), a network on shards answers as on the whole."""
    space = SPACES["robust-s4"]
    supernet = Supernet(space, channels=2, cells=3)
    mix = MixingWeights(
        Architecture(space).mixing_weights(Architecture(space).initial(0)),
        drop_path=0.3,
        skip_dropout=0.3,
        dropout=0.3,
    )
    derived = DerivedNetwork(PUBLISHED["DARTS_V2"].genotype, channels=4, cells=3)

    def answer(network, *arguments):
        network.train()
        for module in network.modules():
            if "BatchNorm" in type(module).__name__:
                module.eval()  # by running statistics, each row by itself

        def draw(x, shard):
            share_draws(network, shard)
            with torch.no_grad():
                return network(x, *arguments)

        return draw

    for draw in (answer(supernet, mix), answer(derived, 0.3)):
        x = torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(1))
        (whole, state), *shards = under_one_seed(draw, x)
        joined = torch.cat([values for values, _ in shards])
        assert (joined - whole).norm() <= 1e-5 * whole.norm()
        assert all(torch.equal(after, state) for _, after in shards)
