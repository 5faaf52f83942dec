"""§3.4: DARTS's second-order term has no such guarantee and the amended one has. Both lack it."""

from __future__ import annotations

from fractions import Fraction

from proofs_checks.definitions import Formulas
from proofs_checks.evidence import ExactCounterexample, ExactExample, Exhibit
from proofs_checks.ledger import Claim, Verdict
from proofs_checks.rational import Matrix, column, diagonal, dot, is_definite, matrix


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

    return (
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
