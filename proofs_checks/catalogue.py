"""The list of claim modules. To add one: write `claims(formulas)` in a module and list it here."""

from __future__ import annotations

from collections.abc import Callable

from proofs_checks import (
    a1_toy,
    a2_finite_difference,
    a5_similarity,
    eq2_chain_rule,
    eq3_implicit_differentiation,
    eq5_hypergradient,
    eq6_amended,
    eq7_angle,
    estimators_agree,
    eta_facts,
    on_fixed_norms,
    on_mlp,
    on_supernet,
    printed_rates,
    s34_darts_second_order,
    s413_space_sizes,
    scale_invariance,
    search_cost,
    t1_characterisation,
    t2_sufficient_conditions,
    t3_on_average,
    t4_angle_order,
    t5_no_fixed_polynomial,
    t6_certificate,
    t7_inexact_inner,
    t8_rates,
    t9_kinks,
    t10_given_share,
    t11_polynomials,
    tables_1_and_2,
    wrong_sign_rates,
)
from proofs_checks.definitions import FORMULAS, Formulas
from proofs_checks.ledger import Claim, unique

MODULES: tuple[Callable[[Formulas], tuple[Claim, ...]], ...] = (
    eq2_chain_rule.claims,
    eq3_implicit_differentiation.claims,
    eq5_hypergradient.claims,
    eq6_amended.claims,
    estimators_agree.claims,
    eq7_angle.claims,
    s34_darts_second_order.claims,
    a1_toy.claims,
    a2_finite_difference.claims,
    a5_similarity.claims,
    s413_space_sizes.claims,
    search_cost.claims,
    eta_facts.claims,
    t1_characterisation.claims,
    t2_sufficient_conditions.claims,
    t3_on_average.claims,
    t4_angle_order.claims,
    t5_no_fixed_polynomial.claims,
    t6_certificate.claims,
    t10_given_share.claims,
    t11_polynomials.claims,
    wrong_sign_rates.claims,
    printed_rates.claims,
    t7_inexact_inner.claims,
    t8_rates.claims,
    t9_kinks.claims,
    on_mlp.claims,
    on_supernet.claims,
    on_fixed_norms.claims,
    tables_1_and_2.claims,
    scale_invariance.claims,
)


def all_claims(formulas: Formulas = FORMULAS) -> tuple[Claim, ...]:
    """Every claim, in the order of the paper and then of the theorems."""
    return unique(claim for claims in MODULES for claim in claims(formulas))
