"""Retraining is a function of its config, resumes to the same bits, and tests at the end."""

import pytest
import torch
from safetensors.torch import load_file

from darts.config.as_json import to_json
from darts.config.compute import PLAIN
from darts.data import Digits, RetrainData
from darts.networks import DerivedNetwork
from darts.records.run_folder import RunFolder
from darts.spaces import CellGenotype, Genotype
from darts.training.checkpoint import StageCheckpoints
from darts.training.evaluation import NonFiniteLossError
from darts.training.retrain import retrain
from tests.darts.training.tiny import (
    EPOCHS,
    Follower,
    KilledError,
    images,
    new_run,
    retrain_config,
    timeless,
)

GENOTYPE = Genotype(
    tuple(
        CellGenotype(kind, (("sep_conv_3x3", 0), ("skip_connect", 1)), (2,))
        for kind in ("normal", "reduce")
    )
)
STEPS = 3
"""60 images in batches of 20."""


def data() -> RetrainData:
    return RetrainData.of(images())


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    run = new_run(tmp_path_factory.mktemp("retrain") / "run")
    return run, retrain(retrain_config(), GENOTYPE, data(), run)


def weights(run: RunFolder) -> dict[str, torch.Tensor]:
    return load_file(run.path / "retrain" / "network.safetensors")


def assert_same_weights(first: RunFolder, second: RunFolder) -> None:
    one, other = weights(first), weights(second)
    assert one.keys() == other.keys()
    assert [name for name in one if not torch.equal(one[name], other[name])] == []


def test_the_test_images_are_looked_at_once_and_that_is_the_result(uninterrupted):
    run, result = uninterrupted
    epochs = run.records("retrain/epochs")
    assert ["test_loss" in record for record in epochs] == [False] * (EPOCHS - 1) + [True]
    assert result.test.accuracy_percent == epochs[-1]["test_accuracy_percent"]
    assert result.test.images == len(images().test)


def test_a_network_built_from_the_saved_weights_has_the_reported_accuracy(uninterrupted):
    run, result = uninterrupted
    config = retrain_config()
    network = DerivedNetwork(GENOTYPE, channels=config.channels, cells=config.cells, in_channels=1)
    network.load_state_dict(weights(run))
    network.eval()
    test = data().test
    with torch.no_grad():
        answers = network(data().normalisation(test.images)).argmax(1)
    share = 100 * float((answers == test.labels).double().mean())
    assert share == pytest.approx(result.test.accuracy_percent)
    assert sum(p.numel() for p in network.parameters()) == result.params_millions * 1e6


def test_drop_path_grows_linearly_from_zero(uninterrupted):
    run, _ = uninterrupted
    grown = [record["drop_path"] for record in run.records("retrain/epochs")]
    assert grown == pytest.approx([0.0, 0.1, 0.2])


def test_the_optimiser_has_the_configs_momentum_and_weight_decay(uninterrupted):
    run, _ = uninterrupted
    origin = {
        **to_json(retrain_config()),
        "genotype": GENOTYPE.to_json(),
        "computing": to_json(PLAIN),
    }
    groups = StageCheckpoints(run, "retrain", origin).latest().state["optimizer"]["param_groups"]
    assert [(group["momentum"], group["weight_decay"]) for group in groups] == [(0.9, 3e-4)]


@pytest.mark.parametrize("die_at", [(0, 1), (1, 0), (1, 2), (2, 1)])
def test_killed_after_any_step_and_resumed_it_ends_at_the_same_bits(
    uninterrupted, tmp_path, die_at
):
    """Drop-path and augmentation included, whatever the global random state is."""
    run, result = uninterrupted
    killed = new_run(tmp_path / "killed", Follower(die_at=("retrain", *die_at)))
    with pytest.raises(KilledError):
        retrain(retrain_config(), GENOTYPE, data(), killed)
    torch.rand(5)
    resumed = RunFolder.open(killed.path)
    assert retrain(retrain_config(), GENOTYPE, data(), resumed).test == result.test
    assert_same_weights(run, resumed)
    stream = "retrain/epochs"
    assert timeless(run.records(stream)) == timeless(resumed.records(stream))


def test_a_checkpoint_of_another_genotype_is_refused(uninterrupted):
    run, _ = uninterrupted
    other = Genotype(
        tuple(
            CellGenotype(kind, (("skip_connect", 0), ("skip_connect", 1)), (2,))
            for kind in ("normal", "reduce")
        )
    )
    with pytest.raises(ValueError, match=r"from another config .*genotype"):
        retrain(retrain_config(), other, data(), run)


def test_a_loss_that_is_not_finite_stops_the_training_and_keeps_the_last_good_state(
    tmp_path, monkeypatch
):
    config = retrain_config()
    forward = DerivedNetwork.forward
    calls = []

    def poisoned(self, *args, **kwargs):
        output = forward(self, *args, **kwargs)
        calls.extend([None] * self.training)
        return output * float("inf") if len(calls) == STEPS + 2 else output

    monkeypatch.setattr(DerivedNetwork, "forward", poisoned)
    run = new_run(tmp_path / "run")
    with pytest.raises(NonFiniteLossError, match=r"epoch 1, step 1: the loss is (nan|inf)"):
        retrain(config, GENOTYPE, data(), run)
    assert len(run.records("retrain/epochs")) == 1
    names = sorted(path.name for path in (run.path / "retrain" / "checkpoints").iterdir())
    assert names == [f"epoch-000001-step-00000{step}.checkpoint" for step in (0, 1)]


def test_looking_at_the_test_images_more_often_changes_nothing_else(uninterrupted, tmp_path):
    run, result = uninterrupted
    often = new_run(tmp_path / "often")
    found = retrain(retrain_config(test_every=1), GENOTYPE, data(), often)
    assert found.test == result.test
    assert_same_weights(run, often)
    assert all("test_loss" in record for record in often.records("retrain/epochs"))


def test_a_network_of_digits_learns(tmp_path):
    """300 images, 8 epochs: far above the 10 % of chance."""
    config = retrain_config(epochs=8, channels=4, cells=1, cutout=0, drop_path=0.0, padding=0)
    training = RetrainData.of(Digits(train_size=300).load())
    result = retrain(config, GENOTYPE, training, new_run(tmp_path / "run"))
    assert result.test.accuracy_percent > 50
