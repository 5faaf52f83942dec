"""SDARTS: δ stays in its ball and in the simplex, rises against the loss, touches L_train only."""

import pytest
import torch

from darts.methods import AdversarialPerturbation, RandomPerturbation
from darts.methods.perturbation import perturbed
from darts.networks import Architecture, Supernet, SupernetAdapter
from darts.spaces import NASBENCH201

WEIGHTS = {"cell": torch.softmax(torch.randn(6, 5, dtype=torch.float64), -1)}
SLOPE = torch.linspace(-1, 1, 30, dtype=torch.float64).view(6, 5)


def loss(weights):
    return (SLOPE * weights["cell"]).sum()


def offsets(kind, radius, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return kind.offsets(WEIGHTS, loss, radius, generator)["cell"]


@pytest.mark.parametrize("kind", [RandomPerturbation(), AdversarialPerturbation()], ids=str)
def test_offsets_stay_in_the_ball_and_depend_on_the_seed(kind):
    delta = offsets(kind, 0.2)
    assert delta.abs().max() <= 0.2
    assert delta.abs().max() > 0.15
    assert torch.equal(delta, offsets(kind, 0.2))
    assert not torch.equal(delta, offsets(RandomPerturbation(), 0.2, seed=1))
    assert not offsets(kind, 0.0).any()


def test_perturbed_weights_are_weights():
    moved = perturbed(WEIGHTS, {"cell": offsets(RandomPerturbation(), 0.9)})["cell"]
    assert (moved >= 0).all()
    torch.testing.assert_close(moved.sum(-1), torch.ones(6, dtype=torch.float64))
    one_hot = {"cell": torch.eye(5, dtype=torch.float64)}
    assert torch.equal(
        perturbed(one_hot, {"cell": -torch.ones(5, 5).double()})["cell"], torch.eye(5)
    )


def test_the_adversary_does_worse_than_chance_and_reaches_the_best_corner_of_a_linear_loss():
    drawn = [
        loss(perturbed(WEIGHTS, {"cell": offsets(RandomPerturbation(), 0.01, s)}))
        for s in range(20)
    ]
    found = loss(perturbed(WEIGHTS, {"cell": offsets(AdversarialPerturbation(), 0.01)}))
    assert found > max(drawn)


def test_the_radius_grows_from_3_to_30_percent():
    kind = RandomPerturbation()
    assert [kind.radius(progress) for progress in (0.0, 0.5, 1.0)] == pytest.approx(
        [0.03, 0.165, 0.3]
    )


@pytest.mark.parametrize("settings", [{"start": 0.4}, {"end": 1.0}, {"start": -0.1}])
def test_a_radius_out_of_range_is_refused(settings):
    with pytest.raises(ValueError, match=r"Give 0 ≤ start ≤ end < 1"):
        RandomPerturbation(**settings)
    with pytest.raises(ValueError, match="needs a step or more"):
        AdversarialPerturbation(steps=0)


def batch(seed):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(4, 3, 8, 8, generator=generator, dtype=torch.float64)
    return images, torch.tensor([0, 1, 2, 1])


@pytest.mark.parametrize("kind", [RandomPerturbation(), AdversarialPerturbation()], ids=str)
def test_only_the_inner_loss_is_perturbed_and_by_one_offset_a_step(kind):
    supernet = Supernet(NASBENCH201, channels=2, cells=3, classes=3).double()
    architecture = Architecture(NASBENCH201)
    alpha = architecture.initial(0, dtype=torch.float64)
    omega = {name: value.detach() for name, value in supernet.named_parameters()}
    plain = SupernetAdapter(supernet, architecture, 0.0).problem(batch(0), batch(1), 3)
    adapter = SupernetAdapter(supernet, architecture, 0.0, kind)

    def problem(seed):
        return adapter.problem(batch(0), batch(1), seed, alpha=alpha, progress=0.5)

    assert problem(3).outer(omega, alpha) == plain.outer(omega, alpha)
    first = problem(3)
    value = first.inner(omega, alpha)
    assert value == first.inner(omega, alpha) == problem(3).inner(omega, alpha)
    assert value not in (plain.inner(omega, alpha), problem(4).inner(omega, alpha))
    if kind == AdversarialPerturbation():
        assert value > plain.inner(omega, alpha)
    with pytest.raises(ValueError, match="pass alpha"):
        adapter.problem(batch(0), batch(1), 3)
