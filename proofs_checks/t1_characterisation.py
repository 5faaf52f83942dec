"""T1: Eq. 7 holds for every v exactly when H²A + AH² ⪰ 0."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from random import Random

import sympy
import z3

from proofs_checks.definitions import Formulas
from proofs_checks.evidence import (
    ExactCounterexample,
    ExactExample,
    ExactIdentity,
    Exhibit,
    PropertyTest,
    SmtProof,
)
from proofs_checks.instances import Instance, agreement, columns, definite, indefinite
from proofs_checks.ledger import Claim, Verdict
from proofs_checks.rational import (
    Matrix,
    column,
    diagonal,
    dot,
    is_semidefinite,
    matrix,
    negative_direction,
    random_matrix,
)


def claims(formulas: Formulas) -> tuple[Claim, ...]:
    def congruence(n: int, m: int) -> list[tuple[str, object, object]]:
        """⟨BHv, BH⁻¹v⟩ = ½uᵀSu at v = Hu, in symbols."""
        h = [[sympy.Symbol(f"h{min(i, j)}{max(i, j)}") for j in range(n)] for i in range(n)]
        hessian = Matrix.of(h)
        mixed = Matrix.of([sympy.Symbol(f"b{i}{j}") for j in range(n)] for i in range(m))
        u = column(*sympy.symbols(f"u:{n}"))
        v = hessian @ u
        amended = formulas.amended(hessian, mixed, v, 1)
        form = dot(u, formulas.angle_form(hessian, mixed) @ u)
        return [
            ("BH⁻¹v = Bu", formulas.implicit(hessian, mixed, v), -(mixed @ u)),
            ("⟨g₂′, g₂⟩", dot(amended, -(mixed @ u)), form / 2),
        ]

    def eigenvector_question() -> tuple[list[z3.BoolRef], z3.BoolRef]:
        a, b, c, x, y = z3.Reals("a b c x y")
        hessian, mixed = matrix([a, b], [b, c]), matrix([x, y])
        form = formulas.angle_form(hessian, mixed)
        psd = z3.And(form[0, 0] >= 0, form[1, 1] >= 0, form.determinant() >= 0)
        image = hessian @ mixed.T
        eigenvector = image[0, 0] * y - image[1, 0] * x == 0
        return [a > 0, a * c - b * b > 0, x * x + y * y == 1], psd == eigenvector

    def witness(rng: Random) -> Instance | None:
        """H, B with m < n, and the v = Hu that T1's failing form points to."""
        case = definite(rng, 3, rng.choice((1, 2)))
        u = negative_direction(formulas.angle_form(case.hessian, case.mixed))
        if u is None:
            return None
        return replace(case, slope=case.hessian @ u)

    def invariant(rng: Random) -> tuple[Instance, Matrix, Matrix]:
        """range(Bᵀ) spanned by m eigenvectors; with H and B restricted to it."""
        m = rng.choice((1, 2))
        case = definite(rng, 3, m)
        basis = columns(case.eigenvectors, m)
        mixed = random_matrix(rng, m, m) @ basis.T
        restricted = basis.T @ case.hessian @ basis
        moved = replace(case, mixed=mixed)
        return moved, restricted, mixed @ basis

    def restriction_agrees(drawn: tuple[Instance, Matrix, Matrix]) -> int:
        case, restricted, mixed = drawn
        whole = is_semidefinite(formulas.angle_form(case.hessian, case.mixed))
        return 1 if whole == is_semidefinite(formulas.angle_form(restricted, mixed)) else -1

    def never_generic(rng: Random) -> Instance | None:
        """H, B in general position with m < n: range(Bᵀ) is not H-invariant."""
        case = definite(rng, 3, rng.choice((1, 2)))
        gram = case.mixed.T @ case.mixed
        kernel_moves = gram @ case.hessian != case.hessian @ gram
        return case if kernel_moves and not _invariant_range(case) else None

    def fails_when_not_invariant(case: Instance) -> int:
        return -1 if is_semidefinite(formulas.angle_form(case.hessian, case.mixed)) else 1

    def sum_of_semidefinite(rng: Random) -> Instance | None:
        """Any invertible H whose form S is semi-definite: range(Bᵀ) from eigenvectors of H²."""
        case = indefinite(rng, 3, 1)
        mixed = columns(case.eigenvectors, 1).T
        moved = replace(case, mixed=mixed)
        form = formulas.angle_form(case.hessian, mixed)
        return moved if is_semidefinite(form) else None

    def invariant_is_not_enough() -> Exhibit:
        """range(Bᵀ) = span(e₁, e₂) is invariant, and S is indefinite on it."""
        hessian, mixed = diagonal(1, 2, 3), matrix([3, -2, 0], [-2, 3, 0])
        u = negative_direction(formulas.angle_form(hessian, mixed)) or column(0, 0, 0)
        slope = hessian @ u
        amended = formulas.amended(hessian, mixed, slope, 1)
        truth = formulas.implicit(hessian, mixed, slope)
        return Exhibit(
            {"H": hessian, "B": mixed, "v": slope, "⟨g₂′, g₂⟩": dot(amended, truth)},
            {"range(Bᵀ) is H-invariant": all(row[2] == 0 for row in mixed.entries)},
            {"⟨g₂′, g₂⟩ ≥ 0": dot(amended, truth) >= 0},
        )

    def holds_on_invariant() -> Exhibit:
        hessian, mixed = diagonal(1, 2, 3), matrix([2, -1, 0], [-1, 2, 0])
        form = formulas.angle_form(hessian, mixed)
        return Exhibit(
            {"H": hessian, "B": mixed, "S": form},
            {"H and A do not commute": hessian @ mixed.T @ mixed != mixed.T @ mixed @ hessian},
            {"S ⪰ 0": is_semidefinite(form)},
        )

    def indefinite_line() -> Exhibit:
        """For indefinite H only H²-invariance follows: H² = I, so that every v is safe."""
        hessian, mixed = matrix([0, 1], [1, 0]), matrix([1, 0])
        form = formulas.angle_form(hessian, mixed)
        image = hessian @ mixed.T
        return Exhibit(
            {"H": hessian, "B": mixed, "S": form, "HBᵀ": image},
            {"H is invertible and symmetric": True, "S ⪰ 0": is_semidefinite(form)},
            {"Bᵀ is an eigenvector of H": image[1, 0] == 0},
        )

    return (
        Claim(
            id="T1",
            where="new",
            statement="For fixed H ≻ 0 and B: ⟨g₂′, g₂⟩ ≥ 0 for every v ⇔ S = H²A + AH² ⪰ 0. If "
            "rank B < n this forces range(Bᵀ) to be H-invariant (for m = 1, B ≠ 0: Bᵀ an "
            "eigenvector).",
            assumptions="H ≻ 0 (the equivalence itself holds for every invertible symmetric H)",
            verdict=Verdict.HOLDS,
            because="At v = Hu the product is (η/2) uᵀSu; if u ∈ ker A then uᵀSu = 0, so S ⪰ 0 "
            "gives Su = AH²u = 0. With m < n it therefore fails for Lebesgue-almost every (H, B).",
            evidence=(
                ExactIdentity("the congruence, n = 2, m = 1", lambda: congruence(2, 1)),
                ExactIdentity("the congruence, n = 3, m = 2", lambda: congruence(3, 2)),
                SmtProof("n = 2, m = 1, B ≠ 0: S ⪰ 0 ⇔ Bᵀ is an eigenvector", eigenvector_question),
                PropertyTest(
                    "S not ⪰ 0 ⇒ its negative direction u gives a v = Hu that violates Eq. 7",
                    witness,
                    lambda case: -agreement(formulas, case),
                    count=100,
                    strict=True,
                ),
                PropertyTest(
                    "range(Bᵀ) not invariant, m < n ⇒ S not ⪰ 0",
                    never_generic,
                    fails_when_not_invariant,
                    count=100,
                    seed=1,
                ),
                PropertyTest(
                    "range(Bᵀ) invariant ⇒ S ⪰ 0 exactly when it is on that subspace",
                    invariant,
                    restriction_agrees,
                    count=100,
                    seed=2,
                ),
                PropertyTest(
                    "S ⪰ 0 ⇒ Eq. 7, H of any signature",
                    sum_of_semidefinite,
                    lambda case: agreement(formulas, case),
                    count=100,
                    seed=3,
                ),
                ExactCounterexample(
                    "an invariant range alone is not enough", invariant_is_not_enough
                ),
                ExactExample("S ⪰ 0 without H and A commuting", holds_on_invariant),
                ExactCounterexample("H ≻ 0 dropped: S ⪰ 0 and Bᵀ no eigenvector", indefinite_line),
            ),
            formula=r"\forall v:\ \langle g_2',g_2\rangle\geq 0\quad\Leftrightarrow\quad "
            r"S = H^2A + AH^2\succeq 0",
        ),
    )


def _invariant_range(case: Instance) -> bool:
    """Whether H maps range(Bᵀ) into itself, for B of full rank: H Bᵀ = Bᵀ(BBᵀ)⁻¹B H Bᵀ."""
    b = case.mixed
    gram = b @ b.T
    if gram.determinant() == Fraction(0):
        return True  # not full rank: leave it out
    return b.T @ gram.inverse() @ b @ case.hessian @ b.T == case.hessian @ b.T
