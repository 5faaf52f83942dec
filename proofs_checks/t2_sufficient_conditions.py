"""T2: conditions under which Eq. 7 does hold, and what happens without each of their hypotheses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from random import Random

import sympy

from proofs_checks.definitions import Formulas
from proofs_checks.evidence import (
    Evidence,
    ExactCounterexample,
    ExactExample,
    ExactIdentity,
    Exhibit,
    PropertyTest,
)
from proofs_checks.instances import Instance, agreement, columns, indefinite
from proofs_checks.ledger import Claim, Verdict
from proofs_checks.rational import (
    Matrix,
    column,
    diagonal,
    dot,
    identity,
    is_definite,
    is_semidefinite,
    matrix,
    parallel,
    random_matrix,
    random_rotation,
    square,
)


def claims(formulas: Formulas) -> tuple[Claim, ...]:
    def exhibit(
        hessian: Matrix, mixed: Matrix, slope: Matrix, premises: dict[str, bool]
    ) -> Exhibit:
        """Shown: premises hold; concluded: ⟨g₂′, g₂⟩ ≥ 0."""
        amended = formulas.amended(hessian, mixed, slope, 1)
        truth = formulas.implicit(hessian, mixed, slope)
        product = dot(amended, truth)
        return Exhibit(
            {"H": hessian, "B": mixed, "v": slope, "⟨g₂′, g₂⟩": product},
            premises,
            {"⟨g₂′, g₂⟩ ≥ 0": product >= 0},
        )

    def holds(
        label: str, draw: Callable[[Random], Instance | None], seed: int, count: int = 150
    ) -> PropertyTest:
        return PropertyTest(
            label, draw, lambda case: agreement(formulas, case), count=count, seed=seed
        )

    # a. HA = AH
    def commuting(rng: Random) -> Instance:
        case = indefinite(rng, 3, 3)
        squares = [Fraction(rng.randint(0, 5)) for _ in range(3)]
        turn = random_rotation(rng, 3)
        mixed = turn @ diagonal(*squares) @ case.eigenvectors.T
        return replace(case, mixed=mixed)

    def commuting_identity() -> list[tuple[str, object, object]]:
        l1, l2, b1, b2, v1, v2 = sympy.symbols("l1 l2 b1 b2 v1 v2")
        hessian, mixed, slope = diagonal(l1, l2), diagonal(b1, b2), column(v1, v2)
        product = dot(
            formulas.amended(hessian, mixed, slope, 1), formulas.implicit(hessian, mixed, slope)
        )
        return [("⟨g₂′, g₂⟩ = η‖Bv‖² in the common eigenbasis", product, square(mixed @ slope))]

    def not_commuting() -> Exhibit:
        hessian, mixed = matrix([2, 1], [1, 1]), matrix([1, 0])
        gram = mixed.T @ mixed
        return exhibit(
            hessian,
            mixed,
            column(0, 1),
            {"H ≻ 0": is_definite(hessian), "HA ≠ AH": hessian @ gram != gram @ hessian},
        )

    # b. v an eigenvector
    def eigenvector(rng: Random) -> Instance:
        case = indefinite(rng, 3, 2)
        return replace(case, slope=columns(case.eigenvectors, 1))

    def no_eigenvector() -> Exhibit:
        hessian, slope = diagonal(1, 4), column(2, -1)
        return exhibit(
            hessian,
            matrix([1, 1]),
            slope,
            {"H ≻ 0": True, "v is no eigenvector": not parallel(slope, hessian @ slope)},
        )

    def eigenvector_of_gram() -> Exhibit:
        """v spans the top eigenspace of A, and that does not help."""
        hessian = matrix([25, 24, 0], [24, 25, 0], [0, 0, 7])
        mixed, slope = matrix([4, 0, 3], [0, 5, 0]), column(4, 0, 3)
        gram = mixed.T @ mixed
        return exhibit(
            hessian,
            mixed,
            slope,
            {
                "H ≻ 0": is_definite(hessian),
                "Av = 25v": gram @ slope == 25 * slope,
                "A ⪯ 25 I": is_semidefinite(25 * identity(3) - gram),
            },
        )

    # c. H = cI
    def scalar_hessian(rng: Random) -> Instance:
        case = indefinite(rng, 3, 2)
        c = Fraction(rng.choice((-1, 1)) * rng.randint(1, 9), rng.randint(1, 4))
        return replace(case, hessian=c * identity(3))

    def two_eigenvalues() -> Exhibit:
        return exhibit(
            diagonal(1, 2),
            matrix([1, 1]),
            column(3, -2),
            {"H ≻ 0, n = 2": True, "H is no multiple of I": True},
        )

    # d. n = 1
    def one_dimensional(rng: Random) -> Instance:
        return indefinite(rng, 1, 3)

    # e. Gustafson
    def gustafson(rng: Random) -> Instance | None:
        """κ_A at most the bound, H of any signature; half the draws lie on the bound itself."""
        case = indefinite(rng, 2, 2)
        kappa = case.condition
        largest = ((kappa + 1) / (kappa - 1)) ** 2 if kappa != 1 else Fraction(50)
        # the bound in closed form: (κ_A − 1)/(κ_A + 1) ≤ 2κ/(κ² + 1) ⇔ κ_A ≤ ((κ + 1)/(κ − 1))²
        low = Fraction(rng.randint(1, 5))
        share = Fraction(1) if rng.random() < 0.5 else Fraction(rng.randint(0, 9), 10)
        ratio = 1 + share * (((kappa + 1) / (kappa - 1) if kappa != 1 else 7) - 1)
        turn, own = random_rotation(rng, 2), random_rotation(rng, 2)
        mixed = turn @ diagonal(low, low * ratio) @ own.T
        assert ratio**2 <= largest
        return replace(case, mixed=mixed)

    def gustafson_margin(case: Instance) -> Fraction:
        """⟨g₂′, g₂⟩, and the stated bound must admit the instance."""
        gram = case.mixed.T @ case.mixed
        trace, determinant = gram.trace(), gram.determinant()
        # (κ_A − 1)/(κ_A + 1) squared is (tr² − 4 det)/tr²: the bound in rational numbers
        admitted = (trace**2 - 4 * determinant) / trace**2
        kappa = case.condition
        allowed = formulas.gustafson_slack(Fraction(1), kappa) ** 2
        return min(agreement(formulas, case), Fraction(allowed - admitted))

    def gustafson_tight() -> Exhibit:
        hessian, mixed, slope = diagonal(1, 2), matrix([2, -1], [-1, 2]), column(1, 1)
        gram = mixed.T @ mixed
        slack = formulas.gustafson_slack(Fraction(9), Fraction(2))
        product = dot(
            formulas.amended(hessian, mixed, slope, 1), formulas.implicit(hessian, mixed, slope)
        )
        return Exhibit(
            {"H": hessian, "A": gram, "v": slope, "⟨g₂′, g₂⟩": product, "slack": slack},
            {"A has eigenvalues 1 and 9": gram.trace() == 10 and gram.determinant() == 9},
            {"the slack is 0": slack == 0, "⟨g₂′, g₂⟩ = 0": product == 0},
        )

    def gustafson_beyond() -> Exhibit:
        hessian, mixed = diagonal(1, 2), matrix([3, -2], [-2, 3])
        gram = mixed.T @ mixed
        return exhibit(
            hessian,
            mixed,
            column(1, 1),
            {
                "A has eigenvalues 1 and 25": gram.trace() == 26 and gram.determinant() == 25,
                "the slack is negative": formulas.gustafson_slack(Fraction(25), Fraction(2)) < 0,
            },
        )

    def gustafson_singular() -> Exhibit:
        hessian, mixed = diagonal(1, 2), matrix([1, -1])
        gram = mixed.T @ mixed
        return exhibit(
            hessian,
            mixed,
            column(1, 1),
            {
                "A ⪰ 0 is singular": gram.determinant() == 0,
                "its non-zero eigenvalues have ratio 1": gram.trace() == 2,
            },
        )

    # f. eigenvectors span the range, A a multiple of I on it
    def projector(rng: Random) -> Instance:
        case = indefinite(rng, 3, 2)
        turn = random_rotation(rng, 2)
        scale = Fraction(rng.randint(1, 6), rng.randint(1, 3))
        return replace(case, mixed=scale * (turn @ columns(case.eigenvectors, 2).T))

    def projector_commutes() -> list[tuple[str, object, object]]:
        rng = Random(4)
        sides: list[tuple[str, object, object]] = []
        for k in range(10):
            case = projector(rng)
            gram = case.mixed.T @ case.mixed
            sides.append((f"HA = AH, instance {k + 1}", case.hessian @ gram, gram @ case.hessian))
        return sides

    def not_a_multiple() -> Exhibit:
        hessian, mixed = diagonal(1, 2, 3), matrix([3, -2, 0], [-2, 3, 0])
        return exhibit(
            hessian,
            mixed,
            column(1, 1, 0),
            {"range(Bᵀ) = span(e₁, e₂), eigenvectors": all(r[2] == 0 for r in mixed.entries)},
        )

    def not_spanned() -> Exhibit:
        hessian, mixed = matrix([2, 1], [1, 1]), matrix([1, 0])
        gram = mixed.T @ mixed
        return exhibit(
            hessian,
            mixed,
            column(0, 1),
            {"A is the identity on range(Bᵀ)": gram @ mixed.T == mixed.T},
        )

    # g. only the invariant subspace that v lies in matters
    def invariant_subspace(rng: Random) -> Instance | None:
        """v in a plane K spanned by eigenvectors, A rank 2 of 3, Gustafson's bound on K."""
        case = indefinite(rng, 3, 2)
        basis = columns(case.eigenvectors, 2)
        slope = basis @ random_matrix(rng, 2, 1)
        sizes = [abs(x) for x in case.eigenvalues[:2]]
        kappa = max(sizes) / min(sizes)
        compressed = basis.T @ case.mixed.T @ case.mixed @ basis
        trace, determinant = compressed.trace(), compressed.determinant()
        if square(slope) == 0 or determinant == 0:
            return None
        spread = (trace**2 - 4 * determinant) / trace**2
        if spread > formulas.gustafson_slack(Fraction(1), kappa) ** 2:
            return None
        return replace(case, slope=slope)

    def compression_identity() -> list[tuple[str, object, object]]:
        rng = Random(6)
        sides: list[tuple[str, object, object]] = []
        for k in range(10):
            case = indefinite(rng, 4, 2)
            basis = columns(case.eigenvectors, 2)
            w = random_matrix(rng, 2, 1)
            whole = agreement(formulas, replace(case, slope=basis @ w))
            small = agreement(
                formulas,
                replace(
                    case,
                    hessian=basis.T @ case.hessian @ basis,
                    mixed=case.mixed @ basis,
                    slope=w,
                ),
            )
            sides.append((f"instance {k + 1}", whole, small))
        return sides

    plane_hessian, plane_mixed = diagonal(1, 2, 9), matrix([2, -1, 1], [-1, 2, 4])

    def inside_the_plane() -> Exhibit:
        compressed = matrix([2, -1], [-1, 2])
        gram = compressed.T @ compressed
        return exhibit(
            plane_hessian,
            plane_mixed,
            column(1, 3, 0),
            {
                "rank A = 2 < 3, S is not ⪰ 0": not is_semidefinite(
                    formulas.angle_form(plane_hessian, plane_mixed)
                ),
                "κ(A on K) = 9, κ(H on K) = 2": gram.trace() == 10 and gram.determinant() == 9,
            },
        )

    def outside_the_plane() -> Exhibit:
        slope, outside = column(0, 1, -1), "v is not in K = span(e₁, e₂)"
        return exhibit(plane_hessian, plane_mixed, slope, {outside: slope[2, 0] != 0})

    def condition(
        letter: str,
        statement: str,
        because: str,
        evidence: tuple[Evidence, ...],
        formula: str = "",
    ) -> Claim:
        return Claim(
            id=f"T2{letter}",
            where="new",
            statement=statement,
            assumptions="H symmetric and invertible; it need not be positive definite",
            verdict=Verdict.HOLDS,
            because=because,
            evidence=evidence,
            formula=formula,
        )

    return (
        condition(
            "a",
            "HA = AH ⇒ ⟨g₂′, g₂⟩ ≥ 0.",
            "Then H⁻¹AH = A and the product is η‖Bv‖².",
            (
                ExactIdentity("the product is η‖Bv‖²", commuting_identity),
                holds("commuting instances, n = 3", commuting, 0),
                ExactCounterexample("HA ≠ AH", not_commuting),
            ),
            r"HA=AH\ \Rightarrow\ \langle g_2',g_2\rangle=\eta\|Bv\|^2",
        ),
        condition(
            "b",
            "v an eigenvector of H ⇒ ⟨g₂′, g₂⟩ ≥ 0.",
            "Hv = λv, H⁻¹v = v/λ: the product is η‖Bv‖². That v is an eigenvector of A, even the "
            "top one, is not enough.",
            (
                holds("eigenvector instances, n = 3", eigenvector, 1),
                ExactCounterexample("v no eigenvector of H", no_eigenvector),
                ExactCounterexample("v a top eigenvector of A instead", eigenvector_of_gram),
            ),
            r"Hv=\lambda v\ \Rightarrow\ \langle g_2',g_2\rangle=\eta\|Bv\|^2",
        ),
        condition(
            "c",
            "H = cI ⇒ ⟨g₂′, g₂⟩ ≥ 0.",
            "A case of a.",
            (
                holds("scalar H, n = 3", scalar_hessian, 2),
                ExactCounterexample("H = diag(1, 2)", two_eigenvalues),
            ),
        ),
        condition(
            "d",
            "n = 1 ⇒ ⟨g₂′, g₂⟩ ≥ 0.",
            "A case of c: every 1×1 matrix is a multiple of I. The toy A.1 is such a case.",
            (
                holds("n = 1, m = 3", one_dimensional, 3),
                ExactCounterexample("n = 2", two_eigenvalues),
            ),
        ),
        condition(
            "e",
            "A ≻ 0 and (κ_A − 1)/(κ_A + 1) ≤ 2κ_H/(κ_H² + 1) ⇒ ⟨g₂′, g₂⟩ ≥ 0, κ_H = "
            "max|λ|/min|λ|. Equivalently κ_A ≤ ((κ_H + 1)/(κ_H − 1))².",
            "Gustafson: A turns a vector by at most φ_A, sin φ_A = (κ_A − 1)/(κ_A + 1), H² by at "
            "most φ, cos φ = 2κ_H/(κ_H² + 1), and φ_A + φ ≤ 90°. It depends on H² only, and it is "
            "tight for n = 2.",
            (
                PropertyTest(
                    "instances up to and on H's bound", gustafson, gustafson_margin, 150, 5
                ),
                ExactExample("on the bound the product can be 0", gustafson_tight),
                ExactCounterexample("κ_A beyond the bound", gustafson_beyond),
                ExactCounterexample("A ⪰ 0 singular", gustafson_singular),
            ),
            r"\frac{\kappa_A-1}{\kappa_A+1}\leq\frac{2\kappa_H}{\kappa_H^2+1}",
        ),
        condition(
            "f",
            "range(Bᵀ) spanned by eigenvectors of H and A a multiple of the identity on it ⇒ "
            "⟨g₂′, g₂⟩ ≥ 0.",
            "A = aP with P the projection on an H-invariant subspace, so HA = AH: a case of a.",
            (
                holds("projector instances, n = 3, m = 2", projector, 4),
                ExactIdentity("they commute: f is contained in a", projector_commutes),
                ExactCounterexample("A not a multiple of I on its range", not_a_multiple),
                ExactCounterexample("range(Bᵀ) not spanned by eigenvectors", not_spanned),
            ),
        ),
        condition(
            "g",
            "Given v, each condition a–f need only hold on an H-invariant subspace K that contains "
            "v, for H restricted to K and A compressed to K: A may be singular outside.",
            "Hv and H⁻¹v both lie in K, so the product sees B only on K. For rank-deficient A, "
            "where T1 rules Eq. 7 out for some v, this says for which v it holds.",
            (
                ExactIdentity("the product is that of the compression", compression_identity),
                holds("rank A = 2 < n = 3, Gustafson's bound on K", invariant_subspace, 7, 100),
                ExactExample("v in K: right although S is not ⪰ 0", inside_the_plane),
                ExactCounterexample("v outside K, same H and B", outside_the_plane),
            ),
        ),
    )
