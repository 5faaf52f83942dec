"""A supernet on two batches is a bilevel problem: pure, deterministic, with the stated losses."""

import pytest
import torch
from torch.nn import functional as F

from bilevel.derivatives import Autograd, CentralDifference
from bilevel.estimators import Amended, FirstOrder
from bilevel.vector import Vector
from darts.networks import Architecture, Supernet, SupernetAdapter
from darts.spaces import S1, S1_FIXED
from tests.dense import ravel

SPACES = pytest.mark.parametrize("space", [S1, S1_FIXED], ids=lambda space: space.name)


def adapter_of(space=S1_FIXED, weight_decay=0.1, activation=torch.tanh, dtype=torch.float64):
    supernet = Supernet(space, channels=2, cells=3, classes=3, activation=activation).to(dtype)
    return SupernetAdapter(supernet, Architecture(space), weight_decay)


def alpha_of(space=S1_FIXED, dtype=torch.float64):
    return Architecture(space).initial(1, scale=0.5, dtype=dtype)


def batch(size=5, dtype=torch.float64):
    return torch.randn(size, 3, 6, 6, dtype=dtype), torch.randint(3, (size,))


@SPACES
def test_losses_are_cross_entropies_and_the_inner_one_has_the_weight_decay(space):
    adapter, alpha = adapter_of(space), alpha_of(space)
    train, val = batch(), batch(7)
    problem = adapter.problem(train, val, seed=0)
    mixing = adapter.architecture.mixing_weights(alpha)
    penalty = 0.05 * sum((p**2).sum() for p in adapter.omega.values())
    expected = F.cross_entropy(adapter.supernet(train[0], mixing), train[1]) + penalty
    torch.testing.assert_close(problem.inner(adapter.omega, alpha), expected)
    expected = F.cross_entropy(adapter.supernet(val[0], mixing), val[1])
    torch.testing.assert_close(problem.outer(adapter.omega, alpha), expected)


def test_weight_decay_adds_its_multiple_of_the_identity_to_the_hessian():
    decayed, alpha, train = adapter_of(weight_decay=0.1), alpha_of(), batch()
    plain = SupernetAdapter(decayed.supernet, decayed.architecture, 0.0)
    omega, at = Vector.of(decayed.omega), Vector.of(alpha)
    direction = Vector(tuple(torch.randn_like(leaf) for leaf in omega.leaves), omega.treespec)
    products = [
        Autograd()(adapter.problem(train, train, 0), omega, at).hessian @ direction
        for adapter in (decayed, plain)
    ]
    found = (products[0] - products[1]).flat()
    torch.testing.assert_close(found, 0.1 * direction.flat(), rtol=0, atol=1e-10)


def test_amended_on_a_two_cell_supernet_is_eq_6_and_differences_approach_it():
    """Eq. 6 with tanh for ReLU, by `Autograd`; A.2's differences come nearer at rate step².

    The two products of the oracle are taken by `torch.func`: all columns of H would take minutes.
    """
    supernet = Supernet(S1_FIXED, channels=1, cells=2, classes=3, activation=torch.tanh).double()
    adapter, alpha = SupernetAdapter(supernet, Architecture(S1_FIXED), 0.1), alpha_of()
    problem = adapter.problem(batch(), batch(), seed=0)
    omega = {name: p.detach() for name, p in adapter.omega.items()}
    gradients = torch.func.grad(problem.inner, argnums=(0, 1))
    slope = torch.func.grad(problem.outer)(omega, alpha)
    h_slope = torch.func.vjp(lambda w: gradients(w, alpha)[0], omega)[1](slope)[0]
    mixed = torch.func.vjp(lambda a: gradients(omega, a)[0], alpha)[1](h_slope)[0]
    expected = -0.3 * ravel(mixed)[0].detach()
    assert expected.norm() > 1e-3

    def error(derivatives):
        found, _ = ravel(Amended(0.3, derivatives=derivatives)(problem, omega, alpha).implicit)
        return float((found - expected).norm() / expected.norm())

    assert error(Autograd()) < 1e-9
    # max pooling keeps its kinks: the steps stay too short to cross one
    assert 3.5 < error(CentralDifference(1e-4)) / error(CentralDifference(5e-5)) < 4.5


def test_losses_follow_the_omega_that_they_are_given():
    adapter, alpha = adapter_of(), alpha_of()
    problem = adapter.problem(batch(), batch(), seed=0)
    moved = {name: 1.1 * p.detach() for name, p in adapter.omega.items()}
    before = problem.inner(moved, alpha).item()
    assert before != problem.inner(adapter.omega, alpha).item()
    with torch.no_grad():
        for p in adapter.omega.values():
            p.mul_(1.1)
    assert problem.inner(adapter.omega, alpha).item() == before


@SPACES
def test_estimators_write_neither_supernet_nor_random_state(space):
    adapter, alpha = adapter_of(space), alpha_of(space)
    problem = adapter.problem(batch(), batch(), seed=0)
    before = {name: tensor.clone() for name, tensor in adapter.supernet.state_dict().items()}
    state = torch.get_rng_state()
    Amended(eta=0.1)(problem, adapter.omega, alpha)
    assert torch.equal(state, torch.get_rng_state())
    for name, tensor in adapter.supernet.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    assert all(p.grad is None for p in adapter.supernet.parameters())


def test_one_seed_gives_the_same_bits():
    adapter, alpha = adapter_of(dtype=torch.float32), alpha_of(dtype=torch.float32)
    train, val = batch(dtype=torch.float32), batch(dtype=torch.float32)
    totals = []
    for elsewhere in (1, 2):
        torch.manual_seed(elsewhere)  # the global random state is of no consequence
        problem = adapter.problem(train, val, seed=4)
        totals.append(Amended(eta=0.1)(problem, adapter.omega, alpha).total)
    for kind in S1_FIXED.cell_kinds:
        assert torch.equal(totals[0][kind], totals[1][kind])


def test_every_evaluation_replays_the_random_state_of_the_seed():
    """An activation that drops at random: the same mask each time, another for another seed."""
    adapter = adapter_of(activation=lambda x: F.dropout(torch.tanh(x), 0.5))
    alpha, train = alpha_of(), batch()

    def loss(seed):
        return adapter.problem(train, train, seed).inner(adapter.omega, alpha).item()

    assert loss(1) == loss(1)
    assert loss(1) != loss(2)


def test_first_order_hypergradient_is_the_outer_gradient_by_differences():
    adapter, alpha = adapter_of(), alpha_of()
    problem = adapter.problem(batch(), batch(), seed=0)
    found = FirstOrder()(problem, adapter.omega, alpha).total["normal"]
    step, bump = 1e-6, torch.zeros_like(alpha["normal"])
    bump[4, 2] = step
    ahead = problem.outer(adapter.omega, alpha | {"normal": alpha["normal"] + bump})
    behind = problem.outer(adapter.omega, alpha | {"normal": alpha["normal"] - bump})
    assert found[4, 2].item() == pytest.approx(((ahead - behind) / (2 * step)).item(), rel=1e-6)


@SPACES
def test_statistics_are_the_plain_average_over_the_batches(space):
    """Of the stem's norm, whose input does not depend on other norms: worked out by hand."""
    adapter, alpha = adapter_of(space), alpha_of(space)
    batches = [batch(), batch(), batch(9)]
    adapter.supernet.stem[1].running_mean.fill_(torch.nan)  # nothing of the past stays
    adapter.update_statistics(iter(batches), alpha)
    with torch.no_grad():
        inputs = [adapter.supernet.stem[0](images) for images, _ in batches]
    mean = torch.stack([x.mean((0, 2, 3)) for x in inputs]).mean(0)
    variance = torch.stack([x.var((0, 2, 3)) for x in inputs]).mean(0)
    torch.testing.assert_close(adapter.supernet.stem[1].running_mean, mean)
    torch.testing.assert_close(adapter.supernet.stem[1].running_var, variance)


def test_after_statistics_of_one_batch_evaluation_agrees_with_training_on_it():
    """Up to the unbiased variance, n/(n − 1): two pixels a channel at the last cell for n = 200."""
    adapter, alpha = adapter_of(), alpha_of()
    images, labels = batch(200)
    adapter.update_statistics([(images, labels)], alpha)
    training = adapter.supernet(images, adapter.architecture.mixing_weights(alpha))
    torch.testing.assert_close(
        adapter.logits(images, alpha), training.detach(), rtol=0.03, atol=0.03
    )


def test_statistics_stop_changing_after_the_update():
    adapter, alpha = adapter_of(), alpha_of()
    adapter.update_statistics([batch()], alpha)
    before = {name: tensor.clone() for name, tensor in adapter.supernet.named_buffers()}
    adapter.supernet(batch()[0], adapter.architecture.mixing_weights(alpha))
    for name, tensor in adapter.supernet.named_buffers():
        assert torch.equal(tensor, before[name]), name


def test_logits_answer_each_image_alone_and_leave_training_mode_on():
    adapter, alpha = adapter_of(), alpha_of()
    adapter.update_statistics([batch()], alpha)
    images, _ = batch()
    together = adapter.logits(images, alpha)
    apart = torch.cat([adapter.logits(image[None], alpha) for image in images])
    torch.testing.assert_close(together, apart)
    assert adapter.supernet.training
    assert not together.requires_grad


def test_a_problem_is_evaluated_in_training_mode_whatever_was_left_on():
    adapter, alpha, train = adapter_of(), alpha_of(), batch()
    expected = adapter.problem(train, train, 0).outer(adapter.omega, alpha)
    adapter.supernet.eval()
    assert torch.equal(adapter.problem(train, train, 0).outer(adapter.omega, alpha), expected)


def test_no_batches_are_refused():
    with pytest.raises(ValueError, match=r"update_statistics got no batches"):
        adapter_of().update_statistics([], alpha_of())


def test_spaces_that_differ_are_refused():
    with pytest.raises(ValueError, match=r"space 's1', the architecture of 's1-fixed'"):
        SupernetAdapter(Supernet(S1, channels=2, cells=1), Architecture(S1_FIXED), 0.0)


@pytest.mark.parametrize("weight_decay", [-1e-4, float("nan")])
def test_negative_weight_decay_is_refused(weight_decay):
    with pytest.raises(ValueError, match=r"must not be negative"):
        adapter_of(weight_decay=weight_decay)
