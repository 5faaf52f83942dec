"""A compiled network takes the steps of the same network as it is, but for its masks."""

import pytest
import torch
from torch.nn import functional as F

from bilevel.state import pack, unpack
from darts import cli
from darts.config.compute import Computing
from darts.data import RetrainData
from darts.networks.compilation import require_compiler
from darts.parallel.launch import Devices
from darts.training.retraining import Training
from tests.darts.training.killing import GENOTYPE
from tests.darts.training.tiny import images, retrain_config


def training(device: str, compiled: bool) -> Training:
    devices = Devices(device, computing=Computing(compiled=compiled))
    data = RetrainData.of(images()).to(device)
    return Training(retrain_config(epochs=30), GENOTYPE, data, devices)


def slope(network, batch, drop_path: float, seed: int = 3) -> tuple[float, float, float]:
    """The loss, the norm of its gradient, and its slope along that by differences; of one seed."""
    images, labels = batch
    weights = list(network.parameters())

    def loss() -> torch.Tensor:
        torch.manual_seed(seed)
        return F.cross_entropy(network(images, drop_path), labels)

    def ahead(step: float) -> float:
        with torch.no_grad():
            for weight, g in zip(weights, gradients, strict=True):
                weight.add_(step * g / norm)
        value = float(loss().detach())
        with torch.no_grad():
            for weight, g in zip(weights, gradients, strict=True):
                weight.sub_(step * g / norm)
        return value

    value = loss()
    gradients = torch.autograd.grad(value, weights)
    norm = float(torch.nn.utils.get_total_norm(gradients))
    return float(value.detach()), norm, (ahead(1e-3) - ahead(-1e-3)) / 2e-3


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # torch's own, of its compiler
def test_a_compiled_network_takes_the_same_steps_and_drops_paths_by_seed(device):
    torch.compiler.reset()
    plain, compiled, again = (training(device, kind) for kind in (False, True, True))
    for step in range(3):  # epoch 0, without drop-path
        compiled.restore(unpack(pack(plain.state())))
        expected, found = plain.step(0, step), compiled.step(0, step)
        assert found[1:] == expected[1:]
        assert found[0] == pytest.approx(expected[0], rel=1e-5)
        for name, value in plain.network.state_dict().items():
            torch.testing.assert_close(
                compiled.network.state_dict()[name], value, rtol=1e-4, atol=1e-5, msg=name
            )
    for epoch in (1, 9, 20, 29):
        again.restore(unpack(pack(compiled.state())))
        assert again.step(epoch, 0) == compiled.step(epoch, 0)
    batch = compiled.batches.at(0, 0)
    for network in (plain.network.train(), compiled.trained):
        for seed in range(3):  # the masks of the gradient are those of the loss
            _, norm, difference = slope(network, batch, 0.4, seed)
            print(seed, norm, difference)
            assert difference == pytest.approx(norm, rel=0.03)  # there are kinks
    losses = {slope(compiled.trained, batch, 0.4, seed)[0] for seed in (1, 2, 1)}
    assert len(losses) == 2
    graphs = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    print(f"{graphs} graphs")
    assert graphs <= 6  # two networks: without drop-path, with its first value, with any other


def test_without_a_compiler_the_run_is_refused_in_one_line(tmp_path, capsys, monkeypatch):
    def missing(*arguments: object, **how: object) -> None:
        raise RuntimeError("No working C++ compiler found\nin a long report")

    monkeypatch.setattr(torch, "compile", missing)
    with pytest.raises(ValueError, match=r"RuntimeError: No working C\+\+ compiler found\)"):
        require_compiler("cpu")
    path = tmp_path / "run"
    words = ["retrain", "--genotype", "DARTS_V2", "--device", "cpu", "--compile"]
    assert cli.main([*words, "--run-dir", str(path)]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert not path.exists()
