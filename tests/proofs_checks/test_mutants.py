"""The suite rejects every planted error."""

from dataclasses import fields

import pytest

from proofs_checks.definitions import Formulas
from proofs_checks.mutants import MUTANTS, Mutant, hunt


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_planted_error_is_caught(users, mutant):
    assert hunt(mutant, users, enough=1)


def test_every_formula_has_a_planted_error():
    assert {mutant.formula for mutant in MUTANTS} == {field.name for field in fields(Formulas)}


def test_a_formula_put_in_place_of_itself_is_not_caught(users):
    """Otherwise being caught would mean nothing."""
    right = Formulas()
    unchanged = Mutant("chain", "none", right.chain)
    assert hunt(unchanged, users) == ()
