"""Eq. 7: the amended term never makes more than 90° with the true one. False as stated."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

from proofs_checks.definitions import Formulas
from proofs_checks.evidence import ExactCounterexample, ExactExample, Exhibit
from proofs_checks.ledger import Claim, Verdict
from proofs_checks.rational import column, dot, is_definite, matrix, square

ETA = Fraction(1, 10)


def claims(formulas: Formulas) -> tuple[Claim, ...]:
    def smallest() -> Exhibit:
        hessian, mixed, slope = matrix([2, 1], [1, 1]), matrix([1, 0]), column(0, 1)
        truth = formulas.implicit(hessian, mixed, slope)
        amended = formulas.amended(hessian, mixed, slope, ETA)
        return Exhibit(
            {"H": hessian, "B": mixed, "v": slope, "g₂": truth, "g₂′ (η = 1/10)": amended},
            {
                "H ≻ 0": is_definite(hessian),
                "g₂ = +1": truth == column(1),
                "g₂′ = −η": amended == column(-ETA),
                "DARTS is zero": formulas.darts(mixed, slope, 1) == column(0),
            },
            {"⟨g₂′, g₂⟩ ≥ 0": dot(amended, truth) >= 0},
        )

    def wrong_where_darts_is_right() -> Exhibit:
        hessian, mixed = matrix([2, 1], [1, 1]), matrix([1, 0])
        slope = column(Fraction(-1, 10), 1)
        truth = formulas.implicit(hessian, mixed, slope)
        amended = formulas.amended(hessian, mixed, slope, ETA)
        darts = formulas.darts(mixed, slope, 1)
        return Exhibit(
            {"v": slope, "g₂": truth, "g₂′": amended, "DARTS (ξ = 1)": darts},
            {
                "g₂ = 11/10": truth == column(Fraction(11, 10)),
                "g₂′ = −4η/5": amended == column(-ETA * Fraction(4, 5)),
                "DARTS = ξ/10": darts == column(Fraction(1, 10)),
                "DARTS agrees in sign": dot(darts, truth) > 0,
            },
            {"⟨g₂′, g₂⟩ ≥ 0": dot(amended, truth) >= 0},
        )

    def right_where_darts_is_wrong() -> Exhibit:
        hessian = matrix([5, -2, -2], [-2, 4, 1], [-2, 1, 2])
        mixed, slope = matrix([1, 2, 2]), column(-3, -2, 3)
        truth = formulas.implicit(hessian, mixed, slope)
        amended = formulas.amended(hessian, mixed, slope, 1)
        darts = formulas.darts(mixed, slope, 1)
        return Exhibit(
            {"H": hessian, "B": mixed, "v": slope, "g₂": truth, "g₂′": amended, "DARTS": darts},
            {
                "H ≻ 0": is_definite(hessian),
                "g₂ = −15/19": truth == column(Fraction(-15, 19)),
                "g₂′ = −5 (η = 1)": amended == column(-5),
                "DARTS = +1 (ξ = 1)": darts == column(1),
            },
            {
                "amended agrees in sign": dot(amended, truth) > 0,
                "DARTS disagrees in sign": dot(darts, truth) < 0,
            },
        )

    def descends_the_wrong_way() -> Exhibit:
        """α steps of the amended estimate on Φ(α) = α: the objective rises at every one."""
        hessian, mixed, slope = matrix([2, 1], [1, 1]), matrix([1, 0]), column(0, 1)
        step = formulas.amended(hessian, mixed, slope, ETA)[0, 0]
        alphas = [Fraction(0)]
        for _ in range(100):
            alphas.append(alphas[-1] - step)  # g₁ = 0: the estimate is all there is
        return Exhibit(
            {"Φ after 0, 1, 100 steps": [alphas[0], alphas[1], alphas[100]]},
            {"‖v‖ ≠ 0": square(slope) != 0},
            {"Φ falls at some step": any(b <= a for a, b in pairwise(alphas))},
        )

    return (
        Claim(
            id="E7",
            where="Eq. 7",
            statement="The amended term never makes an angle above 90° with the true one: "
            "⟨g₂′, g₂⟩ ≥ 0 for every H ≻ 0, B, v.",
            assumptions="H ≻ 0, η > 0",
            verdict=Verdict.FAILS,
            because="H⁻¹AH is similar to A ⪰ 0, and similarity keeps eigenvalues, but not the "
            "sign of the quadratic form, for H⁻¹AH is not symmetric. T1 says when it holds. "
            "By continuity the version for ω_est ≈ ω* fails with it (§1f).",
            evidence=(
                ExactCounterexample("2×2 integers: truth +1, amended −η, DARTS 0", smallest),
                ExactCounterexample(
                    "with v = (−1/10, 1) amended is wrong and DARTS right",
                    wrong_where_darts_is_right,
                ),
                ExactExample(
                    "3×3 integers: amended is right and DARTS wrong, so neither dominates",
                    right_where_darts_is_wrong,
                ),
                ExactCounterexample(
                    "gradient descent on the first example climbs for ever", descends_the_wrong_way
                ),
            ),
            formula=r"\langle g_2',\ g_2\rangle = \eta\, v^\top H^{-1}\!A\,H\,v \geq 0",
        ),
    )
