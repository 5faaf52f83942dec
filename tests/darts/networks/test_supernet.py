"""The supernet has the original's size and values, first and second derivatives included."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from darts.networks import Architecture, Supernet
from darts.networks.counting import count_parameters
from darts.spaces import NASBENCH201, S1, S1_FIXED, SPACES, s2, s2_adjacent
from tests.reference_supernet import (
    BenchSupernet,
    ReferenceSupernet,
    copy_weights,
    paired_parameters,
)

SMALLER = {"s2": s2(3), "s2-adjacent": s2_adjacent(3)}
ALL = [SMALLER.get(name, space) for name, space in SPACES.items()]
EVERY = pytest.mark.parametrize("space", ALL, ids=lambda space: space.name)
"""Every space with networks of three cells."""


def reference_of(space, activation):
    """The plain supernet of a space: three cells, four channels, three classes."""
    if space == NASBENCH201:
        return BenchSupernet(channels=4, each=1, classes=3, activation=activation).double()
    return ReferenceSupernet(
        space.edges,
        {kind: space.choices(kind) for kind in space.cell_kinds},
        kinds=space.cell_kinds if len(space.cell_kinds) == 3 else None,
        channels=4,
        cells=3,
        classes=3,
        activation=activation,
    ).double()


def compact(space, mixing):
    """Each edge's weights of the operations that it has, in their order."""
    if space.edge_operations is None:
        return mixing
    return {
        kind: [
            row[[space.operations.index(name) for name in names]]
            for row, names in zip(mixing[kind], space.choices(kind), strict=True)
        ]
        for kind in mixing
    }


def alpha_of(space, scale: float = 0.5) -> dict[str, Tensor]:
    """Far from uniform, so that a weight on the wrong operation shows; α needs gradients."""
    alpha = Architecture(space).initial(1, scale=scale, dtype=torch.float64)
    return {kind: tensor.requires_grad_() for kind, tensor in alpha.items()}


def batch(size: tuple[int, int], channels: int = 3) -> tuple[Tensor, Tensor]:
    return torch.randn(4, channels, *size, dtype=torch.float64), torch.tensor([0, 1, 2, 1])


def test_every_space_is_held_to_the_reference():
    assert {space.name.partition(":")[0] for space in ALL} == set(SPACES)


def test_s1_supernet_has_the_parameters_of_the_original():
    assert count_parameters(Supernet(S1, channels=16, cells=8)) == 1_930_618
    assert count_parameters(ReferenceSupernet(S1.edges, S1.operations)) == 1_930_618


@EVERY
@pytest.mark.parametrize("size", [(8, 8), (7, 5)], ids=["even", "odd"])
@pytest.mark.parametrize("activation", [torch.relu, torch.tanh], ids=["relu", "tanh"])
def test_supernet_agrees_with_the_plain_reference_up_to_second_order(space, size, activation):
    agree_with_the_reference(space, size, activation)


def agree_with_the_reference(space, size, activation):
    """Loss, ∇ω, ∇α, Hv, Bv and vᵀ∂(∇ωL)/∂α in float64, for three cells of every kind.

    Rounding alone separates the two: ε times the number of terms, a few thousand, and the
    growth through the norms; 1e-9 leaves room for that and for nothing else.
    """
    alpha = alpha_of(space)
    images, labels = batch(size)
    supernet = Supernet(space, channels=4, cells=3, classes=3, activation=activation).double()
    reference = reference_of(space, activation)
    copy_weights(supernet, reference)
    pairs = paired_parameters(reference, supernet)
    directions = [torch.randn_like(p) for p, _ in pairs]

    def derivatives(net, parameters):
        points = [*parameters, *alpha.values()]
        mixing = Architecture(space).mixing_weights(alpha)
        torch.manual_seed(5)  # noise
        logits = net(images, compact(space, mixing) if net is reference else mixing)
        loss = F.cross_entropy(logits, labels)
        gradient = torch.autograd.grad(loss, points, create_graph=True)
        slope = sum((g * v).sum() for g, v in zip(gradient, directions, strict=False))
        return loss, gradient, torch.autograd.grad(slope, points)

    expected = derivatives(reference, [p for p, _ in pairs])
    found = derivatives(supernet, [p for _, p in pairs])
    torch.testing.assert_close(found[0], expected[0], rtol=1e-12, atol=0)
    for order in (1, 2):
        weights = slice(0, len(pairs))
        for part in (weights, slice(len(pairs), None)):
            a = torch.cat([tensor.flatten() for tensor in found[order][part]])
            b = torch.cat([tensor.flatten() for tensor in expected[order][part]])
            assert b.norm() > 1e-3
            assert (a - b).norm() <= 1e-9 * b.norm()


@EVERY
def test_hessian_product_of_a_smooth_supernet_is_the_difference_of_gradients(space):
    """With tanh, halving the step of a central difference divides its error by four.

    Max pooling keeps kinks, so the steps stay small enough not to cross one.
    """
    alpha = {kind: tensor.detach() for kind, tensor in alpha_of(space).items()}
    images, labels = batch((6, 6))
    supernet = Supernet(space, channels=2, cells=3, classes=3, activation=torch.tanh).double()
    mixing = Architecture(space).mixing_weights(alpha)
    names = [name for name, _ in supernet.named_parameters()]
    omega = [p.detach().clone() for p in supernet.parameters()]
    direction = [torch.randn_like(p) for p in omega]

    def gradient(point, create_graph=False):
        point = [p.detach().requires_grad_() for p in point]
        bound = dict(zip(names, point, strict=True))
        torch.manual_seed(5)  # noise
        logits = torch.func.functional_call(supernet, bound, (images, mixing))
        loss = F.cross_entropy(logits, labels)
        return point, torch.autograd.grad(loss, point, create_graph=create_graph)

    def flat(tensors):
        return torch.cat([tensor.flatten() for tensor in tensors])

    point, slope = gradient(omega, create_graph=True)
    exact = flat(torch.autograd.grad(slope, point, direction))

    def error(step):
        ahead = flat(gradient([p + step * v for p, v in zip(omega, direction, strict=True)])[1])
        behind = flat(gradient([p - step * v for p, v in zip(omega, direction, strict=True)])[1])
        return ((ahead - behind) / (2 * step) - exact).norm() / exact.norm()

    coarse, fine = error(2e-6), error(1e-6)
    assert fine < 1e-4
    assert 3.5 < coarse / fine < 4.5


def test_evaluation_mode_normalises_by_the_running_statistics():
    supernet = Supernet(S1_FIXED, channels=2, cells=1, classes=3).eval()
    images = torch.randn(4, 3, 8, 8)
    mixing = Architecture(S1_FIXED).mixing_weights(Architecture(S1_FIXED).initial(0))
    together = supernet(images, mixing)
    apart = torch.cat([supernet(image[None], mixing) for image in images])
    torch.testing.assert_close(together, apart)


@pytest.mark.parametrize(
    "space", [s for s in ALL if "noise" not in s.operations], ids=lambda space: space.name
)
@pytest.mark.parametrize("mode", [True, False], ids=["training", "evaluation"])
def test_forward_writes_neither_buffers_nor_random_state(space, mode):
    supernet = Supernet(space, channels=2, cells=3, classes=3).train(mode)
    before = {name: tensor.clone() for name, tensor in supernet.state_dict().items()}
    state = torch.get_rng_state()
    supernet(torch.randn(4, 3, 8, 8, generator=torch.Generator()), mixing_of(space))
    assert torch.equal(state, torch.get_rng_state())
    for name, tensor in supernet.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def mixing_of(space):
    architecture = Architecture(space)
    return architecture.mixing_weights(architecture.initial(0))


@EVERY
def test_one_seed_gives_the_same_bits(space):
    def gradient():
        torch.manual_seed(3)
        supernet = Supernet(space, channels=4, cells=3)
        logits = supernet(torch.randn(4, 3, 8, 8), mixing_of(space))
        loss = F.cross_entropy(logits, torch.arange(4))
        return torch.autograd.grad(loss, list(supernet.parameters()))

    for a, b in zip(gradient(), gradient(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (3, 5), (7, 7), (8, 9)])
def test_supernet_takes_images_of_any_size(size):
    supernet = Supernet(S1, channels=2, cells=3, in_channels=1)
    assert supernet(torch.randn(3, 1, *size), mixing_of(S1)).shape == (3, 10)


def test_none_takes_part_only_through_its_weight():
    """Without none's share, the same output scaled: mixing (none .5, o .5) is half of (o 1)."""
    supernet = Supernet(S1, channels=2, cells=1, classes=3).double().eval()
    images, _ = batch((8, 8))
    seen = []
    supernet.cells[0].register_forward_hook(lambda *call: seen.append(call[2].raw))
    for share in (0.0, 0.5):
        row = torch.tensor([share, *[(1 - share) / 7] * 7], dtype=torch.float64)
        supernet(images, dict.fromkeys(S1.cell_kinds, row.repeat(14, 1)))
    first_node = slice(0, 4)  # reduction doubled the 2 channels; later nodes compound
    torch.testing.assert_close(seen[1][:, first_node], 0.5 * seen[0][:, first_node])


@pytest.mark.parametrize(
    ("images", "mixing", "message"),
    [
        (torch.zeros(2, 1, 8, 8), mixing_of(S1), r"in_channels=3\) got .* \(2, 1, 8, 8\)"),
        (torch.zeros(2, 3, 8, 8), mixing_of(S1_FIXED), r"\(14, 8\) .* found .*\(8, 7\)"),
        (
            torch.zeros(2, 3, 8, 8),
            {"normal": mixing_of(S1)["normal"]},
            r"for each of \('normal', 'reduce'\); found \{'normal': \(14, 8\)\}",
        ),
    ],
    ids=["channels", "other space", "one kind"],
)
def test_inputs_that_do_not_fit_are_refused(images, mixing, message):
    with pytest.raises(ValueError, match=message):
        Supernet(S1, channels=2, cells=1)(images, mixing)


def test_an_image_without_a_batch_is_refused():
    # by the network, or by the shape in its signature where those are checked
    with pytest.raises((ValueError, TypeError), match=r"8, ?3, ?8"):
        Supernet(S1, channels=2, cells=1)(torch.zeros(8, 3, 8), mixing_of(S1))


@pytest.mark.parametrize("size", ["channels", "cells", "classes", "in_channels", "stem_multiplier"])
def test_sizes_below_one_are_refused(size):
    with pytest.raises(ValueError, match=rf"{size}=0: {size} must be at least 1"):
        Supernet(S1, **{size: 0})


@pytest.mark.parametrize("space", [S1, NASBENCH201], ids=lambda space: space.name)
def test_the_layout_changes_rounding_alone(space):
    """Loss and gradient in float64, odd sides, where PyTorch's own operations see the layout."""
    images, labels = batch((7, 5))
    supernet = Supernet(space, channels=4, cells=3, classes=3, activation=torch.tanh).double()
    mixing = Architecture(space).mixing_weights(alpha_of(space))
    found = []
    for layout in (torch.channels_last, torch.contiguous_format):
        supernet.layout = layout
        loss = F.cross_entropy(supernet(images, mixing), labels)
        slope = torch.autograd.grad(loss, list(supernet.parameters()), retain_graph=True)
        found.append(torch.cat([loss.reshape(1), *(part.flatten() for part in slope)]))
    assert (found[0] - found[1]).norm() <= 1e-9 * found[0].norm()
