"""Appendix A.5: where the proof of Eq. 7 breaks, with the H, A and β that break it."""

from __future__ import annotations

from fractions import Fraction
from functools import partial
from random import Random

import sympy

from proofs_checks.definitions import Formulas
from proofs_checks.evidence import ExactCounterexample, ExactIdentity, Exhibit, PropertyTest
from proofs_checks.ledger import Claim, Verdict
from proofs_checks.rational import (
    Matrix,
    column,
    diagonal,
    dot,
    is_definite,
    matrix,
    random_matrix,
    square,
)


def claims(formulas: Formulas) -> tuple[Claim, ...]:
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

    def shown(copies: int, size: int) -> Exhibit:
        """H = diag(1, 7), B = (1 1), β = (1, −1), `copies` times side by side, padded to `size`.

        H is padded by ones, B and β by zeros. A has the eigenvalues 2 and 0 at every size.
        """
        hessian = diagonal(*([1, 7] * copies), *([1] * (size - 2 * copies)))
        mixed = Matrix.of([int(j // 2 == i) for j in range(size)] for i in range(copies))
        beta = column(*([1, -1] * copies), *([0] * (size - 2 * copies)))
        gram = mixed.T @ mixed
        inverse = hessian.inverse()
        form = hessian @ gram @ inverse + inverse @ gram @ hessian
        image = Fraction(1, 2) * gram  # the projection on the eigenvalue 2, for A² = 2A
        ahead, behind = hessian @ beta, inverse @ beta
        sums = {
            "eigenvalue 2": dot(image @ ahead, behind),
            "eigenvalue 0": dot(ahead - image @ ahead, behind),
        }
        value = Fraction(dot(beta, form @ beta) / square(beta))
        truth = formulas.implicit(hessian, mixed, beta)
        amended = formulas.amended(hessian, mixed, beta, 1)
        return Exhibit(
            {"n": size, "dim of eigenvalue 2": copies, "λ": value, "Σ aⱼbⱼ": sums},
            {
                "H ≻ 0": is_definite(hessian),
                "A has two eigenvalues, 2 and 0": gram @ gram == 2 * gram
                and gram.trace() == 2 * copies,
                "β is an eigenvector of HAH⁻¹ + H⁻¹AH": form @ beta == value * beta,
                "the sums add up to ‖β‖²": sum(sums.values()) == square(beta),
                "⟨g₂′, g₂⟩ at v = β is the sum of eigenvalue × sum": dot(amended, truth)
                == 2 * sums["eigenvalue 2"],
            },
            {
                "λ ≥ 0": value >= 0,
                "Σ aⱼbⱼ ≥ 0 in the eigenspace of 2": sums["eigenvalue 2"] >= 0,
                "⟨g₂′, g₂⟩ ≥ 0": dot(amended, truth) >= 0,
            },
        )

    def displayed() -> list[tuple[str, object, object]]:
        """Σ (λᵢ − λ)aᵢbᵢ = ⟨H⁻¹β, AHβ⟩ − λ‖β‖², and λ‖β‖² = 2⟨H⁻¹β, AHβ⟩ at an eigenvector."""
        h, b = sympy.symbols("h11 h12 h22"), sympy.symbols("b1 b2")
        x, y = sympy.symbols("x y")
        hessian, mixed = matrix([h[0], h[1]], [h[1], h[2]]), matrix(b)
        beta, gram, inverse = column(x, y), mixed.T @ mixed, hessian.inverse()
        form = hessian @ gram @ inverse + inverse @ gram @ hessian
        rayleigh = dot(beta, form @ beta) / square(beta)  # λ, where β is an eigenvector
        weighted = dot(inverse @ beta, gram @ hessian @ beta)  # Σ λᵢaᵢbᵢ
        return [
            ("Σ aᵢbᵢ = ‖β‖²", dot(inverse @ beta, hessian @ beta), square(beta)),
            (
                "Σ (λᵢ − λ)aᵢbᵢ = −(λ/2)‖β‖²",
                weighted - rayleigh * dot(inverse @ beta, hessian @ beta),
                -rayleigh * square(beta) / 2,
            ),
        ]

    def printed_equality() -> Exhibit:
        """Σ (λⱼ − λ)aⱼbⱼ = −‖Σ (λⱼ − λ)bⱼH⁻¹αⱼ‖²: n = 1, H = 1, A = 4; then the example's β."""
        eigenvalue = Fraction(4)
        value = 2 * eigenvalue  # λ of HAH⁻¹ + H⁻¹AH, at β = α = 1, where a = b = 1
        first = (eigenvalue - value, -((eigenvalue - value) ** 2))
        hessian, gram, beta = diagonal(1, 7), matrix([1, 1], [1, 1]), column(1, -1)
        inverse, lowest = hessian.inverse(), Fraction(-36, 7)
        # Σ (λⱼ − λ)bⱼαⱼ is (A − λ)Hβ
        weighted = gram @ hessian @ beta - lowest * (hessian @ beta)
        second = (dot(inverse @ beta, weighted), -square(inverse @ weighted))
        return Exhibit(
            {"left and right, n = 1": first, "left and right, β = (1, −1)": second},
            {"both are of the printed form": first[1] <= 0 and second[1] <= 0},
            {
                "equal, n = 1": first[0] == first[1],
                "equal, β = (1, −1)": second[0] == second[1],
                "the left is ≤ 0": second[0] <= 0,
            },
        )

    def one_row() -> list[tuple[str, object, object]]:
        """m = 1: the trace and the sum of the squares of two eigenvalues, the others being 0."""
        b = column(*sympy.symbols("b1 b2 b3"))
        d = sympy.symbols("d1 d2 d3", positive=True)
        hessian, gram = diagonal(*d), b @ b.T
        inverse = diagonal(*(1 / x for x in d))
        form = hessian @ gram @ inverse + inverse @ gram @ hessian
        lengths = square(hessian @ b) * square(inverse @ b)
        return [
            ("sum of the eigenvalues", form.trace(), 2 * square(b)),
            (
                "sum of their squares",
                (form @ form).trace(),
                2 * (square(b) ** 2 + lengths),
            ),
            ("determinant (rank 2 of 3)", form.determinant(), sympy.Integer(0)),
        ]

    def generic_rank(rng: Random) -> Matrix | None:
        """A = BᵀB of a random m×n B, m < n, with the m non-zero eigenvalues of BBᵀ."""
        mixed = random_matrix(rng, 2, 4)
        return mixed if (mixed @ mixed.T).determinant() != 0 else None

    def distinct(mixed: Matrix) -> Fraction:
        """The discriminant of BBᵀ's characteristic polynomial, m = 2: 0 where they coincide."""
        small = mixed @ mixed.T
        return Fraction(small.trace() ** 2 - 4 * small.determinant())

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
            statement="H⁻¹AH + HAH⁻¹ ⪰ 0: let β be an eigenvector of it with eigenvalue λ. A has "
            "few different eigenvalues, so its eigenspaces are large and in most cases an "
            "eigenbasis can be chosen with Σ aⱼbⱼ ≥ 0 inside each of them; hence λ ≥ 0. Here aⱼ, "
            "bⱼ are the coordinates of H⁻¹β and Hβ.",
            assumptions="H ≻ 0, A = BᵀB; the premises of A.5 as it states them",
            verdict=Verdict.FAILS,
            because="With Σ aⱼbⱼ ≥ 0 in each eigenspace, λ‖β‖² = 2Σ λⱼaⱼbⱼ ≥ 0 is immediate: all "
            "rests on that premise. But Σ aⱼbⱼ is an inner product inside the eigenspace, so no "
            "choice of basis changes it, and for H = diag(1, 7), B = (1 1), β = (1, −1) it is "
            "negative, at every n and for large eigenspaces too. For a generic B the only large "
            "eigenspace is ker A, whose sum does not count: its eigenvalue is 0. The displayed "
            "inequality Σ (λⱼ − λ)aⱼbⱼ ≤ 0 says −(λ/2)‖β‖² ≤ 0: it presupposes λ ≥ 0.",
            evidence=(
                ExactIdentity("the true half: similarity keeps the spectrum", similar),
                ExactIdentity("the displayed inequality is λ ≥ 0 itself", displayed),
                ExactCounterexample("the displayed equality, as printed", printed_equality),
                *(
                    ExactCounterexample(
                        f"A.5's premises hold and λ = −36/7: n = {size}, {copies} of 2 × 2",
                        partial(shown, copies, size),
                    )
                    for copies, size in ((1, 2), (1, 3), (1, 6), (2, 4), (3, 6))
                ),
                ExactIdentity("and another basis does not help", no_other_basis),
                ExactIdentity("m = 1: the eigenvalues ‖b‖² ± ‖Hb‖‖H⁻¹b‖, n = 3", one_row),
                PropertyTest(
                    "random B, m = 2, n = 4: the non-zero eigenvalues of A are simple",
                    generic_rank,
                    distinct,
                    strict=True,
                ),
            ),
            formula=r"H^{-1}A\,H\ \sim\ A\succeq 0\quad\nRightarrow\quad "
            r"v^\top H^{-1}A\,H\,v\geq 0",
        ),
    )
