"""Cells that are computed again: the same hypergradients, and activations that are not kept."""

import pytest
import torch
from torch.autograd import forward_ad

from bilevel import Autograd, CentralDifference
from bilevel.derivatives import ReverseOverForward
from bilevel.estimators import Amended, ConjugateGradient, DartsSecondOrder, FirstOrder
from darts.networks import Architecture, Supernet, SupernetAdapter
from darts.networks.adapter import Regularisation
from darts.spaces import S1_FIXED
from darts.spaces.darts_space import s2
from tests.dense import ravel

f64 = torch.float64
REGULARISATION = Regularisation(drop_path=0.3, skip_dropout=0.2, dropout=0.1)


def case(space, recompute, cells=3):
    """An adapter, its point and its problem; equal but for `recompute`."""
    torch.manual_seed(0)
    supernet = Supernet(space, channels=2, cells=cells, classes=3).double()
    supernet.recompute = recompute
    adapter = SupernetAdapter(supernet, Architecture(space), 0.1)
    alpha = adapter.architecture.initial(1, scale=0.5, dtype=f64)
    batches = [(torch.randn(5, 3, 6, 6, dtype=f64), torch.randint(3, (5,))) for _ in range(2)]
    return adapter, alpha, adapter.problem(*batches, seed=7, regularisation=REGULARISATION)


@pytest.mark.filterwarnings("ignore::bilevel.estimators.HypergradientWarning")
@pytest.mark.parametrize("space", [S1_FIXED, s2(3)], ids=lambda space: space.name)
@pytest.mark.parametrize(
    "estimator",
    [
        FirstOrder(),
        Amended(eta=0.1, derivatives=Autograd()),
        Amended(eta=0.1, derivatives=CentralDifference()),
        Amended(eta=0.1, derivatives=ReverseOverForward()),
        DartsSecondOrder(xi=0.1, derivatives=Autograd()),
        ConjugateGradient(iterations=3, damping=10.0),
    ],
    ids=repr,
)
def test_hypergradients_are_those_of_kept_activations(space, estimator):
    found, expected = (
        estimator(problem, adapter.omega, alpha)
        for adapter, alpha, problem in (case(space, True), case(space, False))
    )
    for term in ("direct", "implicit"):
        ours, theirs = (ravel(getattr(h, term))[0] for h in (found, expected))
        assert (ours - theirs).norm() <= 1e-12 * max(1.0, float(theirs.norm())), term


def test_the_step_of_omega_is_the_same():
    for adapter, alpha, problem in (case(S1_FIXED, True), case(S1_FIXED, False)):
        loss = problem.inner(adapter.omega, alpha)
        gradients = torch.autograd.grad(loss, list(adapter.omega.values()))
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        if adapter.supernet.recompute:
            found = flat
    assert (found - flat).norm() <= 1e-12 * flat.norm()


def test_gradients_away_from_the_modules_own_weights_are_taken_there():
    """The cells are computed again after `functional_call` has put the module's own back."""
    gradients = []
    for recompute in (True, False):
        adapter, alpha, problem = case(S1_FIXED, recompute)
        omega = {name: (2 * p).detach().requires_grad_() for name, p in adapter.omega.items()}
        own = torch.autograd.grad(problem.inner(omega, alpha), list(omega.values()))
        gradients.append(torch.cat([gradient.flatten() for gradient in own]))
    assert (gradients[0] - gradients[1]).norm() <= 1e-12 * gradients[1].norm()


def kept_bytes(recompute, product=False):
    """Bytes kept for one gradient, or product: storages counted once, ω and v left out."""
    adapter, alpha, problem = case(S1_FIXED, recompute, cells=6)
    v = {name: torch.ones_like(p) for name, p in adapter.omega.items()}
    own = {p.untyped_storage().data_ptr() for p in [*adapter.omega.values(), *v.values()]}
    kept = {}

    def keep(tensor):
        if tensor._is_zerotensor():  # forward mode's zeros, which have no memory
            return tensor
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = (storage.nbytes(), tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        if product:
            with forward_ad.dual_level():
                omega = {k: forward_ad.make_dual(p, v[k]) for k, p in adapter.omega.items()}
                loss = forward_ad.unpack_dual(problem.inner(omega, alpha)).tangent
        else:
            loss = problem.outer(adapter.omega, alpha)
    assert loss.requires_grad
    return sum(size for size, _ in kept.values())


def test_some_cells_alone_can_keep_nothing():
    adapter, alpha, problem = case(S1_FIXED, True)
    whole = Amended(0.1, derivatives=ReverseOverForward())(problem, adapter.omega, alpha)
    adapter.supernet.recomputed = range(1)
    part = Amended(0.1, derivatives=ReverseOverForward())(problem, adapter.omega, alpha)
    a, b = (ravel(h.implicit)[0] for h in (whole, part))
    assert (a - b).norm() <= 1e-12 * b.norm()


@pytest.mark.parametrize("product", [False, True], ids=["gradient", "tangent"])
def test_far_less_is_kept(product):
    assert kept_bytes(True, product) < 0.2 * kept_bytes(False, product)
