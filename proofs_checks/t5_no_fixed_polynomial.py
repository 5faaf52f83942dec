"""T5: no fixed polynomial in H has the guarantee: a B that breaks it is constructed."""

from __future__ import annotations

from fractions import Fraction
from random import Random

from proofs_checks.definitions import Formulas
from proofs_checks.evidence import ExactCounterexample, ExactIdentity, Exhibit, PropertyTest
from proofs_checks.instances import Instance, definite
from proofs_checks.ledger import Claim, Verdict
from proofs_checks.rational import Matrix, column, diagonal, dot, parallel, square


def breaking_row(q: Matrix, truth: Matrix) -> Matrix:
    """b with bᵀq > 0 > bᵀy, for q ≠ 0 that is no positive multiple of y = H⁻¹v.

    b = q − ty has bᵀq = ‖q‖² − tqᵀy and bᵀy = qᵀy − t‖y‖²: any t between qᵀy/‖y‖² and ‖q‖²/qᵀy
    will do, an interval that is open because (qᵀy)² < ‖q‖²‖y‖².
    """
    inner = dot(q, truth)
    if square(q) == 0 or (inner > 0 and parallel(q, truth)):
        raise ValueError(f"q = {q} is zero or a positive multiple of {truth}: no row can break it")
    if inner > 0:
        t = (inner / square(truth) + square(q) / inner) / 2
    else:
        t = Fraction(0) if inner < 0 else Fraction(1)
    row: Matrix = q - t * truth
    return row.T


def claims(formulas: Formulas) -> tuple[Claim, ...]:
    def polynomial(rng: Random) -> tuple[Instance, Matrix] | None:
        """H ≻ 0 and q = p(H)v: amended, DARTS, Neumann or Landweber with K ≤ 3."""
        case = definite(rng, 3, 1)
        steps = rng.randint(0, 3)
        largest = max(case.eigenvalues)
        kind = rng.randrange(3)
        if kind == 0:
            q = formulas.landweber(case.hessian, case.slope, 1 / largest**2, max(steps, 1))
        elif kind == 1:
            q = formulas.neumann(case.hessian, case.slope, 1 / largest, steps)
        else:
            p = [Fraction(rng.randint(-3, 3)) for _ in range(3)]
            powers = [case.hessian.power(k) @ case.slope for k in range(3)]
            q = p[0] * powers[0] + p[1] * powers[1] + p[2] * powers[2]
        truth = case.hessian.inverse() @ case.slope
        if square(q) == 0 or (parallel(q, truth) and dot(q, truth) > 0):
            return None
        return case, q

    def broken(drawn: tuple[Instance, Matrix]) -> Fraction:
        case, q = drawn
        truth = case.hessian.inverse() @ case.slope
        mixed = breaking_row(q, truth)
        return Fraction(-dot(mixed @ q, -formulas.implicit(case.hessian, mixed, case.slope)))

    def amended_broken(case: Instance) -> Fraction:
        q = formulas.landweber(case.hessian, case.slope, Fraction(1), 1)
        mixed = breaking_row(q, case.hessian.inverse() @ case.slope)
        return Fraction(
            -dot(
                formulas.amended(case.hessian, mixed, case.slope, 1),
                formulas.implicit(case.hessian, mixed, case.slope),
            )
        )

    def not_parallel(rng: Random) -> Instance | None:
        case = definite(rng, 3, 1)
        return None if parallel(case.slope, case.hessian.power(2) @ case.slope) else case

    def zero_is_an_exception() -> Exhibit:
        """p = 0, first-order DARTS: 0 is no positive multiple, and no product is negative."""
        hessian, slope = diagonal(1, 2), column(1, 1)
        q = 0 * slope
        rows = [column(x, y).T for x in range(-2, 3) for y in range(-2, 3)]
        products = [dot(mixed @ q, -formulas.implicit(hessian, mixed, slope)) for mixed in rows]
        return Exhibit(
            {"q": q, "rows b tried": len(rows)},
            {"q is no positive multiple of H⁻¹v": square(q) == 0},
            {"some b gives ⟨Bq, BH⁻¹v⟩ < 0": any(p < 0 for p in products)},
        )

    def fixed_for_one_hessian() -> list[tuple[str, object, object]]:
        """For one H, (tr H − H)/det H is the inverse: p must not depend on H for T5 to bite."""
        rng, sides = Random(3), list[tuple[str, object, object]]()
        for k in range(3):
            case = definite(rng, 2, 1)
            h = case.hessian
            inverse = (1 / h.determinant()) * (h.trace() * diagonal(1, 1) - h)
            sides.append((f"instance {k + 1}", inverse, h.inverse()))
        return sides

    return (
        Claim(
            id="T5",
            where="new",
            statement="If q = p(H)v ≠ 0 is not a positive multiple of H⁻¹v, some B, even with "
            "m = 1, gives ⟨Bq, BH⁻¹v⟩ < 0. So no polynomial fixed in advance has the guarantee.",
            assumptions="q ≠ 0",
            verdict=Verdict.HOLDS,
            because="Choose b with bᵀq > 0 > bᵀH⁻¹v; it is constructed in rational arithmetic. "
            "q = 0 (first order) must be excepted: its product is 0. T11 says how much a "
            "polynomial can guarantee when ‖Bq‖ is known to be large.",
            evidence=(
                PropertyTest(
                    "a breaking B, for 200 random polynomials", polynomial, broken, strict=True
                ),
                PropertyTest("a breaking B for amended", not_parallel, amended_broken, strict=True),
                ExactCounterexample("q = 0 cannot be broken", zero_is_an_exception),
                ExactIdentity(
                    "a polynomial that may depend on H can be H⁻¹", fixed_for_one_hessian
                ),
            ),
            formula=r"b^\top q>0>b^\top H^{-1}v",
        ),
    )
