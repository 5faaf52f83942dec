"""P-DARTS: operations are dropped by weight, and no more skips remain than allowed."""

import pytest
import torch

from darts.methods import Progressive
from darts.networks import Architecture
from darts.spaces import ROBUST_S1, ROBUST_S4, S1, S1_FIXED, Genotype
from darts.spaces.discretisation import strongest_cell

STAGES = Progressive()


def mixing_of(seed: int):
    return Architecture(S1).mixing_weights(Architecture(S1).initial(seed, scale=1.0))


def test_each_edge_keeps_its_strongest_operations():
    mixing = mixing_of(0)
    second = STAGES.narrowed(S1, mixing, 1)
    for kind in S1.cell_kinds:
        for row, names in enumerate(second.choices(kind)):
            assert len(names) == 5
            kept = [float(mixing[kind][row, S1.operations.index(name)]) for name in names]
            others = [w for w in mixing[kind][row].tolist() if w not in kept]
            assert min(kept) > max(others)
    third = STAGES.narrowed(second, mixing_of(1), 2)
    for kind in S1.cell_kinds:
        for before, after in zip(second.choices(kind), third.choices(kind), strict=True):
            assert len(after) == 3
            assert set(after) < set(before)


def test_an_edge_is_never_left_with_none_alone():
    stages = Progressive(cells=(1, 1), operations=(8, 1), skip_dropout=(0.0, 0.0))
    mixing = {kind: torch.zeros(14, 8) for kind in S1.cell_kinds}
    for weights in mixing.values():
        weights[:, 0], weights[:, 4] = 0.9, 0.1
    space = stages.narrowed(S1, mixing, 1)
    assert set(space.choices("normal")) == {(S1.operations[4],)}


@pytest.mark.parametrize("seed", range(5))
def test_at_most_two_skips_remain_in_a_normal_cell_and_reductions_are_left_alone(seed):
    alpha = Architecture(S1).initial(seed, scale=0.5)
    for weights in alpha.values():
        weights[:, S1.operations.index("skip_connect")] += 1.5
    mixing = Architecture(S1).mixing_weights(alpha)
    genotype = Architecture(S1).genotype(alpha)
    limited = STAGES.limited(S1, mixing, genotype)
    limited.require(S1)
    assert skips(genotype) > 2
    assert skips(limited) == 2
    assert limited["reduce"] == genotype["reduce"]
    assert STAGES.limited(S1, mixing, limited) == limited


def skips(genotype: Genotype) -> int:
    return sum(operation == "skip_connect" for operation, _ in genotype["normal"].edges)


def test_the_weakest_skip_goes_first():
    """Three skips, of weights 0.5, 0.3 and 0.4: the edge of 0.3 takes its next operation."""
    skip, other = S1.operations.index("skip_connect"), S1.operations.index("sep_conv_5x5")
    mixing = {kind: torch.full((14, 8), 0.01) for kind in S1.cell_kinds}
    for rows in mixing.values():
        rows[:, other] = 0.2
    kept = [S1.edges.index(edge) for edge in ((0, 2), (1, 2), (0, 3))]
    for row, weight in zip(kept, (0.5, 0.3, 0.4), strict=True):
        mixing["normal"][row, skip] = weight
    genotype = Genotype(tuple(strongest_cell(S1, kind, mixing[kind]) for kind in S1.cell_kinds))
    cell = STAGES.limited(S1, mixing, genotype)["normal"]
    assert cell.inputs(0) == (("skip_connect", 0), ("sep_conv_5x5", 1))
    assert ("skip_connect", 0) in cell.inputs(1)


def test_few_skips_are_left_as_they_are():
    alpha = Architecture(S1).initial(0)
    for weights in alpha.values():
        weights[:, S1.operations.index("skip_connect")] -= 5
    genotype = Architecture(S1).genotype(alpha)
    assert STAGES.limited(S1, Architecture(S1).mixing_weights(alpha), genotype) == genotype


def test_dropout_on_skips_falls_within_a_stage():
    """Their code: linear while α is frozen, exp(−0.2) an epoch after that."""
    rates = [STAGES.dropout(1, epoch, 25) for epoch in range(25)]
    assert rates[0] == pytest.approx(0.4 * 24 / 25)
    assert rates[9] == pytest.approx(0.4 * 15 / 25)
    assert rates[10] == pytest.approx(0.4)
    assert rates[11] == pytest.approx(0.4 * 0.81873, rel=1e-4)
    assert STAGES.dropout(0, 3, 25) == 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"cells": (5, 11)}, "one of each for every stage"),
        ({"operations": (8, 5, 6)}, "never added"),
        ({"operations": (8, 5, 0)}, "at least 1"),
        ({"cells": (5, 4, 17)}, "do not shrink"),
        ({"skip_dropout": (0.0, 0.4, 1.0)}, r"probabilities in \[0, 1\)"),
        ({"skips": -1}, "none can be negative"),
    ],
)
def test_stages_that_cannot_be_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Progressive(**settings)


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (S1_FIXED, r"Set operations to \(7, 5, 3\)"),
        (ROBUST_S1, r"whose edges have 2 operations"),
        (ROBUST_S4, r"whose edges have 2 operations"),
    ],
)
def test_stages_that_do_not_fit_a_space_are_refused(space, message):
    STAGES.require(S1)
    with pytest.raises(ValueError, match=message):
        STAGES.require(space)
