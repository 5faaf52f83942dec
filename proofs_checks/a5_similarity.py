"""Appendix A.5: where the proof of Eq. 7 breaks, with the H, A and β that break it."""

from __future__ import annotations

from fractions import Fraction

import sympy

from proofs_checks.definitions import Formulas
from proofs_checks.evidence import ExactCounterexample, ExactIdentity, Exhibit
from proofs_checks.ledger import Claim, Verdict
from proofs_checks.rational import (
    Matrix,
    column,
    dot,
    is_definite,
    is_semidefinite,
    matrix,
    negative_direction,
)

HESSIAN = matrix([2, 1], [1, 1])
MIXED = matrix([1, 0])


def claims(formulas: Formulas) -> tuple[Claim, ...]:
    gram = MIXED.T @ MIXED

    def similar() -> list[tuple[str, object, object]]:
        """H⁻¹AH has the characteristic polynomial of A, for all symmetric 2×2 H, A."""
        h = sympy.symbols("h11 h12 h22")
        a = sympy.symbols("a11 a12 a22")
        hessian = matrix([h[0], h[1]], [h[1], h[2]])
        symmetric = matrix([a[0], a[1]], [a[1], a[2]])
        similar_matrix = hessian.inverse() @ symmetric @ hessian
        return [
            ("trace", similar_matrix.trace(), symmetric.trace()),
            ("determinant", similar_matrix.determinant(), symmetric.determinant()),
        ]

    def form_is_indefinite() -> Exhibit:
        similar_matrix = HESSIAN.inverse() @ gram @ HESSIAN
        form = similar_matrix + similar_matrix.T
        direction = negative_direction(form) or column(0, 0)
        value = dot(direction, similar_matrix @ direction)
        return Exhibit(
            {"H": HESSIAN, "A": gram, "H⁻¹AH": similar_matrix, "v": direction, "vᵀH⁻¹AHv": value},
            {
                "H ≻ 0": is_definite(HESSIAN),
                "A ⪰ 0": is_semidefinite(gram),
                "H⁻¹AH has the eigenvalues 0, 1 of A": similar_matrix.trace() == 1
                and similar_matrix.determinant() == 0,
                "H⁻¹AH is not symmetric": similar_matrix != similar_matrix.T,
            },
            {"H⁻¹AH + HAH⁻¹ ⪰ 0": is_semidefinite(form), "vᵀH⁻¹AHv ≥ 0": value >= 0},
        )

    def ordering_fails() -> Exhibit:
        """The sums Σ aⱼbⱼ inside each eigenspace of A: a, b the coordinates of Hv and H⁻¹v."""
        beta = column(0, 1)
        ahead, behind = HESSIAN @ beta, HESSIAN.inverse() @ beta
        kernel, image = column(0, 1), column(1, 0)
        sums = {
            "eigenvalue 0": _share(ahead, behind, kernel),
            "eigenvalue 1": _share(ahead, behind, image),
        }
        truth = formulas.implicit(HESSIAN, MIXED, beta)
        amended = formulas.amended(HESSIAN, MIXED, beta, 1)
        return Exhibit(
            {"H": HESSIAN, "A": gram, "β = v": beta, "Σ aⱼbⱼ": sums, "g₂": truth, "g₂′": amended},
            {
                "A has these eigenvectors": gram @ kernel == column(0, 0) and gram @ image == image,
                "the sums add up to ‖v‖²": sum(sums.values()) == dot(beta, beta),
                "⟨g₂′, g₂⟩ is Σ over eigenspaces of eigenvalue × sum": dot(amended, truth)
                == sums["eigenvalue 1"],
            },
            {"Σ aⱼbⱼ ≥ 0 inside each eigenspace": all(s >= 0 for s in sums.values())},
        )

    def no_other_basis() -> list[tuple[str, object, object]]:
        """A sum inside an eigenspace is ⟨PHv, PH⁻¹v⟩: turning the basis does not change it."""
        t = sympy.Symbol("t", real=True)
        cosine, sine = (1 - t**2) / (1 + t**2), 2 * t / (1 + t**2)
        a, b = sympy.symbols("a1 a2"), sympy.symbols("b1 b2")
        turn = matrix([cosine, -sine], [sine, cosine])
        turned = dot(turn @ column(*a), turn @ column(*b))
        return [("Σ aⱼbⱼ in a turned basis", turned, a[0] * b[0] + a[1] * b[1])]

    return (
        Claim(
            id="A5",
            where="A.5",
            statement="H⁻¹AH + HAH⁻¹ ⪰ 0, since H⁻¹AH is similar to A ⪰ 0 and an eigenbasis of "
            "A can be taken with Σ aⱼbⱼ ≥ 0 inside each eigenspace.",
            assumptions="H ≻ 0, A = BᵀB",
            verdict=Verdict.FAILS,
            because="Similarity is true and says nothing on the form. The sums Σ aⱼbⱼ add up to "
            "‖v‖², but one of them can be negative, and no choice of basis changes it, for it is "
            "an inner product inside the eigenspace.",
            evidence=(
                ExactIdentity("the true half: similarity keeps the spectrum", similar),
                ExactCounterexample("the form is indefinite all the same", form_is_indefinite),
                ExactCounterexample("H, A, β for which the ordering fails", ordering_fails),
                ExactIdentity("and another basis does not help", no_other_basis),
            ),
            formula=r"H^{-1}A\,H\ \sim\ A\succeq 0\quad\nRightarrow\quad "
            r"v^\top H^{-1}A\,H\,v\geq 0",
        ),
    )


def _share(x: Matrix, y: Matrix, direction: Matrix) -> Fraction:
    """⟨Px, Py⟩ for the projection P on one direction."""
    return Fraction(dot(x, direction) * dot(y, direction) / dot(direction, direction))
