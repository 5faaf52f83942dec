"""Products at one point share the values of the network, and are those of products alone."""

from unittest import mock

import pytest
import torch

from bilevel import Vector
from bilevel.reverse_over_forward import ReverseOverForward
from darts.kernels import functions, kernels, sums
from darts.networks import Architecture, Supernet, SupernetAdapter
from darts.networks.adapter import Drops
from darts.spaces import NASBENCH201, S1
from darts.spaces.darts_space import s2

pytestmark = pytest.mark.skipif(kernels().library is None, reason=kernels().reason)
SPACES = [S1, s2(3), NASBENCH201]


def case(space=S1, dtype=torch.float64, recompute=False):
    """Curvature's problem, its point, a direction of ω and one of α."""
    torch.manual_seed(0)
    supernet = Supernet(space, channels=4, cells=3, classes=3).to(dtype)
    supernet.recompute = recompute
    adapter = SupernetAdapter(supernet, Architecture(space), 0.1)
    alpha = adapter.architecture.initial(1, scale=0.5, dtype=dtype)
    batches = [(torch.randn(5, 3, 8, 8, dtype=dtype), torch.randint(3, (5,))) for _ in range(2)]
    problem = adapter.problem(*batches, seed=7, drops=Drops(drop_path=0.3))
    omega, hyper = Vector.of(adapter.omega).detach(), Vector.of(alpha).detach()
    return problem, omega, hyper, direction(omega), direction(hyper)


def direction(like: Vector) -> Vector:
    return Vector(tuple(torch.randn_like(x) for x in like.leaves), like.treespec)


def products(curvature, v, u):
    return {
        "Hv": lambda: curvature.hessian @ v,
        "Bv": lambda: curvature.mixed @ v,
        "Bᵀu": lambda: curvature.mixed.T @ u,
    }


def alone(space, dtype, v, u, name):
    problem, omega, alpha, *_ = case(space, dtype)
    return products(ReverseOverForward(keep=True)(problem, omega, alpha), v, u)[name]()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
@pytest.mark.parametrize("order", [("Hv", "Bv", "Hv", "Bᵀu"), ("Bᵀu", "Bv", "Hv")], ids=str)
def test_a_product_is_bit_for_bit_that_of_a_curvature_used_once(space, dtype, order):
    problem, omega, alpha, v, u = case(space, dtype)
    shared = products(ReverseOverForward(keep=True)(problem, omega, alpha), v, u)
    for name in order:
        expected = alone(space, dtype, v, u, name)
        for a, b in zip(shared[name]().leaves, expected.leaves, strict=True):
            assert torch.equal(a, b), name


@pytest.mark.parametrize("what", ["weights of ω", "α"])
def test_a_point_that_was_changed_in_place_is_noticed(what):
    """The mixed product is then that of the new point, not of what was kept."""
    problem, omega, alpha, v, _ = case()
    curvature = ReverseOverForward(keep=True)(problem, omega, alpha)
    before = curvature.mixed @ v
    changed = omega if what == "weights of ω" else alpha
    for leaf in changed.leaves:
        leaf.data.mul_(1.5)  # past PyTorch's counter of changes
    found = curvature.mixed @ v
    expected = ReverseOverForward(keep=True)(problem, omega, alpha).mixed @ v
    assert (found.flat() - before.flat()).norm() > 1e-3 * before.flat().norm()
    assert torch.equal(found.flat(), expected.flat())


def outputs_computed(calls) -> list[int]:
    """How many units computed their output, and how many were given it."""
    known = [call.args[6] is not None for call in calls]
    return [known.count(False), known.count(True)]


def test_only_the_first_product_computes_what_units_give():
    problem, omega, alpha, v, _ = case()
    curvature = ReverseOverForward(keep=True)(problem, omega, alpha)
    seen = []
    with mock.patch.object(sums, "unit_forward", wraps=sums.unit_forward) as unit:
        for product in (curvature.hessian, curvature.mixed, curvature.hessian):
            unit.reset_mock()
            product @ v
            seen.append(outputs_computed(unit.call_args_list))
    units = seen[0][0]
    assert units > 0
    assert seen == [[units, 0], [0, units], [0, units]]


@pytest.mark.parametrize(
    ("recompute", "keep"), [(True, True), (False, False)], ids=["recomputed", "told not to"]
)
def test_recomputed_cells_keep_nothing_nor_does_a_curvature_that_is_told_not_to(recompute, keep):
    problem, omega, alpha, v, _ = case(recompute=recompute)
    curvature = ReverseOverForward(keep=keep)(problem, omega, alpha)
    with mock.patch.object(sums, "unit_forward", wraps=sums.unit_forward) as unit:
        for _ in range(2):
            curvature.hessian @ v
    assert outputs_computed(unit.call_args_list)[1] == 0


def test_what_is_kept_holds_no_graph():
    problem, omega, alpha, v, _ = case()
    curvature = ReverseOverForward(keep=True)(problem, omega, alpha)
    made = []
    with mock.patch.object(
        functions, "entry", side_effect=lambda kind: made.append(kind()) or made[-1]
    ):
        for _ in range(2):
            curvature.hessian @ v
    kept = [x for one in made for x in (one.z, *one.sources)]
    assert len(kept) > len(made) > 0
    assert not any(x.requires_grad for x in kept)
