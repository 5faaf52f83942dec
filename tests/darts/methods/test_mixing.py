"""Mixing: expected, relaxed and sampled weights, each with its defining property."""

import pytest
import torch

from darts.methods import GumbelSoftmax, SampledPath, Softmax, TwoPaths
from darts.networks import Architecture, Supernet, SupernetAdapter
from darts.spaces import NASBENCH201, ROBUST_S1, S1

ALL = [Softmax(), GumbelSoftmax(), SampledPath(), TwoPaths()]
EACH = pytest.mark.parametrize("mixing", ALL, ids=lambda mixing: type(mixing).__name__)
LOGITS = torch.tensor([[0.0, 1.0, 2.0], [0.5, 0.5, 0.5]], dtype=torch.float64)


@EACH
def test_weights_of_an_edge_add_up_to_one_and_hold_no_missing_operation(mixing):
    architecture = Architecture(ROBUST_S1, mixing)
    mix = architecture.draw(architecture.initial(0, dtype=torch.float64), 0.5)
    for kind in ROBUST_S1.cell_kinds:
        torch.testing.assert_close(
            mix.operations[kind].sum(-1), torch.ones(14, dtype=torch.float64)
        )
        for row, names in enumerate(ROBUST_S1.choices(kind)):
            for column, name in enumerate(ROBUST_S1.operations):
                assert name in names or mix.operations[kind][row, column] == 0
                assert name in names or mix.active is None or not mix.active[kind][row, column]


@pytest.mark.parametrize("mixing", [GumbelSoftmax(), SampledPath(), TwoPaths()], ids=str)
def test_operations_are_drawn_as_often_as_their_softmax_says(mixing):
    """The Gumbel-max identity, within four standard deviations of 4,000 draws.

    Of two paths the better one is chosen once more: p_i p_j (1/(1−p_i) + 1/(1−p_j)) draws the pair
    {i, j}, and p_i/(p_i + p_j) opens i.
    """
    wide = LOGITS[:1].repeat(4000, 1)
    chosen = mixing.draw(wide, 0.99).weights.argmax(-1)
    shares = torch.bincount(chosen, minlength=3) / 4000
    expected = p = torch.softmax(LOGITS[0], -1)
    if mixing == TwoPaths():
        others = [[j for j in range(3) if j != i] for i in range(3)]
        expected = torch.stack(
            [
                sum(
                    p[i] * p[j] * (1 / (1 - p[i]) + 1 / (1 - p[j])) * p[i] / (p[i] + p[j])
                    for j in js
                )
                for i, js in enumerate(others)
            ]
        )
        assert float(expected.sum()) == pytest.approx(1)
    assert ((shares - expected).abs() < 4 * (expected * (1 - expected) / 4000).sqrt()).all()


def test_gumbel_softmax_sharpens_along_the_search():
    def sharpness(progress):
        torch.manual_seed(0)
        return GumbelSoftmax().draw(torch.zeros(500, 4), progress).weights.max(-1).values.mean()

    values = [sharpness(progress) for progress in (0.0, 0.5, 0.99)]
    assert values == sorted(values)
    assert values[0] < 0.7
    assert values[-1] > 0.97


def test_a_sampled_path_is_one_hot_with_the_gradient_of_the_relaxed_weight():
    logits = LOGITS.clone().requires_grad_()
    torch.manual_seed(3)
    drawn = SampledPath(start=2.0, end=2.0).draw(logits, 0.0)
    assert torch.equal(drawn.weights.detach(), drawn.active.double())
    assert torch.equal(drawn.active.sum(-1), torch.tensor([1, 1]))
    found = torch.autograd.grad(drawn.weights[drawn.active].sum(), logits)[0]
    torch.manual_seed(3)
    noise = -torch.empty(2, 3, dtype=torch.float64).exponential_().log()
    relaxed = torch.softmax((logits + noise) / 2.0, -1)
    expected = torch.autograd.grad(relaxed[drawn.active].sum(), logits)[0]
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-15)
    assert found.abs().sum() > 0.1


def test_two_paths_have_the_gates_gradient_over_the_two_drawn():
    """∂L/∂α_i = Σ_j ∂L/∂g_j · p_j(δ_ij − p_i), p the softmax over the two (Eq. 4)."""
    logits = LOGITS.clone().requires_grad_()
    drawn = TwoPaths().draw(logits, 0.0)
    assert torch.equal(drawn.active.sum(-1), torch.tensor([2, 2]))
    opened = drawn.weights.detach()
    assert set(opened.flatten().tolist()) == {0.0, 1.0}
    assert torch.equal(opened.sum(-1), torch.ones(2, dtype=torch.float64))
    slope = torch.tensor([[0.3, -2.0, 1.0], [5.0, 0.1, -1.0]], dtype=torch.float64)
    found = torch.autograd.grad((slope * drawn.weights).sum(), logits)[0]
    for row in range(2):
        pair = drawn.active[row].nonzero().flatten().tolist()
        p = torch.softmax(LOGITS[row, pair], -1)
        expected = torch.zeros(3, dtype=torch.float64)
        for i, column in enumerate(pair):
            expected[column] = sum(
                slope[row, other] * p[j] * (float(i == j) - p[i]) for j, other in enumerate(pair)
            )
        torch.testing.assert_close(found[row], expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize(("mixing", "paths"), [(SampledPath(), 1), (TwoPaths(), 2)], ids=str)
@pytest.mark.parametrize("space", [S1, NASBENCH201], ids=lambda space: space.name)
def test_operations_that_are_not_drawn_are_not_computed(mixing, paths, space):
    """Weights of NaN in all of them leave no trace, not even through a weight of zero."""
    architecture = Architecture(space, mixing)
    supernet = Supernet(space, channels=2, cells=3, classes=3)
    mix = architecture.draw(architecture.initial(0), 0.0)
    images = torch.randn(2, 3, 8, 8)
    expected = supernet(images, mix)
    poisoned = 0
    for cell, kind in zip(supernet.cells, supernet.kinds, strict=True):
        assert (mix.active[kind].sum(-1) == paths).all()
        for row, edge in enumerate(cell.edges):
            for name, operation in edge.items():
                if not mix.active[kind][row, space.operations.index(name)]:
                    for parameter in operation.parameters():
                        parameter.data.fill_(float("nan"))
                        poisoned += 1
    assert poisoned > 0
    assert torch.equal(supernet(images, mix), expected)
    assert torch.isfinite(expected).all()


def adapter_of(mixing, weight_decay=0.1):
    supernet = Supernet(NASBENCH201, channels=2, cells=3, classes=3).double()
    return SupernetAdapter(supernet, Architecture(NASBENCH201, mixing), weight_decay)


def batch(seed):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(4, 3, 8, 8, generator=generator, dtype=torch.float64)
    return images, torch.tensor([0, 1, 2, 1])


@EACH
def test_every_evaluation_of_a_step_sees_one_sample_and_steps_see_others(mixing):
    adapter = adapter_of(mixing)
    alpha = adapter.architecture.initial(0, scale=0.1, dtype=torch.float64)
    omega = {name: value.detach() for name, value in adapter.omega.items()}

    def losses(seed):
        problem = adapter.problem(batch(0), batch(1), seed)
        return [float(problem.inner(omega, alpha)), float(problem.outer(omega, alpha))]

    state = torch.get_rng_state()
    first = losses(1)
    assert first == losses(1)
    assert torch.equal(state, torch.get_rng_state())
    assert (first == losses(2)) == (mixing == Softmax())


def test_sampled_paths_without_weight_decay_are_refused():
    with pytest.raises(ValueError, match=r"weight_decay=0 with SampledPath\(\): L_train would"):
        adapter_of(SampledPath(), 0.0)


@pytest.mark.parametrize("kind", [GumbelSoftmax, SampledPath])
@pytest.mark.parametrize(("start", "end"), [(1.0, 2.0), (1.0, 0.0), (-1.0, -2.0)])
def test_temperatures_are_positive_and_fall(kind, start, end):
    with pytest.raises(ValueError, match=r"Give 0 < end ≤ start"):
        kind(start=start, end=end)
