"""Half precision is for the step of weights alone, and its overflows cost no step."""

import pytest
import torch
from torch.nn import functional as F

from bilevel import Autograd, BilevelProblem, CentralDifference, NonFiniteError, Vector
from bilevel.estimators import Amended
from bilevel.solver import outer_step
from darts.config.compute import Computing
from darts.data import RetrainData
from darts.parallel.launch import Devices
from darts.spaces import SPACES
from darts.spaces.published import PUBLISHED
from darts.training.mixed_precision import MixedPrecision
from darts.training.retraining import Training
from darts.training.searching import Searching
from tests.darts.training.killing import GENOTYPE
from tests.darts.training.tiny import images, retrain_config, search_config

f32 = torch.float32


def searching_in(precision: str, device: str, **changes: object) -> Searching:
    config = search_config(**changes)
    data = config.halves(images())
    return Searching(config, data.to(device), Devices(device, computing=Computing(precision)))


def convolved_types(monkeypatch) -> list[torch.dtype]:
    """The types in which convolutions come out from now on."""
    seen, conv2d = [], F.conv2d

    def spied(*arguments, **how):
        output = conv2d(*arguments, **how)
        seen.append(output.dtype)
        return output

    monkeypatch.setattr(F, "conv2d", spied)
    return seen


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@pytest.mark.parametrize("derivatives", [Autograd(), CentralDifference()], ids=repr)
def test_only_the_step_of_omega_is_in_half_precision(precision, derivatives, device, monkeypatch):
    searching = searching_in(precision, device, estimator=Amended(eta=0.1, derivatives=derivatives))
    half = {"bf16": torch.bfloat16, "fp16": torch.float16}[precision]
    wide, narrow = searching_in("32", device).problem(0, 0), searching.problem(0, 0)
    for loss in ("inner", "outer"):  # what estimators see is float32, bit for bit
        values = [
            getattr(problem, loss)(searching.omega, searching.alpha) for problem in (wide, narrow)
        ]
        assert values[0].dtype == f32
        assert torch.equal(*values)
    exact = searching_in("32", device, estimator=Amended(eta=0.1, derivatives=derivatives))
    expected = exact.step(0, 0)
    seen = convolved_types(monkeypatch)

    def watched(*arguments, **how):
        hypergradient = outer_step(*arguments, **how)
        assert set(seen) <= {f32}
        for term in (hypergradient.direct, hypergradient.implicit):
            assert {leaf.dtype for leaf in term.values()} == {f32}
        return hypergradient

    monkeypatch.setattr("darts.training.searching.outer_step", watched)
    record = searching.step(0, 0)
    assert half in set(seen)
    assert {p.dtype for p in searching.omega.values()} == {f32}
    for kind, found in searching.alpha.items():
        assert torch.equal(found, exact.alpha[kind])
    assert record["implicit_norm"] == expected["implicit_norm"]
    assert record["train_loss"] == pytest.approx(expected["train_loss"], rel=0.02)
    assert record["train_loss"] != expected["train_loss"]


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_a_retraining_is_in_half_precision_and_evaluated_in_float32(precision, device, monkeypatch):
    config = retrain_config(drop_path=0.0)
    trainings = [
        Training(
            config,
            GENOTYPE,
            RetrainData.of(images()).to(device),
            Devices(device, computing=Computing(kind)),
        )
        for kind in ("32", precision)
    ]
    exact, training = trainings
    expected = exact.step(0, 0)
    seen = convolved_types(monkeypatch)
    found = training.step(0, 0)
    assert {"bf16": torch.bfloat16, "fp16": torch.float16}[precision] in seen
    assert found[0] == pytest.approx(expected[0], rel=0.02)
    assert found[0] != expected[0]
    seen.clear()
    assert training.test().images == exact.test().images
    assert set(seen) == {f32}
    assert {p.dtype for p in training.network.parameters()} == {f32}


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@pytest.mark.parametrize("space", ["s1", "robust-s4", "nasbench201"])
def test_every_operation_takes_a_step_in_half_precision(space, precision, recompute, device):
    macro = SPACES[space].macro_architecture
    cells = 15 if macro.bare else 3
    config = search_config(space=SPACES[space], cells=cells)
    data = config.halves(images()).to(device)
    computing = Computing(precision, checkpoint_activations=recompute)
    searching = Searching(config, data, Devices(device, computing=computing))
    wide = searching.problem(0, 0)
    loss, length = searching.precision.inner_step(
        wide, searching.omega, searching.alpha, inner=searching.inner, clip=5.0
    )
    exact = searching_in("32", device, space=SPACES[space], cells=cells)
    value, gradient = exact.problem(0, 0).inner_gradient(
        Vector.of(exact.omega), Vector.of(exact.alpha)
    )
    assert loss == pytest.approx(value, rel=0.05)
    assert length == pytest.approx(float(gradient.norm()), rel=0.2)


@pytest.mark.parametrize("genotype", ["DARTS_V2", "NASNet"])
def test_published_networks_are_retrained_in_bf16(genotype, device):
    config = retrain_config(channels=4, cells=3)
    data = RetrainData.of(images()).to(device)
    losses = [
        Training(
            config,
            PUBLISHED[genotype].genotype,
            data,
            Devices(device, computing=Computing(precision)),
        ).step(0, 0)[0]
        for precision in ("32", "bf16")
    ]
    assert losses[0] == pytest.approx(losses[1], rel=0.05)


class Quadratic:
    """L = scale/2 · ‖w − 1‖², whose gradient overflows float16 where `scale` is large."""

    def __init__(self, scale: float) -> None:
        self.weights = {"w": torch.zeros(4, requires_grad=True)}
        self.alpha = {"a": torch.zeros(1)}
        self.scale = scale
        self.inner = torch.optim.SGD(self.weights.values(), lr=1e-3)

    def problem(self):
        def loss(omega, alpha):
            narrow = omega["w"].to(torch.float16)  # the gradient comes back through float16
            return self.scale / 2 * (narrow.float() - 1).square().sum()

        return BilevelProblem(loss, loss)


def test_a_gradient_that_overflows_is_taken_again_at_half_the_scale():
    case, precision = Quadratic(8.0), MixedPrecision("fp16", "cpu")
    assert precision.scaler.get_scale() == 65536
    loss, length = precision.inner_step(
        case.problem(), case.weights, case.alpha, inner=case.inner, clip=100.0
    )
    assert precision.scaler.get_scale() == 4096  # 8 · 4096 < 65504, the largest float16
    assert (loss, length) == (16.0, 16.0)
    torch.testing.assert_close(case.weights["w"].detach(), torch.full((4,), 0.008))


def test_a_gradient_that_overflows_at_any_scale_ends_the_run():
    case, precision = Quadratic(1e6), MixedPrecision("fp16", "cpu")
    with pytest.raises(NonFiniteError, match="the gradient has norm"):
        precision.inner_step(case.problem(), case.weights, case.alpha, inner=case.inner, clip=100.0)
    assert torch.equal(case.weights["w"].detach(), torch.zeros(4))


def test_the_scale_is_in_the_checkpoint():
    searching = searching_in("fp16", "cpu")
    searching.precision.scaler.load_state_dict(
        {**searching.precision.scaler.state_dict(), "scale": 128.0, "_growth_tracker": 7}
    )
    other = searching_in("fp16", "cpu")
    other.restore(searching.state())
    assert other.precision.state() == searching.precision.state()
    assert other.precision.state()["scale"] == 128.0
    assert searching_in("32", "cpu").state()["precision"] == {}
