"""Supernets on the device against the plain reference on the CPU, in two dtypes."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from bilevel import Autograd, Vector
from bilevel.derivatives import ReverseOverForward
from darts.methods import AdversarialPerturbation
from darts.networks import Architecture, Supernet
from darts.networks.adapter import Regularisation, SupernetAdapter
from darts.spaces import NASBENCH201
from darts.spaces.average_pool import AveragePool
from tests.darts.training.tiny import TWO_EDGES
from tests.reference_supernet import BenchSupernet, ReferenceSupernet, copy_weights

DILATED = replace(
    TWO_EDGES,
    name="dilated",
    operations=("none", "dil_conv_3x3", "dil_conv_5x5", "avg_pool_3x3"),
)
SPACES = {"two edges": TWO_EDGES, "nasbench201": NASBENCH201, "dilated": DILATED}


def supernet_of(space, dtype, device) -> Supernet:
    torch.manual_seed(0)
    made = Supernet(space, channels=4, cells=3, classes=3, activation=torch.tanh)
    made = made.to(dtype).to(device)
    return made.to(memory_format=torch.channels_last) if device != "cpu" else made


def reference_of(space):
    if space == NASBENCH201:
        made = BenchSupernet(channels=4, each=1, classes=3, activation=torch.tanh)
    else:
        made = ReferenceSupernet(
            space.edges, space.operations, channels=4, cells=3, classes=3, activation=torch.tanh
        )
    return made.double()


def batch(dtype, device):
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(4, 3, 8, 8, generator=generator, dtype=torch.float64)
    return images.to(device, dtype), torch.tensor([0, 1, 2, 1], device=device)


def alpha_of(space, dtype, device):
    alpha = Architecture(space).initial(1, scale=0.5, dtype=torch.float64)
    return {kind: part.to(device, dtype).requires_grad_() for kind, part in alpha.items()}


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
def test_loss_and_gradients_are_those_of_the_reference(card, space, dtype):
    """1e-9 in float64, as on the CPU; in float32 half of its digits, for norms multiply rounding.

    Nothing here has a kink but the maximum, whose ties rounding does not make.
    """
    ours = supernet_of(space, dtype, card)
    theirs = reference_of(space)
    copy_weights(supernet_of(space, torch.float64, "cpu"), theirs)
    images, labels = batch(torch.float64, "cpu")
    alpha = alpha_of(space, torch.float64, "cpu")
    mixing = Architecture(space).mixing_weights(alpha)
    given = mixing if space != NASBENCH201 else {"cell": mixing["cell"]}
    truth = F.cross_entropy(theirs(images, given), labels)
    slopes = torch.autograd.grad(truth, list(alpha.values()))
    loss = truth.item()
    there = alpha_of(space, dtype, card)
    adapter = SupernetAdapter(ours, Architecture(space), 0.0)
    problem = adapter.problem(batch(dtype, card), batch(dtype, card), None)
    value, found = problem.outer_gradient_alpha(Vector.of(adapter.omega), Vector.of(there))
    allowed = 1e-9 if dtype == torch.float64 else 3.5e-4
    assert abs(value - loss) <= allowed * abs(loss)
    expected = Vector.of(dict(zip(alpha, slopes, strict=True))).flat()
    assert (found.flat().cpu().double() - expected).norm() <= allowed * expected.norm()


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_both_ways_of_second_derivatives_agree_on_the_device(card, space):
    adapter = SupernetAdapter(
        supernet_of(space, torch.float64, card), Architecture(space), weight_decay=1e-3
    )
    alpha = Vector.of(alpha_of(space, torch.float64, card))
    data = batch(torch.float64, card)
    problem = adapter.problem(data, data, None)
    omega = Vector.of(adapter.omega)
    for one, other in zip(
        *(
            (curvature.hessian @ omega.detach(), curvature.mixed @ omega.detach())
            for curvature in (
                way(problem, omega, alpha) for way in (ReverseOverForward(), Autograd())
            )
        ),
        strict=True,
    ):
        assert (one - other).norm() <= 1e-9 * other.norm()


def test_masks_are_replayed_on_the_device_and_its_state_is_left_alone(card):
    adapter = SupernetAdapter(
        supernet_of(TWO_EDGES, torch.float32, card), Architecture(TWO_EDGES), weight_decay=1e-3
    )
    alpha, data = alpha_of(TWO_EDGES, torch.float32, card), batch(torch.float32, card)
    regularisation = Regularisation(drop_path=0.5, skip_dropout=0.5, dropout=0.5)
    before = torch.cuda.get_rng_state() if card != "cpu" else torch.get_rng_state()
    first, second, other = (
        adapter.problem(data, data, seed, regularisation=regularisation)
        .inner(adapter.omega, alpha)
        .item()
        for seed in (3, 3, 4)
    )
    after = torch.cuda.get_rng_state() if card != "cpu" else torch.get_rng_state()
    assert first == pytest.approx(second, rel=1e-6)
    assert abs(first - other) > 1e-3
    assert torch.equal(before, after)


def test_an_adversary_climbs_at_the_masks_of_the_step(card):
    """With other masks at each of its steps it would end elsewhere each time."""
    perturbation = AdversarialPerturbation(0.03, 0.3, steps=2)
    adapter = SupernetAdapter(
        supernet_of(TWO_EDGES, torch.float64, card),
        Architecture(TWO_EDGES),
        weight_decay=1e-3,
        perturbation=perturbation,
    )
    alpha, data = alpha_of(TWO_EDGES, torch.float64, card), batch(torch.float64, card)
    regularisation = Regularisation(drop_path=0.5, dropout=0.5)
    if card != "cpu":
        torch.cuda.manual_seed(17)  # another state of the device at each call
    first = adapter._offsets(data, 5, alpha, 0.5, regularisation)
    second = adapter._offsets(data, 5, alpha, 0.5, regularisation)
    assert first is not None
    assert all(torch.allclose(first[kind], second[kind], atol=1e-9) for kind in first)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_average_pools_have_the_gradients_of_the_cpu(card, stride, layout):
    x = torch.arange(2 * 3 * 5 * 4, dtype=torch.float64).reshape(2, 3, 5, 4).sin()

    def slope(device):
        there = x.to(device).contiguous(memory_format=layout).requires_grad_()
        AveragePool(3, stride)(there).square().sum().backward()
        return there.grad.cpu()

    assert torch.allclose(slope(card), slope("cpu"), rtol=0, atol=1e-13)
