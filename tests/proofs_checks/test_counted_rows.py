"""Rows that rest on counts and on printed figures reject planted errors."""

import dataclasses
from fractions import Fraction

import pytest

from bilevel.estimators import Amended, DartsSecondOrder
from proofs_checks import (
    cost_of_a_step,
    dimensions,
    s1_s2_instability,
    s32_collapse,
    s413_larger_spaces,
    s414_comparison,
    search_cost,
)
from proofs_checks.definitions import FORMULAS
from proofs_checks.printed_tables import COST, ERROR, MULTIPLY_ADDS, TABLE_1, TABLE_2, TOP_1


def standing(module, claim_id):
    """Whether all evidence of a row verifies, with the module as it is now."""
    (claim,) = (claim for claim in module.claims(FORMULAS) if claim.id == claim_id)
    return all(evidence.verify().passed for evidence in claim.evidence)


def altered(table, row, column, text):
    cells = list(table.rows[row])
    cells[table.columns.index(column)] = text
    return dataclasses.replace(table, rows={**table.rows, row: tuple(cells)})


PLANTS = [
    (search_cost, "N2", "EPOCHS", 200),
    (search_cost, "N2", "PER_EPOCH", (Fraction("0.005"), Fraction("0.015"))),
    (search_cost, "N2", "TABLE_1", altered(TABLE_1, "Amended-DARTS, S1", COST, "2.0")),
    (s414_comparison, "§4.1.4a", "TABLE_1", altered(TABLE_1, "P-DARTS", ERROR, "2.60")),
    (s414_comparison, "§4.1.4a", "TABLE_1", altered(TABLE_1, "ENAS", ERROR, "2.59")),
    (s414_comparison, "§4.2e", "TABLE_2", altered(TABLE_2, "AmoebaNet-C", TOP_1, "24.4")),
    (s414_comparison, "§4.2e", "TABLE_2", altered(TABLE_2, "P-DARTS (CIFAR10)", TOP_1, "24.2")),
    (s414_comparison, "N4m", "TABLE_2", altered(TABLE_2, "PC-DARTS", MULTIPLY_ADDS, "598")),
    (s414_comparison, "N4m", "TABLE_2", altered(TABLE_2, "PNAS", MULTIPLY_ADDS, "601")),
    (s414_comparison, "N4m", "TABLE_2", altered(TABLE_2, "DARTS+", MULTIPLY_ADDS, "-")),
    (s1_s2_instability, "§2b", "TABLE_1", altered(TABLE_1, "PNAS", COST, "22")),
    (s1_s2_instability, "§2b", "TABLE_1", altered(TABLE_1, "ENAS", COST, "50")),
    (s1_s2_instability, "§2b", "TABLE_1", altered(TABLE_1, "AmoebaNet-B", COST, "3500")),
    (s413_larger_spaces, "§4.1.3e", "PROBES", 19),
    (dimensions, "§3.3g", "weights", lambda: 999_999),
    (dimensions, "A5a", "architecture_weights", lambda: 448),
    (s32_collapse, "§3.2f", "parameters_of", lambda operation, stride: 8),
    (s32_collapse, "§3.2f", "parameters_of", lambda operation, stride: 0),
]


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: f"{plant[1]}, {plant[2]}")
def test_a_planted_error_is_seen(plant, monkeypatch):
    module, claim_id, name, wrong = plant
    assert standing(module, claim_id)
    monkeypatch.setattr(module, name, wrong)
    assert not standing(module, claim_id)


def test_one_gradient_more_or_less_is_seen(monkeypatch):
    class OnceMore(Amended):
        def estimate(self, problem, omega, alpha):
            problem.inner_gradient(omega, alpha)
            return super().estimate(problem, omega, alpha)

    class OneLess(DartsSecondOrder):
        def estimate(self, problem, omega, alpha):
            return Identity(self.xi, derivatives=self.derivatives).estimate(problem, omega, alpha)

    assert standing(cost_of_a_step, "§3.4g")
    for name, wrong in (("Amended", OnceMore), ("DartsSecondOrder", OneLess)):
        with monkeypatch.context() as planted:
            planted.setattr(cost_of_a_step, name, wrong)
            assert not standing(cost_of_a_step, "§3.4g")
