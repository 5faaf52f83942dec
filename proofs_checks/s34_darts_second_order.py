"""§3.4: the amended term beside DARTS's second order: guarantees, and validation accuracies."""

from __future__ import annotations

from fractions import Fraction

import sympy

from proofs_checks.definitions import Formulas
from proofs_checks.evidence import ExactCounterexample, ExactExample, ExactIdentity, Exhibit
from proofs_checks.ledger import Claim, Verdict
from proofs_checks.paper import not_tested
from proofs_checks.rational import Matrix, column, diagonal, dot, is_definite, matrix

VALIDATION = "It needs searches in S1, 3 seeds or more, with the same split and batches"
UNTESTED = (
    ("§3.4c", f"{VALIDATION}, at the paper's size: 8 cells, all of CIFAR-10."),
    ("§3.4f", "It needs the networks found by each, retrained alike, beside those accuracies."),
)


def claims(formulas: Formulas) -> tuple[Claim, ...]:
    def products(hessian: Matrix, mixed: Matrix, slope: Matrix) -> dict[str, Fraction]:
        truth = formulas.implicit(hessian, mixed, slope)
        return {
            "DARTS": dot(formulas.darts(mixed, slope, 1), truth),
            "amended": dot(formulas.amended(hessian, mixed, slope, 1), truth),
        }

    def both_wrong() -> Exhibit:
        hessian, mixed, slope = diagonal(1, 4), matrix([1, 1]), column(3, -4)
        found = products(hessian, mixed, slope)
        return Exhibit(
            {"H": hessian, "B": mixed, "v": slope, **found},
            {"H ≻ 0": is_definite(hessian)},
            {
                "DARTS agrees in sign": found["DARTS"] > 0,
                "amended agrees in sign": found["amended"] > 0,
            },
        )

    def darts_wrong() -> Exhibit:
        hessian, mixed, slope = diagonal(1, 4), matrix([1, 1]), column(3, -4)
        found = products(hessian, mixed, slope)
        return Exhibit(
            {"H": hessian, "B": mixed, "v": slope, "⟨DARTS, g₂⟩": found["DARTS"]},
            {"H ≻ 0": is_definite(hessian)},
            {"it is negative": found["DARTS"] < 0},
        )

    def only_amended_wrong() -> Exhibit:
        hessian, mixed, slope = diagonal(1, 4), matrix([1, 1]), column(2, -1)
        found = products(hessian, mixed, slope)
        return Exhibit(
            {"H": hessian, "B": mixed, "v": slope, **found},
            {"H ≻ 0": is_definite(hessian), "DARTS agrees in sign": found["DARTS"] > 0},
            {"amended agrees in sign": found["amended"] > 0},
        )

    def indefinite() -> Exhibit:
        """B = I: the angle to H⁻¹v itself."""
        hessian, mixed, slope = diagonal(1, -1), diagonal(1, 1), column(1, 2)
        found = products(hessian, mixed, slope)
        return Exhibit(
            {"H": hessian, "B": mixed, "v": slope, **found},
            {"H is indefinite": hessian.determinant() < 0},
            {
                "amended agrees in sign": found["amended"] > 0,
                "DARTS does not": found["DARTS"] < 0,
            },
        )

    def unrolled() -> list[tuple[str, object, object]]:
        """d/dα of L_val(ω − ξ∇_ωL_train(ω, α), α), losses of fourth and third degree."""
        omega, alpha, xi = sympy.symbols("omega alpha xi", real=True)
        inner = omega**4 / 4 + alpha**2 * omega**2 / 2 - alpha * omega
        outer = (omega - 1) ** 2 + alpha * omega**3
        ahead = omega - xi * sympy.diff(inner, omega)
        mixed = matrix([sympy.diff(inner, alpha, omega)])
        slope = column(sympy.diff(outer, omega).subs(omega, ahead))
        direct = sympy.diff(outer, alpha).subs(omega, ahead)
        return [
            (
                "derivative of L_val one step of ω ahead",
                direct + formulas.darts(mixed, slope, xi)[0, 0],
                sympy.diff(outer.subs(omega, ahead), alpha),
            )
        ]

    def start_of_the_series() -> list[tuple[str, object, object]]:
        hessian, mixed, slope = diagonal(1, 4), matrix([1, 1]), column(2, -1)
        eighth = Fraction(1, 8)
        series = formulas.neumann(hessian, slope, eighth, 0)
        return [
            (
                "−Bq, q the Neumann series' first term",
                -(mixed @ series),
                formulas.darts(mixed, slope, eighth),
            )
        ]

    return (
        *(not_tested(claim_id, because) for claim_id, because in UNTESTED),
        Claim(
            id="§3.4a",
            where="§1; §3.3; §3.4",
            statement="DARTS's second-order term can make an angle above 90° with the true one.",
            assumptions="H ≻ 0; the term with its slope taken at ω*",
            verdict=Verdict.HOLDS,
            because="It can, as can the amended one (E7) and every other fixed polynomial in H "
            "(T5).",
            evidence=(
                ExactExample("H ≻ 0, DARTS's product is negative", darts_wrong),
                ExactExample("H indefinite: DARTS wrong, amended right", indefinite),
            ),
        ),
        Claim(
            id="§3.4b",
            where="§3.4",
            statement="Nothing in mathematics explains DARTS's second-order term.",
            assumptions="none",
            verdict=Verdict.FAILS,
            because="It is the exact derivative of L_val after one step of ω, the objective that "
            "DARTS names, and the first term of the Neumann series of H⁻¹ (E6). What it lacks is a "
            "guarantee on its angle to g₂.",
            evidence=(
                ExactIdentity("it is the derivative of the unrolled L_val", unrolled),
                ExactIdentity("it is the first term of a series for H⁻¹", start_of_the_series),
            ),
        ),
        Claim(
            id="§3.4",
            where="§3.4",
            statement="The amended term has a guarantee on its angle which DARTS's second-order "
            "term lacks.",
            assumptions="H ≻ 0",
            verdict=Verdict.FAILS,
            because="Both lack it (E7, T5), and for H ≻ 0 DARTS is never further from H⁻¹v (T4). "
            "What is true: for indefinite H amended keeps the right sign on average and DARTS "
            "does not (T3c).",
            evidence=(
                ExactCounterexample("H ≻ 0, both wrong", both_wrong),
                ExactCounterexample(
                    "H ≻ 0, amended wrong where DARTS is right", only_amended_wrong
                ),
                ExactExample("H indefinite: amended right, DARTS wrong", indefinite),
            ),
        ),
    )
