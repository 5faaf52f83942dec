"""Eq. 6: the amended term −ηBHv, and what it is: one Landweber step on Hq = v."""

from __future__ import annotations

import sympy

from proofs_checks.definitions import Formulas
from proofs_checks.evidence import ExactCounterexample, ExactIdentity, Exhibit
from proofs_checks.ledger import Claim, Verdict
from proofs_checks.rational import Matrix, column, diagonal, identity, matrix

ETA, GAMMA = sympy.symbols("eta gamma")


def symbols() -> tuple[Matrix, Matrix, Matrix]:
    """H symmetric 3×3, B 2×3 and v, all entries symbols."""
    h = sympy.symbols("h11 h12 h13 h22 h23 h33")
    hessian = matrix([h[0], h[1], h[2]], [h[1], h[3], h[4]], [h[2], h[4], h[5]])
    b = sympy.symbols("b11 b12 b13 b21 b22 b23")
    return hessian, matrix(b[:3], b[3:]), column(*sympy.symbols("v1 v2 v3"))


def claims(formulas: Formulas) -> tuple[Claim, ...]:
    def one_landweber_step() -> list[tuple[str, object, object]]:
        hessian, mixed, slope = symbols()
        q = sympy.symbols("q1 q2 q3")
        residual = hessian @ column(*q) - slope
        half_square = sum(x**2 for x in residual) / 2
        descent = column(*(-sympy.diff(half_square, x).subs(dict.fromkeys(q, 0)) for x in q))
        step = formulas.landweber(hessian, slope, ETA, 1)
        return [
            ("−∇ of ½‖Hq − v‖² at q = 0 is Hv", descent, hessian @ slope),
            ("Landweber-1", step, ETA * descent),
            ("−B q", formulas.amended(hessian, mixed, slope, ETA), -(mixed @ step)),
        ]

    def landweber_residual() -> list[tuple[str, object, object]]:
        hessian, _, slope = symbols()
        contraction = identity(3) - ETA * (hessian @ hessian)
        return [
            (
                f"v − Hq after {k} steps is (I − ηH²)ᵏv",
                slope - hessian @ formulas.landweber(hessian, slope, ETA, k),
                contraction.power(k) @ slope,
            )
            for k in (1, 2)
        ]

    def richardson() -> list[tuple[str, object, object]]:
        hessian, mixed, slope = symbols()
        start = formulas.neumann(hessian, slope, GAMMA, 0)
        first = formulas.neumann(hessian, slope, GAMMA, 1)
        return [
            ("DARTS is −B q at the start", formulas.darts(mixed, slope, GAMMA), -(mixed @ start)),
            ("Neumann-1 subtracts Hv", first, GAMMA * (2 * slope - GAMMA * (hessian @ slope))),
            (
                "v − Hq after 1 step is (I − γH)²v",
                slope - hessian @ first,
                (identity(3) - GAMMA * hessian).power(2) @ slope,
            ),
        ]

    def not_an_inverse() -> Exhibit:
        """The best η for H = diag(1, 4) still leaves ηHv and H⁻¹v far apart."""
        hessian, slope = diagonal(1, 4), column(2, -1)
        amended = formulas.amended(hessian, matrix([1, 1]), slope, 1)
        truth = formulas.implicit(hessian, matrix([1, 1]), slope)
        return Exhibit(
            {"H": hessian, "B": "[1, 1]", "v": slope, "g₂": truth, "g₂′ (η = 1)": amended},
            {"g₂ = −7/4": truth == column(sympy.Rational(-7, 4)), "g₂′ = 2": amended == column(2)},
            {"some η > 0 makes g₂′ = g₂": truth[0, 0] * amended[0, 0] > 0},
        )

    return (
        Claim(
            id="E6",
            where="Eq. 6",
            statement="g₂′ = −ηBHv replaces H⁻¹ by ηH. It is −B q after one gradient step, of "
            "length η, on ½‖Hq − v‖² from q = 0; DARTS's second-order term is −B q at the start "
            "of the Neumann series, whose next term has the opposite sign of Hv.",
            assumptions="none: identities",
            verdict=Verdict.HOLDS,
            because="Each is an identity in the entries of H, B, v. That makes every estimator a "
            "truncated linear solver, and ηH an approximate inverse only in that sense.",
            evidence=(
                ExactIdentity("amended is one Landweber step, n = 3, m = 2", one_landweber_step),
                ExactIdentity("the residual of K Landweber steps", landweber_residual),
                ExactIdentity("DARTS and Neumann-1 are Richardson steps", richardson),
                ExactCounterexample("no η makes ηHv equal to H⁻¹v in effect", not_an_inverse),
            ),
            formula=r"g_2' = -\eta\, B\,H\,v",
        ),
    )
