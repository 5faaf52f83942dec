"""Networks are pickled and copied whole, with the same answers: `torch.save`, `copy.deepcopy`."""

import copy
import io
import pickle

import pytest
import torch

from darts.methods.mixing_weights import MixingWeights
from darts.methods.partial_channels import PartialChannels
from darts.networks import Architecture, DerivedNetwork, Supernet
from darts.networks.blueprint import load_network
from darts.networks.stem_and_head import IMAGENET, SMALL_IMAGES
from darts.spaces import S1
from darts.spaces.published import DARTS_V2
from tests.darts.networks.test_supernet import EVERY


def through_torch(network):
    file = io.BytesIO()
    torch.save(network, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


def require_copies(network, *inputs):
    network.layout = torch.contiguous_format  # as on a GPU
    expected = network.eval()(*inputs)
    for copied in (pickle.loads(pickle.dumps(network)), copy.deepcopy(network)):
        assert torch.equal(copied(*inputs), expected)
    written = through_torch(network)
    assert torch.equal(written(*inputs), expected)
    assert written.layout == torch.contiguous_format


@EVERY
def test_a_supernet_of_every_space(space):
    require_supernet(space)


@pytest.mark.parametrize(
    "settings",
    [
        {"partial": PartialChannels(2)},
        {"auxiliary_skip": True, "auxiliary_head": True},
        {"stem": IMAGENET},
    ],
    ids=str,
)
def test_a_supernet_with_parts(settings):
    require_supernet(S1, **settings)


def require_supernet(space, **settings):
    weights = Architecture(space).mixing_weights(Architecture(space).initial(0))
    network = Supernet(space, channels=4, cells=3, classes=3, **settings)
    torch.manual_seed(0)
    images, mixing = torch.randn(2, 3, 16, 16), MixingWeights(weights)
    state = torch.get_rng_state()
    network.eval().register_forward_pre_hook(Rewound(state))  # a space has noise
    require_copies(network, images, mixing)


class Rewound:
    """A hook that sets the random state."""

    def __init__(self, state):
        self.state = state

    def __call__(self, *call):
        torch.set_rng_state(self.state)


@pytest.mark.parametrize("stem", [SMALL_IMAGES, IMAGENET])
def test_a_derived_network(stem):
    network = DerivedNetwork(DARTS_V2, channels=4, cells=3, auxiliary=True, stem=stem)
    require_copies(network, torch.randn(2, 3, 32, 32))


def test_a_network_that_was_loaded(run):
    network = load_network(run.path / "retrain")
    require_copies(network, torch.randn(2, network.in_channels, 8, 8))
