"""An operation of one's own with an output of another size is refused before a run begins."""

from unittest.mock import patch

import pytest
import torch
from torch import nn

from darts import cli
from darts.networks import DerivedNetwork
from darts.spaces import Genotype, Space, operations, register_operation, register_space, registry
from darts.spaces.operations import Operation

EDGES = tuple((source, target) for target in (2, 3) for source in range(target))


class Context(Operation):
    """The mean over pixels, left to broadcast."""

    def forward(self, x):
        return x.raw.mean((2, 3), keepdim=True)


class Forgetful(Operation):
    """Of stride one whatever is asked for."""

    def forward(self, x):
        return x.raw


class Wider(Operation):
    """Twice the channels."""

    def forward(self, x):
        return torch.cat([x.raw, x.raw], 1)


class Broken(Operation):
    def forward(self, x):
        raise RuntimeError("no such thing")


class Sound(Operation):
    """A linear map of channels, as its stride says."""

    def __init__(self, channels, stride):
        super().__init__()
        self.map = nn.Conv2d(channels, channels, 1, stride=stride)

    def forward(self, x):
        return self.map(x.raw)


MADE = {
    "test_context": lambda channels, stride, recipe: Context(),
    "test_forgetful": lambda channels, stride, recipe: Forgetful(),
    "test_wider": lambda channels, stride, recipe: Wider(),
    "test_broken": lambda channels, stride, recipe: Broken(),
    "test_sound": lambda channels, stride, recipe: Sound(channels, stride),
}


@pytest.fixture(autouse=True)
def registered():
    """For one test only: other tests go through all operations and spaces that there are."""
    with (
        patch.dict(operations._TABLE),
        patch.dict(registry._SPACES),
        patch.object(operations, "_REGISTERED", set()),
        patch.object(operations, "_TRIED", set()),
    ):
        for name, make in MADE.items():
            register_operation(name, make)
            register_space(Space(name, ("none", "skip_connect", name), 2, EDGES, keep_edges=2))
        yield


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("test_context", "at stride 1, on a map of (2, 2, 8, 8), gives one of (2, 2, 1, 1)"),
        ("test_forgetful", "at stride 2, on a map of (2, 2, 8, 8), gives one of (2, 2, 8, 8)"),
        ("test_wider", "gives one of (2, 4, 8, 8), and a node adds maps of (2, 2, 8, 8)"),
        ("test_broken", "RuntimeError: no such thing"),
    ],
)
def test_a_search_refuses_it_by_name_and_writes_nothing(name, said, tmp_path, capsys):
    command = ["search", "--preset", "digits-check", "--space", name, "--estimator", "first-order"]
    assert cli.main([*command, "--run-dir", str(tmp_path / "run")]) == 2
    error = capsys.readouterr().err
    assert f"operation {name!r}" in error
    assert said in error
    assert not (tmp_path / "run").exists()


def test_a_network_of_a_genotype_refuses_it_too():
    edges = [["test_forgetful", 0], ["skip_connect", 1]]
    cells = {"normal": edges, "normal_concat": [2], "reduce": edges, "reduce_concat": [2]}
    with pytest.raises(ValueError, match="operation 'test_forgetful' at stride 2"):
        DerivedNetwork(Genotype.from_dict(cells), channels=4, cells=3)


def test_a_sound_one_is_tried_without_a_trace(tmp_path, capsys):
    torch.manual_seed(3)
    state = torch.get_rng_state()
    edges = [["test_sound", 0], ["skip_connect", 1]]
    cells = {"normal": edges, "normal_concat": [2], "reduce": edges, "reduce_concat": [2]}
    with torch.device("meta"):  # the trial computes all the same
        DerivedNetwork(Genotype.from_dict(cells), channels=6, cells=3)
    assert torch.equal(torch.get_rng_state(), state)
