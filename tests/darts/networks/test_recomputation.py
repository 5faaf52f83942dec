"""Cells that are computed again: the same hypergradients, and activations that are not kept."""

import pytest
import torch

from bilevel import Autograd, CentralDifference
from bilevel.estimators import Amended, ConjugateGradient, DartsSecondOrder, FirstOrder
from darts.networks import Architecture, Supernet, SupernetAdapter
from darts.networks.adapter import Drops
from darts.spaces import S1_FIXED
from darts.spaces.darts_space import s2
from tests.dense import ravel

f64 = torch.float64
DROPS = Drops(drop_path=0.3, skip_dropout=0.2, dropout=0.1)


def case(space, recompute, cells=3):
    """An adapter, its point and its problem; equal but for `recompute`."""
    torch.manual_seed(0)
    supernet = Supernet(space, channels=2, cells=cells, classes=3).double()
    supernet.recompute = recompute
    adapter = SupernetAdapter(supernet, Architecture(space), 0.1)
    alpha = adapter.architecture.initial(1, scale=0.5, dtype=f64)
    batches = [(torch.randn(5, 3, 6, 6, dtype=f64), torch.randint(3, (5,))) for _ in range(2)]
    return adapter, alpha, adapter.problem(*batches, seed=7, drops=DROPS)


@pytest.mark.filterwarnings("ignore::bilevel.estimators.HypergradientWarning")
@pytest.mark.parametrize("space", [S1_FIXED, s2(3)], ids=lambda space: space.name)
@pytest.mark.parametrize(
    "estimator",
    [
        FirstOrder(),
        Amended(eta=0.1, derivatives=Autograd()),
        Amended(eta=0.1, derivatives=CentralDifference()),
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


def kept_bytes(recompute):
    """Bytes that autograd keeps for one gradient: storages counted once, ω left out."""
    adapter, alpha, problem = case(S1_FIXED, recompute, cells=6)
    own = {p.untyped_storage().data_ptr() for p in adapter.supernet.parameters()}
    kept = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = (storage.nbytes(), tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = problem.outer(adapter.omega, alpha)
    assert loss.requires_grad
    return sum(size for size, _ in kept.values())


def test_far_less_is_kept():
    assert kept_bytes(True) < 0.2 * kept_bytes(False)
