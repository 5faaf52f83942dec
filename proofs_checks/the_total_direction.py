"""The main claim, on g₁ + g₂′: abstract and §5; and what §1 says of estimates near ω*(α)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import sympy

from proofs_checks.definitions import Formulas
from proofs_checks.evidence import ExactCounterexample, Exhibit, PropertyTest
from proofs_checks.experiment import Criterion, Experiment, paired
from proofs_checks.ledger import Claim, Verdict
from proofs_checks.on_fixed_norms import RECORD as FIXED_NORMS
from proofs_checks.rational import (
    Matrix,
    column,
    diagonal,
    dot,
    is_definite,
    matrix,
    random_fraction,
    square,
)

HESSIAN, MIXED, SLOPE = matrix([2, 1], [1, 1]), matrix([1, 0]), column(0, 1)  # those of E7
TENTH = Fraction(1, 10)


def claims(formulas: Formulas) -> tuple[Claim, ...]:
    return descent(formulas), near_the_minimum(formulas), nearer_in_the_mean(formulas)


def descent(formulas: Formulas) -> Claim:
    """MAIN: the amended total beside g₁ + g₂."""

    def totals(
        direct: Matrix, curvature: tuple[Matrix, Matrix, Matrix], eta: Any
    ) -> tuple[Matrix, Matrix]:
        """g₁ + g₂ and g₁ + g₂′."""
        truth = formulas.implicit(*curvature)
        return direct + truth, direct + formulas.amended(*curvature, eta)

    def opposite_at_every_eta() -> Exhibit:
        eta = sympy.Symbol("eta", positive=True)
        truth, estimate = totals(column(0), (HESSIAN, MIXED, SLOPE), eta)
        return Exhibit(
            {"H": HESSIAN, "B": MIXED, "v": SLOPE, "g₁ + g₂": truth, "g₁ + g₂′": estimate},
            {"H ≻ 0": is_definite(HESSIAN), "g₁ = 0 and g = 1": truth == column(1)},
            {"g₁ + g₂′ has the sign of g, for some η > 0": not (dot(estimate, truth)).is_negative},
        )

    def worse_than_nothing() -> Exhibit:
        """g₁ alone has the right sign, and the amended term turns it round."""
        direct = column(TENTH / 2)
        truth, estimate = totals(direct, (HESSIAN, MIXED, SLOPE), TENTH)
        return Exhibit(
            {"g₁": direct, "g₁ + g₂": truth, "g₁ + g₂′ (η = 1/10)": estimate},
            {"g₁ has the sign of g": dot(direct, truth) > 0},
            {"g₁ + g₂′ has the sign of g": dot(estimate, truth) > 0},
        )

    def scaled_toy(scale: Fraction) -> tuple[Matrix, Matrix, Matrix]:
        """H, B, v of L_train = c(ω − α)², L_val = (2ω − α)² at α = 1: Eq. 7 holds, as n = 1."""
        return matrix([2 * scale]), matrix([-2 * scale]), column(4)

    def where_the_second_term_is_right() -> Exhibit:
        curvature = scaled_toy(Fraction(1))
        truth, estimate = totals(column(-2), curvature, TENTH)
        second = formulas.implicit(*curvature), formulas.amended(*curvature, TENTH)
        return Exhibit(
            {"g₂": second[0], "g₂′": second[1], "g₁ + g₂": truth, "g₁ + g₂′": estimate},
            {"⟨g₂′, g₂⟩ > 0": dot(*second) > 0, "g = 2, as A.1 has it": truth == column(2)},
            {"g₁ + g₂′ has the sign of g": dot(estimate, truth) > 0},
        )

    def no_eta_is_large_enough(case: tuple[Fraction, Fraction]) -> Fraction:
        """Given η, the loss c(ω − α)² with 8ηc² < 1 turns the total round: −⟨g₁ + g₂′, g⟩."""
        eta, scale = case
        truth, estimate = totals(column(-2), scaled_toy(scale), eta)
        return Fraction(-dot(estimate, truth))

    return Claim(
        id="MAIN",
        where="Abstract; §2; §5",
        statement="The amended update descends: g₁ + g₂′ makes an angle below 90° with "
        "∇L_val(ω*(α), α) = g₁ + g₂.",
        assumptions="ω = ω*(α), H ≻ 0, η > 0",
        verdict=Verdict.FAILS,
        because="With g₁ = 0 and E7's H, B and v it points the opposite way, whatever η. It can "
        "turn a right g₁ round. And Eq. 7 would not mend it: where the second term does have the "
        "right sign, as for n = 1, the sum has it only if η is large enough for the scale of "
        "L_train. T14 says when the sum descends, and R4 how often it does not at minima of a "
        "network.",
        evidence=(
            ExactCounterexample("2×2 integers, every η > 0", opposite_at_every_eta),
            ExactCounterexample("g₁ alone right, g₁ + g₂′ wrong", worse_than_nothing),
            ExactCounterexample(
                "a right second term and a wrong sum, η = 1/10", where_the_second_term_is_right
            ),
            PropertyTest(
                "for every η some multiple of A.1's L_train has the sum wrong",
                lambda rng: _scale_for(abs(random_fraction(rng, 40)) + TENTH**3),
                no_eta_is_large_enough,
                strict=True,
            ),
        ),
        formula=r"\langle g_1+g_2',\ g_1+g_2\rangle > 0",
    )


def near_the_minimum(formulas: Formulas) -> Claim:
    def near_the_optimum() -> Exhibit:
        """L_train = ½ωᵀHω + αᵀBω and L_val = vᵀω: H, B and v are the same at every ω."""
        offset = sympy.symbols("d1 d2", real=True)
        omega, alpha = sympy.symbols("w1 w2", real=True), sympy.Symbol("a", real=True)
        point = column(*omega)
        inner = dot(point, HESSIAN @ point) / 2 + alpha * (MIXED @ point)[0, 0]
        outer = dot(SLOPE, point)
        at = dict(zip(omega, offset, strict=True))  # ω* = 0 at α = 0
        hessian = Matrix.of([sympy.diff(inner, x, y).subs(at) for y in omega] for x in omega)
        mixed = Matrix.of([[sympy.diff(inner, alpha, x).subs(at) for x in omega]])
        slope = column(*(sympy.diff(outer, x).subs(at) for x in omega))
        truth = formulas.implicit(HESSIAN, MIXED, SLOPE)
        estimate = formulas.amended(hessian, mixed, slope, sympy.Symbol("eta", positive=True))
        product = sympy.simplify(dot(estimate, truth))
        return Exhibit(
            {"ω_est − ω*": column(*offset), "g₂": truth, "g₂′ at ω_est": estimate},
            {"H ≻ 0": is_definite(HESSIAN), "g₂ = 1": truth == column(1)},
            {"⟨g₂′, g₂⟩ ≥ 0 for some ω_est and η": not product.is_negative},
        )

    def beside_the_optimum() -> Exhibit:
        """H, B and v of L_train = ωᵀHω/2 + αBω + Σ ωᵢ³/6, L_val = vᵀω.

        At ω its Hessian is H + diag(ω); for α = 0, ω* = 0. The wrong sign is strict, so it stays.
        """
        products = []
        for k in (10, 100, 1000):
            for first, second in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
                beside = HESSIAN + diagonal(Fraction(first, k), Fraction(second, k))
                truth = formulas.implicit(beside, MIXED, SLOPE)
                products.append(dot(formulas.amended(beside, MIXED, SLOPE, 1), truth))
        exact = formulas.implicit(HESSIAN, MIXED, SLOPE)
        limit = dot(formulas.amended(HESSIAN, MIXED, SLOPE, 1), exact)
        return Exhibit(
            {"⟨g₂′, g₂⟩ at ω*": limit, "largest beside it": max(products)},
            {"ω = ω* + (±1, ±1)/k, k = 10, 100, 1000": len(products) == 12},
            {"⟨g₂′, g₂⟩ ≥ 0 at some of them": max(products) >= 0, "at ω*": limit >= 0},
        )

    return Claim(
        id="§1f",
        where="§1",
        statement="For ω_est close to ω*(α) the angle between g₂ and g₂′, taken at ω_est, is "
        "below 90°.",
        assumptions="H ≻ 0",
        verdict=Verdict.FAILS,
        because="g₂′ is continuous in ω, so that E7's counterexample is one near ω* too. Where "
        "H, B and v are the same at every ω it is one however near or far.",
        evidence=(
            ExactCounterexample(
                "every ω_est and η, with quadratic L_train and linear L_val", near_the_optimum
            ),
            ExactCounterexample("H that moves with ω: the wrong sign stays", beside_the_optimum),
        ),
    )


def nearer_in_the_mean(formulas: Formulas) -> Claim:
    """§1g: at the minima of R4."""

    def further_than_nothing() -> Exhibit:
        estimate = formulas.amended(HESSIAN, MIXED, SLOPE, 1)
        truth = formulas.implicit(HESSIAN, MIXED, SLOPE)
        return Exhibit(
            {"g₂": truth, "g₂′ (η = 1)": estimate, "g₂ left out": column(0)},
            {"g₂ = 1": truth == column(1)},
            {"g₂′ is nearer to g₂ than 0 is": square(estimate - truth) < square(truth)},
        )

    return Claim(
        id="§1g",
        where="§1",
        statement="The total with the amended term is nearer to ∇L_val(ω*(α), α) than those of "
        "first order and of DARTS's second order.",
        assumptions="R4's minima of a small supernet, η = ξ = 0.1; supported if log₁₀ of the "
        "ratio of relative errors, paired by seed, is below 0 against both, and that of g₂ alone "
        "too, each term at the best η for the point",
        verdict=Verdict.NOT_SUPPORTED,
        because="At these minima it is further away than both: in the geometric mean its error "
        "is 185 times that of first order and 77 times that of DARTS. The two "
        "terms, each at its best η, are not told apart. In theory it need not be: how "
        "near g₂′ comes to g₂ is a matter of η and of the spectrum of H (T8). Along searches the "
        "claim is undecided (docs/experiments/direction.md).",
        evidence=(
            Experiment(
                "R4's points: relative error of the total, amended against the other two",
                FIXED_NORMS,
                Verdict.NOT_SUPPORTED,
                (
                    _against("first order", "total_error", "the total", "2.268"),
                    _against("DARTS second order", "total_error", "the total", "1.885"),
                    _against("DARTS second order", "best_error", "g₂ at the best η", "0.021"),
                ),
            ),
            ExactCounterexample("E7's: twice as far off as leaving g₂ out", further_than_nothing),
        ),
    )


def _scale_for(eta: Fraction) -> tuple[Fraction, Fraction]:
    """η and a c with 8ηc² < 1, as A.1 scaled by c then has the wrong total."""
    return eta, 1 / (3 * max(Fraction(1), eta))


def _against(other: str, field: str, words: str, mean: str) -> Criterion:
    def values(record: Mapping[str, Any]) -> list[float]:
        return paired(
            record["rows"],
            lambda row: math.log10(row[field]),
            of=lambda row: row["estimator"] == "amended",
            minus=lambda row: row["estimator"] == other,
        )

    quantity = f"log₁₀ of amended's error over that of {other}, {words}"
    return Criterion(quantity, values, most=0.0, mean=mean)
