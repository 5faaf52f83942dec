"""The list of claim modules. To add one: write `claims(formulas)` in a module and list it here."""

from __future__ import annotations

from collections.abc import Callable

from proofs_checks import eq7_angle
from proofs_checks.definitions import FORMULAS, Formulas
from proofs_checks.ledger import Claim, unique

MODULES: tuple[Callable[[Formulas], tuple[Claim, ...]], ...] = (eq7_angle.claims,)


def all_claims(formulas: Formulas = FORMULAS) -> tuple[Claim, ...]:
    """Every claim, in the order of the paper and then of the theorems."""
    return unique(claim for claims in MODULES for claim in claims(formulas))
