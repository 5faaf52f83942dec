"""Costs of choices: exact for every genotype, and an expectation whose gradient is the true one."""

import math
from dataclasses import replace
from itertools import product

import pytest
import torch

from darts.config.method_presets import METHOD_PRESETS
from darts.methods import GumbelSoftmax, TwoPaths
from darts.methods.random_search import lightest_genotype, random_genotype
from darts.networks import Architecture
from darts.networks.blueprint import Blueprint
from darts.networks.cost import multiply_add_table
from darts.networks.stem_and_head import IMAGENET, SMALL_IMAGES
from darts.networks.width import multiply_adds
from darts.spaces import (
    NASBENCH201,
    ROBUST_S2,
    S1,
    S1_FIXED,
    CellGenotype,
    Genotype,
    Space,
    s2,
)

CASES = [
    (S1, 4, (9, 11), SMALL_IMAGES),
    (S1_FIXED, 3, (8, 8), SMALL_IMAGES),
    (ROBUST_S2, 4, (16, 16), SMALL_IMAGES),
    (NASBENCH201, 6, (9, 9), SMALL_IMAGES),
    (s2(4), 4, (8, 8), SMALL_IMAGES),
    (S1_FIXED, 4, (64, 64), IMAGENET),
]


def table_of(space, cells, image, stem):
    blueprint = Blueprint(lightest_genotype(space), 4, cells, 10, 3, stem)
    return multiply_add_table(space, blueprint, image)


@pytest.mark.parametrize(("space", "cells", "image", "stem"), CASES, ids=lambda c: str(c)[:12])
def test_the_table_adds_up_to_the_multiply_adds_of_every_genotype(space, cells, image, stem):
    """To the rounding of a sum of some hundred float64 terms."""
    table = table_of(space, cells, image, stem)
    for seed in range(2):
        genotype = random_genotype(space, seed)
        exact = multiply_adds(Blueprint(genotype, 4, cells, 10, 3, stem), image)
        assert table.of(genotype) * 1e6 == pytest.approx(exact, rel=1e-13)


@pytest.mark.parametrize(("space", "cells", "image", "stem"), CASES, ids=lambda c: str(c)[:12])
def test_the_expectation_is_exact_where_alpha_is_certain(space, cells, image, stem):
    """α so large that softmax rounds to one operation an edge: the genotype's own cost."""
    table, architecture = table_of(space, cells, image, stem), Architecture(space)
    for seed in range(2):
        alpha = architecture.initial(seed, scale=1.0, dtype=torch.float64)
        genotype = architecture.genotype(alpha)
        weights = architecture.mixing_weights(alpha)
        _, found = table.expected(space, weights)
        assert float(found) == pytest.approx(table.of(genotype), rel=1e-13)
        # order of edges is kept by adding a rank to the strongest, so that none is tied at one
        certain = {}
        for kind, row in weights.items():
            allowed = torch.tensor(
                [
                    [name in space.candidates_of(kind, edge) for name in space.operations]
                    for edge in range(len(space.edges))
                ]
            )
            one = row.masked_fill(~allowed, -1.0).argmax(1)
            certain[kind] = torch.zeros_like(row).scatter(1, one[:, None], row.amax(1)[:, None])
            certain[kind] *= (row.masked_fill(~allowed, 0.0).amax(1) / row.amax(1))[:, None]
        expected, found = table.expected(space, certain)
        assert float(expected) == pytest.approx(table.of(genotype), rel=1e-12)
        assert float(found) == pytest.approx(table.of(genotype), rel=1e-13)


def test_the_expectation_is_the_mean_over_draws_of_the_kept_edges():
    """Of 4,000 genotypes drawn edge by edge."""
    space, alpha = S1_FIXED, Architecture(S1_FIXED).initial(1, scale=1.0, dtype=torch.float64)
    table = table_of(space, 3, (8, 8), SMALL_IMAGES)
    weights = Architecture(space).mixing_weights(alpha)
    expected = float(table.expected(space, weights)[0])
    chosen = [S1_FIXED.operations.index(name) for name in S1_FIXED.candidates]
    generator, total, squares = torch.Generator().manual_seed(0), 0.0, 0.0
    for _ in range(4000):
        cost = table.fixed
        for kind, row in weights.items():
            drawn = torch.multinomial(row[:, chosen], 1, generator=generator)
            cost += float(table.operations[kind][:, chosen].gather(1, drawn).sum())
        total, squares = total + cost, squares + cost**2
    mean = total / 4000
    error = ((squares / 4000 - mean**2) / 4000) ** 0.5
    assert abs(expected - mean) < 4 * error


def test_no_genotype_is_cheaper_than_the_least_and_one_costs_as_much():
    """All genotypes of a space of 54² of them."""
    edges = ((0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
    names = ("skip_connect", "max_pool_3x3", "sep_conv_3x3")
    space = Space("one each", names, 2, edges, keep_edges=1)
    table = table_of(space, 3, (8, 8), SMALL_IMAGES)
    normal = [
        CellGenotype("normal", ((a, i), (b, j)), (2, 3), (1, 1))
        for a, b in product(names, names)
        for i in (0, 1)
        for j in (0, 1, 2)
    ]
    costs = [
        table.of(Genotype((cell, replace(other, kind="reduce"))))
        for cell, other in product(normal, normal)
    ]
    assert table.least == pytest.approx(min(costs), rel=1e-13)
    assert max(costs) > 1.2 * min(costs)


@pytest.mark.parametrize("drawn", [False, True])
def test_its_gradient_is_the_slope_of_its_values(drawn):
    space, architecture = S1, Architecture(S1)
    table = table_of(space, 4, (8, 8), SMALL_IMAGES)
    alpha = architecture.initial(2, scale=1.0, dtype=torch.float64)
    flat = torch.cat([part.flatten() for part in alpha.values()]).requires_grad_()

    def cost(flat):
        parts = flat.split([part.numel() for part in alpha.values()])
        own = {k: v.view_as(alpha[k]) for k, v in zip(alpha, parts, strict=True)}
        weights = architecture.mixing_weights(own)
        return table.expected(space, weights, weights if drawn else None)[0]

    assert torch.autograd.gradcheck(cost, flat, eps=1e-6, atol=1e-7)
    assert float(torch.autograd.grad(cost(flat), flat)[0].norm()) > 1e-3


def one_cell_costs():
    return table_of(NASBENCH201, 3, (8, 8), SMALL_IMAGES)


def test_proxylessnass_cost_moves_alpha_by_probabilities_and_not_by_draws():
    """Cai et al. 2019, §3.3: E = Σ p_j F_j, so that ∂E/∂α_i = Σ_j p_j (δ_ij − p_i) F_j."""
    search, table = METHOD_PRESETS["cifar10-proxylessnas-cost"].search, one_cell_costs()
    assert isinstance(search.mixing, TwoPaths)
    architecture = Architecture(NASBENCH201, search.mixing)
    alpha = architecture.initial(0, scale=1.0, dtype=torch.float64)["cell"].requires_grad_()
    loss, zero = torch.zeros((), dtype=torch.float64), torch.zeros((), dtype=torch.float64)
    assert not search.target.drawn
    expected, _ = table.expected(NASBENCH201, architecture.mixing_weights({"cell": alpha}))
    total = search.target.loss(loss, expected, zero)
    found = torch.autograd.grad(total, alpha)[0]
    p, costs = torch.softmax(alpha.detach(), 1), table.operations["cell"]
    wanted = torch.zeros_like(p)
    for i in range(p.shape[1]):
        for j in range(p.shape[1]):
            wanted[:, i] += p[:, j] * (float(i == j) - p[:, i]) * costs[:, j]
    torch.testing.assert_close(found, search.target.weight * wanted, rtol=1e-12, atol=1e-15)


def test_fbnets_cost_is_that_of_the_gumbel_weights_of_the_step():
    """Wu et al. 2019, Eq. 2 and 5: CE · α log(LAT)^β, with LAT = Σ m · lat of the same masks m."""
    search, table = METHOD_PRESETS["cifar10-fbnet"].search, one_cell_costs()
    assert isinstance(search.mixing, GumbelSoftmax)
    assert search.target.drawn
    architecture = Architecture(NASBENCH201, search.mixing)
    alpha = architecture.initial(0, scale=1.0, dtype=torch.float64)
    torch.manual_seed(0)
    masks = architecture.draw(alpha, 0.5).operations
    expected, found = table.expected(NASBENCH201, architecture.mixing_weights(alpha), masks)
    latency = table.fixed + sum(
        float(masks["cell"][row, column]) * float(table.operations["cell"][row, column])
        for row in range(6)
        for column in range(5)
    )
    assert float(expected) == pytest.approx(latency, rel=1e-12)
    loss = torch.tensor(0.7, dtype=torch.float64)
    total = float(search.target.loss(loss, expected, found))
    assert total == pytest.approx(0.7 * 0.2 * math.log(1000 * latency) ** 0.6, rel=1e-12)
