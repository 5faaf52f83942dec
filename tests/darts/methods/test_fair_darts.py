"""FairDARTS: weights that do not compete, and a loss that drives each to 0 or to 1."""

import math
from itertools import pairwise

import pytest
import torch

from bilevel import Autograd, Vector
from bilevel.derivatives import ReverseOverForward
from bilevel.estimators.alerts import HypergradientWarning
from darts.config.as_json import from_json, to_json
from darts.methods import (
    BetaDecay,
    CostProduct,
    CostWeight,
    GumbelSoftmax,
    RandomPerturbation,
    SampledPath,
    Sigmoid,
    Softmax,
    ZeroOne,
)
from darts.names import ALPHA_PENALTIES, ESTIMATORS, MIXINGS, TYPES
from darts.networks import Architecture, Supernet, SupernetAdapter
from darts.networks.adapter import Regularisation
from darts.spaces import NASBENCH201, ROBUST_S1, S1, S1_FIXED, Space
from tests.darts.training.tiny import search_config

DOUBLE = torch.float64
SMOOTH = Space(
    name="smooth",
    operations=("none", "skip_connect", "avg_pool_3x3", "sep_conv_3x3"),
    nodes=2,
    edges=((0, 2), (1, 2), (0, 3), (2, 3)),
    keep_edges=1,
)
"""Operations that no kink keeps from having second derivatives, where convolutions begin smooth."""


def adapter_of(penalty=None):
    supernet = Supernet(SMOOTH, channels=2, cells=2, classes=3, activation=torch.tanh).double()
    architecture = Architecture(SMOOTH, Sigmoid())
    return SupernetAdapter(supernet, architecture, 0.1, alpha_penalty=penalty)


def problem_of(penalty=None, factor=0.0):
    """The problem of one step in float64, its ω, and an α of scale 1."""
    adapter = adapter_of(penalty)
    pair = [
        (torch.randn(5, 3, 6, 6, dtype=DOUBLE), torch.tensor([0, 1, 2, 1, 0])) for _ in range(2)
    ]
    problem = adapter.problem(*pair, seed=0, regularisation=Regularisation(alpha_penalty=factor))
    omega = {name: leaf.detach() for name, leaf in adapter.omega.items()}
    return problem, omega, adapter.architecture.initial(1, scale=1.0, dtype=DOUBLE)


@pytest.mark.parametrize(("mixing", "alone"), [(Sigmoid(), True), (Softmax(), False)], ids=str)
def test_a_weight_does_not_change_when_the_alpha_of_another_operation_moves(mixing, alone):
    """Bit for bit; the softmax, whose weights compete, fails."""
    architecture = Architecture(S1_FIXED, mixing)
    alpha = architecture.initial(0, scale=1.0)
    before = architecture.draw(alpha, 0.3).operations["normal"]
    column = S1_FIXED.operations.index("skip_connect")
    alpha["normal"][2, column] += 3.0
    after = architecture.draw(alpha, 0.3).operations["normal"]
    moved = before != after
    assert moved[2, column]
    others = moved.clone()
    others[2, column] = False
    assert others.any() != alone


@pytest.mark.parametrize("space", [S1, S1_FIXED, ROBUST_S1], ids=lambda space: space.name)
def test_a_weight_is_the_sigmoid_of_its_alpha_and_none_has_none(space):
    architecture = Architecture(space, Sigmoid())
    alpha = architecture.initial(0, scale=2.0, dtype=DOUBLE)
    mixing = architecture.mixing_weights(alpha)
    for kind in space.cell_kinds:
        drawn = architecture.draw(alpha, 0.5).operations[kind]
        assert torch.equal(drawn, architecture.deterministic(alpha).operations[kind])
        assert torch.equal(drawn, mixing[kind])
        for row in range(len(space.edges)):
            for column, name in enumerate(space.operations):
                expected = 0.0
                if name in space.candidates_of(kind, row):
                    expected = 1 / (1 + math.exp(-float(alpha[kind][row, column])))
                assert float(mixing[kind][row, column]) == pytest.approx(expected, rel=1e-14)


def test_the_cell_is_chosen_by_the_largest_sigmoids_and_not_by_softmax():
    """Edge 0 → 2 is strongest by σ; by softmax its two large α share their edge's weight."""
    space = Space("pair", ("skip_connect", "sep_conv_3x3"), 1, ((0, 2), (1, 2)), keep_edges=1)
    alpha = {kind: torch.tensor([[3.0, 2.9], [1.0, -3.0]]) for kind in space.cell_kinds}
    chosen = {
        type(mixing): Architecture(space, mixing).genotype(alpha)["normal"].edges
        for mixing in (Sigmoid(), Softmax())
    }
    assert chosen[Sigmoid] == (("skip_connect", 0),)
    assert chosen[Softmax] == (("skip_connect", 1),)


@pytest.mark.parametrize("space", [S1, ROBUST_S1], ids=lambda space: space.name)
def test_the_loss_is_minus_the_mean_square_over_the_operations_there_are(space):
    architecture = Architecture(space, Sigmoid())
    alpha = architecture.initial(3, scale=2.0, dtype=DOUBLE)
    squares = [
        (1 / (1 + math.exp(-float(alpha[kind][row, space.operations.index(name)]))) - 0.5) ** 2
        for kind in space.cell_kinds
        for row in range(len(space.edges))
        for name in space.candidates_of(kind, row)
    ]
    value = float(ZeroOne().value(architecture.logits(alpha)))
    assert value == pytest.approx(-math.fsum(squares) / len(squares), rel=1e-14)


def test_steps_along_the_loss_alone_drive_each_sigmoid_to_the_end_that_it_is_nearer_to():
    alpha = torch.linspace(-1.0, 1.0, 8, dtype=DOUBLE)[:, None].requires_grad_()
    begun = torch.sigmoid(alpha.detach())
    distances = []
    for _ in range(2000):
        (slope,) = torch.autograd.grad(ZeroOne().value(alpha), alpha)
        with torch.no_grad():
            alpha -= 10 * slope
        sigma = torch.sigmoid(alpha.detach())
        distances.append(torch.minimum(sigma, 1 - sigma).max())
    assert all(after < before for before, after in pairwise(distances))
    assert distances[-1] < 0.05
    assert torch.equal(sigma > 0.5, begun > 0.5)


def errors(expected, difference):
    """How far a central difference is from what it approaches, at a step and at half of it."""
    return [float((difference(h) - expected).norm()) for h in (0.02, 0.01)]


def along(at, direction, function):
    """The central difference of a function of a Vector along a direction, by the step."""
    return lambda h: (function(at + h * direction) - function(at - h * direction)) * (1 / (2 * h))


def is_exact(error):
    """Differences of step h approach what is exact at rate h²: half the step, a quarter of it."""
    return 3.5 < error[0] / error[1] < 4.5


def test_the_direct_term_with_the_zero_one_loss_is_what_differences_of_l_val_approach():
    problem, omega, alpha = problem_of(ZeroOne(), 10.0)
    direct = Vector.of(ESTIMATORS.read("first-order")(problem, omega, alpha).direct)
    w, a = Vector.of(omega), Vector.of(alpha)
    direction = Vector(tuple(torch.randn_like(leaf) for leaf in a.leaves), a.treespec)
    difference = along(a, direction, lambda point: problem.outer_value(w, point).detach())
    error = [abs(float(difference(h)) - float(direct.dot(direction))) for h in (0.02, 0.01)]
    assert is_exact(error)


@pytest.mark.parametrize("how", [Autograd(), ReverseOverForward()], ids=str)
def test_second_derivatives_through_the_sigmoids_are_what_differences_of_gradients_approach(how):
    problem, omega, alpha = problem_of()
    w, a = Vector.of(omega), Vector.of(alpha)
    curvature = how(problem, w, a)
    v = Vector(tuple(torch.randn_like(leaf) for leaf in w.leaves), w.treespec)
    v = v * (1 / float(v.norm()))

    def gradient(point, of):
        at = point.tracked()
        other = a.tracked()
        with torch.enable_grad():
            value = problem.inner_value(at, other)
            leaves = torch.autograd.grad(value, (at if of == "omega" else other).leaves)
        return Vector(leaves, (w if of == "omega" else a).treespec)

    for of, product in (("omega", curvature.hessian @ v), ("alpha", curvature.mixed @ v)):
        difference = along(w, v, lambda point, of=of: gradient(point, of))
        assert float(product.norm()) > 0
        assert is_exact(errors(product, difference))


TEXTS = (
    "first-order",
    "identity:eta=0.1",
    "amended",
    "darts-second-order:xi=0.025",
    "neumann:terms=2,step=0.025",
    "minres:iterations=3",
    "nystrom:rank=5,damping=1",
    "unrolled:steps=2,lr=0.025",
    "penalty:strength=1,steps=2,lr=0.025",
)


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.filterwarnings(f"ignore::{HypergradientWarning.__module__}.HypergradientWarning")
def test_the_loss_adds_its_own_gradient_to_the_hypergradient_of_every_estimator(text):
    """−2 w (σ − 1/2) σ (1 − σ)/n, to a few roundings of the terms that it is the difference of."""
    totals = []
    for factor in (0.0, 10.0):
        torch.manual_seed(5)
        problem, omega, alpha = problem_of(ZeroOne(), factor)
        totals.append(Vector.of(ESTIMATORS.read(text)(problem, omega, alpha).total))
    difference = totals[1] - totals[0]
    sigma = {kind: torch.sigmoid(leaf) for kind, leaf in alpha.items()}
    count = sum(s[:, 1:].numel() for s in sigma.values())
    expected = {kind: -20 * (s - 0.5) * s * (1 - s) / count for kind, s in sigma.items()}
    for leaf in expected.values():
        leaf[:, 0] = 0.0  # none
    wanted = Vector.of(expected)
    size = float(totals[0].norm()) + float(wanted.norm())
    bound = 64 * torch.finfo(DOUBLE).eps * size
    assert float((difference - wanted).norm()) < bound
    assert float(wanted.norm()) > 1e6 * bound


REFUSED = {
    "none can be chosen": (
        {"space": NASBENCH201, "cells": 3, "mixing": Sigmoid()},
        "Sigmoid in space 'nasbench201', where 'none' can be chosen",
    ),
    "perturbed": (
        {"mixing": Sigmoid(), "perturbation": RandomPerturbation()},
        "RandomPerturbation with mixing Sigmoid: .* do not add up to one",
    ),
    "drawn cost": (
        {"mixing": Sigmoid(), "target": CostProduct()},
        "CostProduct with mixing Sigmoid: .* no probabilities",
    ),
    "decay": (
        {"mixing": Sigmoid(), "alpha_penalty": BetaDecay()},
        "BetaDecay with mixing Sigmoid: it lowers α by softmax weights",
    ),
    "zero-one": (
        {"alpha_penalty": ZeroOne()},
        r"ZeroOne with mixing Softmax: it is a loss of σ\(α\)",
    ),
    "zero-one sampled": (
        {"mixing": SampledPath(), "alpha_penalty": ZeroOne()},
        "ZeroOne with mixing SampledPath",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_takes_weights_for_shares_of_an_edge_is_refused(name):
    settings, message = REFUSED[name]
    with pytest.raises(ValueError, match=message) as refusal:
        search_config(**settings)
    assert "\n" not in str(refusal.value)


def test_what_does_not_is_taken():
    search_config(mixing=Sigmoid())
    search_config(mixing=Sigmoid(), alpha_penalty=ZeroOne(), target=CostWeight(0.1))
    search_config(mixing=GumbelSoftmax(), alpha_penalty=BetaDecay())


def test_it_is_read_by_name_and_back():
    assert MIXINGS.read("sigmoid") == Sigmoid()
    assert ALPHA_PENALTIES.read("zero-one") == ZeroOne(10.0)
    assert ALPHA_PENALTIES.read("zero-one:factor=2.5") == ZeroOne(2.5)
    for text in ("zero-one:factor=0", "zero-one:factor=-1", "zero-one:factor=nan"):
        with pytest.raises(ValueError, match="must be positive, finite"):
            ALPHA_PENALTIES.read(text)
    config = search_config(mixing=Sigmoid(), alpha_penalty=ZeroOne(3.0))
    assert from_json(to_json(config), TYPES) == config
