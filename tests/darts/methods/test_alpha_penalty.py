"""β-DARTS's decay: its formula, its gradient on each edge, its schedule and its place in L_val."""

import math

import pytest
import torch

from bilevel import Vector
from bilevel.estimators import Amended, DartsSecondOrder, FirstOrder, Minres
from bilevel.estimators.alerts import HypergradientWarning
from darts.config.as_json import from_json, to_json
from darts.methods import BetaDecay
from darts.names import ALPHA_PENALTIES, TYPES
from darts.networks import Architecture
from darts.spaces import ROBUST_S1, S1
from darts.training.searching import Searching
from tests.darts.training.tiny import images, search_config

DOUBLE = torch.float64


def logits_and_gradient(space):
    """α drawn with scale 2, in float64, and the gradient of the decay in each of its kinds."""
    architecture = Architecture(space)
    alpha = architecture.initial(3, scale=2.0, dtype=DOUBLE)
    for leaf in alpha.values():
        leaf.requires_grad_()
    value = BetaDecay().value(architecture.logits(alpha))
    gradient = torch.autograd.grad(value, tuple(alpha.values()))
    return alpha, value.detach(), dict(zip(alpha, gradient, strict=True))


def test_the_decay_is_the_mean_over_all_edges_of_log_sum_exp():
    alpha, value, _ = logits_and_gradient(S1)
    rows = [row for leaf in alpha.values() for row in leaf.tolist()]
    assert len(rows) == 28
    by_hand = math.fsum(math.log(math.fsum(map(math.exp, row))) for row in rows) / len(rows)
    assert float(value) == pytest.approx(by_hand, rel=1e-14)


@pytest.mark.parametrize("space", [S1, ROBUST_S1], ids=lambda space: space.name)
def test_its_gradient_on_an_edge_is_the_softmax_over_the_number_of_edges(space):
    """So large weights decay most; an operation that an edge does not have is left alone."""
    alpha, _, gradient = logits_and_gradient(space)
    mixing = Architecture(space).mixing_weights(alpha)
    edges = sum(len(rows) for rows in mixing.values())
    for kind, rows in mixing.items():
        torch.testing.assert_close(gradient[kind], rows.detach() / edges, rtol=1e-14, atol=1e-16)
        assert torch.equal(gradient[kind].argmax(-1), rows.argmax(-1))
        assert torch.equal(gradient[kind] == 0, rows == 0)


def test_a_step_along_it_brings_unequal_weights_nearer_to_each_other():
    alpha, _, gradient = logits_and_gradient(S1)
    moved = {kind: (leaf - gradient[kind]).detach() for kind, leaf in alpha.items()}
    for kind, leaf in alpha.items():
        spread, after = (x.detach().std(-1) for x in (leaf, moved[kind]))
        assert (after < spread).all()


def test_its_weight_grows_in_equal_steps_from_nothing_to_its_largest():
    config = search_config(alpha_penalty=BetaDecay(8.0), epochs=4)
    searching = Searching(config, config.halves(images()))
    weights = [searching.regularisation(epoch).alpha_penalty for epoch in range(4)]
    assert weights == [0.0, 2.0, 4.0, 6.0]


@pytest.mark.parametrize(
    "estimator", [FirstOrder(), Amended(0.1), DartsSecondOrder(xi=0.01), Minres(2)], ids=str
)
@pytest.mark.filterwarnings(f"ignore::{HypergradientWarning.__module__}.HypergradientWarning")
def test_a_search_has_the_term_in_the_direct_term_alone(estimator):
    """In float32: differences are held to a few roundings of the terms that they are taken of."""
    plain, decayed = (
        Searching(config, config.halves(images()))
        for config in (
            search_config(estimator),
            search_config(estimator, alpha_penalty=BetaDecay(6.0)),
        )
    )
    found = []
    for searching in (plain, decayed):
        problem = searching.problem(1, 0)  # of three epochs: λ = 2
        omega, alpha = Vector.of(searching.omega), Vector.of(searching.alpha)
        inner, outer = problem.inner_value(omega, alpha), problem.outer_value(omega, alpha)
        terms = estimator(problem, searching.omega, searching.alpha)
        found.append(
            (inner.detach(), outer.detach(), Vector.of(terms.direct), Vector.of(terms.implicit))
        )
    (inner, outer, direct, implicit), (inner_too, outer_too, direct_too, implicit_too) = found
    logits = decayed.architecture.logits(decayed.alpha).detach().to(DOUBLE)
    eps = torch.finfo(torch.float32).eps
    assert torch.equal(inner, inner_too)
    assert torch.equal(implicit.flat(), implicit_too.flat())
    term = 2 * torch.logsumexp(logits, -1).mean()
    assert float(outer_too - outer) == pytest.approx(float(term), abs=8 * eps * float(outer_too))
    expected = 2 * torch.softmax(logits, -1) / len(logits)
    difference = (direct_too - direct).flat().to(DOUBLE)
    bound = 8 * eps * float(direct.flat().abs().max() + expected.max())
    torch.testing.assert_close(difference, expected.flatten(), rtol=0, atol=bound)


def test_it_is_read_by_name_and_configs_without_it_are_written_as_before():
    assert ALPHA_PENALTIES.read("beta-decay:most=5") == BetaDecay(5.0)
    assert ALPHA_PENALTIES.read("beta-decay") == BetaDecay(50.0)
    assert ALPHA_PENALTIES.read("none") is None
    for text in ("beta-decay:most=0", "beta-decay:most=nan", "beta-decay:most=inf"):
        with pytest.raises(ValueError, match="must be positive, finite"):
            ALPHA_PENALTIES.read(text)
    for penalty in (None, BetaDecay(2.0)):
        config = search_config(alpha_penalty=penalty)
        content = to_json(config)
        assert ("alpha_penalty" in content) == (penalty is not None)
        assert from_json(content, TYPES) == config
