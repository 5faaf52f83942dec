"""Along the path of a GPU a step starts no more operations than it is held to, and is the same."""

from dataclasses import replace

import pytest
import torch

from benchmarks.card import supernets
from benchmarks.card.__main__ import TINY
from benchmarks.card.launches import (
    EXACT,
    FIRST,
    RECORD,
    WEIGHT,
    Count,
    counted,
    one_by_one,
    path_of_a_gpu,
    section,
    stepping_of,
)
from benchmarks.card.timing import Clock
from benchmarks.steps import Setting
from bilevel import Autograd, Vector
from bilevel.derivatives import ReverseOverForward
from darts.networks import Architecture, Supernet, adapter, weighted_sum
from darts.networks.adapter import Regularisation, SupernetAdapter
from darts.networks.joined_leaves import joined
from darts.networks.weighted_sum import StackedSum
from darts.spaces import NASBENCH201, S1
from proofs_checks.paragraphs import wrapped
from tests.darts.networks.test_supernet import agree_with_the_reference, batch
from tests.darts.training.tiny import TWO_EDGES

SMALL = replace(TWO_EDGES, name="s1 on two edges", operations=S1.operations)
"""One normal cell and two reduction cells of one node, with all operations of S1."""
SETTING = Setting(batch=2, space=SMALL, channels=4, cells=3, side=16)
MOST = {WEIGHT: 659, FIRST: 494, EXACT: 4575}
"""What one step of SETTING starts, counted. Lower a number when a change saves some."""


@pytest.mark.parametrize("step", MOST)
def test_a_step_starts_no_more_operations_than_it_did(step):
    assert counted(stepping_of(SETTING), step, stacked=True).groups["all"] <= MOST[step]


def test_views_and_allocations_are_not_counted_and_a_long_list_is_counted_by_its_kernels():
    x, many = torch.ones(6), [torch.ones(2) for _ in range(130)]
    with Count() as count:
        x.view(2, 3).t().unsqueeze(0)
        torch.empty_like(x)
        x + x
        torch.cat(many)
        torch._foreach_add(many, many)
    assert count.found == {"add": 1, "cat": 2, "_foreach_add": 3}


@pytest.mark.parametrize("size", [(8, 8), (7, 5)], ids=["even", "odd"])
@pytest.mark.parametrize("space", [SMALL, NASBENCH201], ids=lambda space: space.name)
def test_the_path_of_a_gpu_agrees_with_the_plain_reference_up_to_second_order(space, size):
    with path_of_a_gpu():
        agree_with_the_reference(space, size, torch.relu)


def curvature_products(way, dtype):
    """H v, B v and Bᵀ u of a search's L_train, with its weight decay."""
    torch.manual_seed(0)
    supernet = Supernet(SMALL, channels=4, cells=3, classes=3, activation=torch.tanh).to(dtype)
    supernet.to(memory_format=torch.channels_last)
    made = SupernetAdapter(supernet, Architecture(SMALL), weight_decay=1e-2)
    images, labels = batch((8, 8))
    data = images.to(dtype), labels
    alpha = Vector.of(Architecture(SMALL).initial(1, scale=0.5, dtype=dtype))
    omega = Vector.of(made.omega)
    curvature = way(made.problem(data, data, None), omega, alpha)
    v = omega.like(torch.linspace(-1, 1, omega.numel, dtype=dtype))
    u = alpha.like(torch.linspace(-1, 1, alpha.numel, dtype=dtype))
    found = curvature.hessian @ v, curvature.mixed @ v, curvature.mixed.T @ u
    return [product.detach().flat() for product in found]


@pytest.mark.parametrize("way", [Autograd(), ReverseOverForward()], ids=lambda way: str(way))
def test_products_along_the_path_of_a_gpu_are_those_of_the_cpu(way):
    """1e-9 in float64, as beside the reference. The CPU's are taken by Autograd."""
    expected = curvature_products(Autograd(), torch.float64)
    with path_of_a_gpu():
        found = curvature_products(way, torch.float64)
    for one, other in zip(found, expected, strict=True):
        assert (one - other).norm() <= 1e-9 * other.norm()


@pytest.mark.parametrize("recompute", [False, True])
def test_auxiliary_skips_masks_and_recomputed_cells_are_the_same_along_the_path(recompute):
    """An auxiliary skip has a number for its weight, and what is masked is no norm any more."""

    def gradient():
        torch.manual_seed(0)
        supernet = Supernet(SMALL, channels=4, cells=3, classes=3, auxiliary_skip=True).double()
        supernet.to(memory_format=torch.channels_last)
        supernet.recompute = recompute
        made = SupernetAdapter(supernet, Architecture(SMALL), weight_decay=1e-2)
        data = batch((8, 8))
        regularisation = Regularisation(auxiliary_skip=0.5, skip_dropout=0.3)
        problem = made.problem(data, data, 3, regularisation=regularisation)
        alpha = Vector.of(Architecture(SMALL).initial(1, scale=0.5, dtype=torch.float64))
        _, omegas, alphas = problem.inner_gradients(Vector.of(made.omega), alpha)
        return omegas.flat(), alphas.flat()

    expected = gradient()
    with path_of_a_gpu():
        found = gradient()
    for one, other in zip(found, expected, strict=True):
        assert (one - other).norm() <= 1e-9 * other.norm()


def test_in_the_path_of_a_gpu_every_node_is_a_sum_on_a_stack_and_on_the_cpu_none(monkeypatch):
    made = []
    monkeypatch.setattr(StackedSum, "__init__", _noting(made, StackedSum.__init__))
    joins = []
    monkeypatch.setattr(adapter, "joined", lambda omega: joins.append(1) or joined(omega))
    stepping = stepping_of(SETTING)
    stepping.weight_step("float32")()
    assert (made, joins) == ([], [])
    with path_of_a_gpu():
        stepping.weight_step("float32")()
    assert (len(made), len(joins)) == (SETTING.cells * SMALL.nodes, 1)


def _noting(into, begin):
    def init(self):
        into.append(self)
        begin(self)

    return init


def test_joined_leaves_keep_their_places_and_have_one_gradient_for_both_uses():
    torch.manual_seed(0)
    dense = torch.randn(4, 3, 2, 2, dtype=torch.float64).contiguous(
        memory_format=torch.channels_last
    )
    omega = {"dense": dense, "bias": torch.randn(5, dtype=torch.float64)}
    omega = {name: leaf.requires_grad_() for name, leaf in omega.items()}
    flat, views = joined(omega)
    for name, leaf in omega.items():
        assert torch.equal(views[name], leaf)
        assert views[name].stride() == leaf.stride()
    value = sum(view.pow(3).sum() for view in views.values()) + flat.square().sum()
    for leaf, slope in zip(
        omega.values(), torch.autograd.grad(value, list(omega.values())), strict=True
    ):
        assert torch.equal(slope, 3 * leaf.pow(2) + 2 * leaf)
        assert slope.stride() == leaf.stride()


def test_the_counts_of_the_record_are_in_the_page():
    assert RECORD.exists()
    text = wrapped("\n\n".join(section()))
    assert text in (RECORD.parents[1] / "CARD.md").read_text()


def test_both_forms_are_timed_in_turns_and_the_page_says_what_came_out(monkeypatch):
    made = []
    monkeypatch.setattr(weighted_sum, "StackedSum", lambda: made.append(1) or StackedSum())
    alone = []
    monkeypatch.setattr(supernets, "one_by_one", lambda: alone.append(len(made)) or one_by_one())
    with path_of_a_gpu():
        found = supernets.stacks(TINY["b64"], "cpu", Clock(60), 1)
    assert found["failed"] == {}
    assert list(found["ratios"]) == [
        f"one by one: {step} / on stacks: {step}"
        for step in (WEIGHT, "first-order search step", EXACT)
    ]
    assert made
    assert alone[0] > 0  # on stacks came first
    assert alone[1] == alone[0]  # and one by one makes none, warm or timed
    assert "time one by one over time on stacks: weight step, " in "\n".join(section(found))
