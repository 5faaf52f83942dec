"""How a run computes is part of its config, and cells computed again change no step."""

import pytest
import torch

from bilevel import CentralDifference
from bilevel.estimators import Amended, FirstOrder
from darts.config.as_json import differences, to_json
from darts.config.compute import PLAIN, Computing
from darts.config.full import full_config
from darts.names import TYPES
from darts.parallel.launch import Devices
from darts.training.search import search
from darts.training.searching import Searching
from tests.darts.training import tiny


def searched(estimator, device: str, recompute: bool) -> Searching:
    config = tiny.search_config(estimator, drop_path=0.3, dropout=0.2)
    data = config.halves(tiny.images()).to(device)
    devices = Devices(device, computing=Computing(checkpoint_activations=recompute))
    searching = Searching(config, data, devices)
    assert searching.supernet.recompute is recompute
    for epoch in range(2):
        for step in range(tiny.STEPS):
            searching.step(epoch, step)
    return searching


@pytest.mark.parametrize(
    "estimator",
    [FirstOrder(), Amended(eta=0.1, derivatives=CentralDifference())],
    ids=lambda estimator: type(estimator).__name__,
)
def test_activations_computed_again_take_the_same_steps(estimator, device):
    again, kept = (searched(estimator, device, recompute) for recompute in (True, False))
    for own, other in ((again.alpha, kept.alpha), (again.omega, kept.omega)):
        for name, value in own.items():
            torch.testing.assert_close(value, other[name], rtol=1e-5, atol=1e-6, msg=name)


def test_a_config_comes_back_with_how_it_computes():
    config = tiny.full_config(computing=Computing("bf16", 2, checkpoint_activations=True))
    assert full_config(to_json(config), TYPES) == config
    assert differences(to_json(config), to_json(tiny.full_config()))


def test_a_state_of_another_precision_is_refused(tmp_path):
    config = tiny.search_config(epochs=1)
    data = config.halves(tiny.images())
    run = tiny.new_run(tmp_path / "run")
    search(config, data, run)
    other = Devices(computing=Computing("bf16"))
    with pytest.raises(ValueError, match=r"computing\.precision: 32 ≠ bf16"):
        search(config, data, run, devices=other)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"precision": "64"}, "precision"),
        ({"processes": 0}, "1 or more"),
        ({"processes": 3}, "10 images on 3 processes"),
        ({"processes": 2, "compiled": True}, "cannot take into its graph"),
        ({"processes": 10**9}, "1,000,000 or less"),
    ],
)
def test_a_config_that_cannot_be_computed_is_refused(change, message):
    content = to_json(tiny.full_config())
    content["computing"] = {**to_json(PLAIN), **change}
    with pytest.raises(ValueError, match=message):
        full_config(content, TYPES)
