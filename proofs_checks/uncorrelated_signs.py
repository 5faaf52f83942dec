"""Coordinates of v that are uncorrelated, and yet no isotropic v: T12 is another number for it."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

from proofs_checks.definitions import Formulas
from proofs_checks.evidence import ExactCounterexample, Exhibit
from proofs_checks.rational import column, diagonal, dot, matrix


def only_uncorrelated(formulas: Formulas) -> ExactCounterexample:
    """Against T12 for every v with E[vvᵀ] = σ²I."""
    return ExactCounterexample("E[vvᵀ] = σ²I alone is not enough: P = ½", lambda: _signs(formulas))


def _signs(formulas: Formulas) -> Exhibit:
    """H = diag(1, 4), B = (1 1), v ∈ {±1}²: E[vvᵀ] = I, as for Gaussian v."""
    hessian, mixed = diagonal(1, 4), matrix([1, 1])
    slopes = [column(*signs) for signs in product((-1, 1), repeat=2)]
    truths = [formulas.implicit(hessian, mixed, v) for v in slopes]
    estimates = [formulas.amended(hessian, mixed, v, 1) for v in slopes]
    wrong = sum(dot(x, y) < 0 for x, y in zip(truths, estimates, strict=True))
    inverse, gram = hessian.inverse(), mixed.T @ mixed
    whole = inverse @ gram @ hessian + hessian @ gram @ inverse
    return Exhibit(
        {"wrong over v ∈ {±1}²": Fraction(wrong, 4), "S": whole},
        {
            "S has the eigenvalues 25/4 and −9/4: P = (2/π) arctan 3/5 < ½": whole.trace() == 4
            and whole.determinant() == -Fraction(225, 16)
        },
        {"wrong in less than ½": Fraction(wrong, 4) < Fraction(1, 2)},
    )
