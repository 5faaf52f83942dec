"""T10: what ‖Bv‖/(‖B‖‖v‖), the share of v that B sees, says about the sign. Sharp bounds."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from functools import partial
from math import isqrt
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
from proofs_checks.extremal_shares import (
    beyond_the_limit,
    extremal,
    near_the_identity,
    near_the_share,
    one_row_is_sharp,
)
from proofs_checks.instances import (
    Instance,
    Shared,
    agreement,
    columns,
    darts_agreement,
    definite,
    from_eigenvalues,
    indefinite,
    shared,
)
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
    random_matrix,
    square,
    with_spectrum,
)


def claims(formulas: Formulas) -> tuple[Claim, ...]:
    return own_share(formulas), bound_that_was_asked_about(formulas), sharp_share(formulas)


def own_share(formulas: Formulas) -> Claim:
    """T10a: the share of the estimator's own vector."""

    def cone(rng: Random) -> tuple[Shared, Matrix, Fraction] | None:
        """B, M ≻ 0, x with ‖Bx‖ above the share of cond M."""
        spectrum = [Fraction(rng.randint(2, 8), 2) for _ in range(3)]
        m = with_spectrum(rng, spectrum)
        case = shared(rng, from_eigenvalues(rng, spectrum, 1), rng.choice((1, 2, 3)))
        condition = max(spectrum) / min(spectrum)
        above = case.share_squared(case.instance.slope) > formulas.own_share(condition) ** 2
        return (case, m, condition) if above else None

    def cone_product(drawn: tuple[Shared, Matrix, Fraction]) -> Fraction:
        case, m, _ = drawn
        b, x = case.instance.mixed, case.instance.slope
        return Fraction(dot(b @ x, b @ m @ x))

    def cone_smt() -> tuple[list[z3.BoolRef], z3.BoolRef]:
        low, high = z3.Reals("low high")
        x, b = column(*z3.Reals("x1 x2")), column(*z3.Reals("b1 b2"))
        image = column(low * x[0, 0], high * x[1, 0])
        share = formulas.own_share(high / low)
        above = dot(b, x) > share * 1 * dot(x, x)
        return [low > 0, high > low, dot(x, x) == dot(b, b), above], dot(b, image) > 0

    def cone_tight() -> Exhibit:
        m, x, b = diagonal(1, 4), column(2, 1), column(2, -1)
        share = Fraction(dot(b, x) ** 2, square(b) * square(x))
        return Exhibit(
            {"M": m, "x": x, "b": b, "share": Fraction(3, 5), "⟨b, Mx⟩": dot(b, m @ x)},
            {"share² = 9/25": share == Fraction(9, 25)},
            {
                "the share is exactly (c − 1)/(c + 1)": formulas.own_share(Fraction(4)) ** 2
                == share,
                "the product is exactly 0": dot(b, m @ x) == 0,
            },
        )

    def cone_below() -> Exhibit:
        m, x, b = diagonal(1, 4), column(2, 1), column(20, -11)
        share = Fraction(dot(b, x) ** 2, square(b) * square(x))
        return Exhibit(
            {"M": m, "x": x, "b": b, "share²": share},
            {
                "M ≻ 0": is_definite(m),
                "the share is below (c − 1)/(c + 1)": share < formulas.own_share(Fraction(4)) ** 2,
            },
            {"⟨b, x⟩⟨b, Mx⟩ > 0": dot(b, x) * dot(b, m @ x) > 0},
        )

    def safe_amended(rng: Random) -> Shared | None:
        """x = Hv, M = H⁻², cond κ²: H of any signature; every other one near the share."""
        if rng.random() < 0.5:
            case = near_the_share(rng, 2)
        else:
            spectrum = [Fraction(rng.choice((-1, 1)) * rng.randint(5, 8), 5) for _ in range(3)]
            case = shared(rng, from_eigenvalues(rng, spectrum, 1), rng.choice((1, 2)))
            inner = case.instance  # its v is near B's top singular vector: let Hv be that
            slope = inner.hessian.inverse() @ inner.slope
            case = replace(case, instance=replace(inner, slope=slope))
        inner = case.instance
        share = formulas.own_share(inner.condition**2)
        return case if case.share_squared(inner.hessian @ inner.slope) > share**2 else None

    def safe_darts(rng: Random) -> Shared | None:
        """x = v, M = H⁻¹, cond κ: H ≻ 0; every other one near the share."""
        near = rng.random() < 0.5
        case = (
            near_the_share(rng, 1) if near else shared(rng, definite(rng, 3, 1), rng.randint(1, 3))
        )
        share = formulas.own_share(case.instance.condition)
        return case if case.share_squared(case.instance.slope) > share**2 else None

    def darts_indefinite() -> Exhibit:
        hessian, slope = diagonal(1, -1), column(1, 2)
        truth = formulas.implicit(hessian, identity(2), slope)
        product = dot(formulas.darts(identity(2), slope, 1), truth)
        return Exhibit(
            {"H": hessian, "B": "I", "v": slope, "DARTS": product},
            {"the share is 1": True, "max|λ|/min|λ| = 1": True},
            {"DARTS right": product > 0},
        )

    return Claim(
        id="T10a",
        where="new",
        statement="For M ≻ 0 with condition number c: ‖Bx‖ > (c − 1)/(c + 1)·‖B‖‖x‖ ⇒ "
        "⟨Bx, BMx⟩ > 0. So DARTS is right if ‖Bv‖ > (κ − 1)/(κ + 1)·‖B‖‖v‖ (H ≻ 0), and "
        "amended if ‖BHv‖ > (κ² − 1)/(κ² + 1)·‖B‖‖Hv‖ (any invertible H). Both sharp.",
        assumptions="M ≻ 0; κ = max|λ|/min|λ|",
        verdict=Verdict.HOLDS,
        because="Scaled by 2/(max + min), M = I + E with ‖E‖ ≤ (c − 1)/(c + 1), and "
        "⟨Bx, Bx + BEx⟩ ≥ ‖Bx‖(‖Bx‖ − ‖B‖‖E‖‖x‖). DARTS: x = v, M = H⁻¹. Amended: x = Hv, "
        "M = H⁻². An estimator can check it on its own output.",
        evidence=(
            SmtProof("n = 2, m = 1", cone_smt),
            PropertyTest("M ≻ 0, n = 3, m ≤ 3", cone, cone_product, strict=True),
            PropertyTest(
                "DARTS, H ≻ 0",
                safe_darts,
                lambda case: darts_agreement(formulas, case.instance),
                strict=True,
                seed=1,
            ),
            PropertyTest(
                "amended, H of any signature",
                safe_amended,
                lambda case: agreement(formulas, case.instance),
                strict=True,
                seed=2,
            ),
            ExactExample("at the share itself the product can be 0", cone_tight),
            ExactCounterexample("just below it the sign can be wrong", cone_below),
            ExactCounterexample("DARTS with H indefinite, share 1", darts_indefinite),
        ),
        formula=r"\|Bx\|>\frac{c-1}{c+1}\|B\|\,\|x\|\ \Rightarrow\ \langle Bx,BMx\rangle>0",
    )


def bound_that_was_asked_about(formulas: Formulas) -> Claim:
    def two_errors(factor_squared: int, plus_one: bool) -> tuple[list[z3.BoolRef], z3.BoolRef]:
        """‖x‖ > factor · d, ‖eᵢ‖ ≤ d ⇒ ⟨x + e₁, x + e₂⟩ > 0, in the plane; ‖x‖ = 1."""
        d, factor, a, b, c, e = z3.Reals("d factor a b c e")
        premises = [d >= 0, factor > 0, factor * factor == factor_squared]
        premises += [a * a + b * b <= d * d, c * c + e * e <= d * d]
        premises.append((factor + 1 if plus_one else factor) * d < 1)
        return premises, (1 + a) * (1 + c) + b * e > 0

    def asked(rng: Random) -> Shared | None:
        """√κ rational and below √2; 17/7 > 1 + √2."""
        if rng.random() < 0.5:
            case = near_the_identity(rng)
            half = max(case.instance.eigenvalues)
        else:
            half = 1 + Fraction(rng.randint(1, 40), 100)
            low = Fraction(rng.randint(1, 5), 2)
            between = low * (1 + (half**2 - 1) * Fraction(rng.randint(0, 4), 4))
            spectrum = [low, between, low * half**2]
            case = shared(rng, from_eigenvalues(rng, spectrum, 1), rng.choice((2, 3)))
        bound = (Fraction(17, 7) * (half - 1)) ** 2
        return case if case.share_squared(case.instance.slope) > bound else None

    def vacuous() -> list[tuple[str, object, object]]:
        kappa_half = sympy.sqrt(2)
        return [
            ("(1 + √2)(√κ − 1) at κ = 2", (1 + sympy.sqrt(2)) * (kappa_half - 1), sympy.Integer(1))
        ]

    return Claim(
        id="T10b",
        where="new",
        statement="‖Bv‖ > (1 + √2)(√κ − 1)‖B‖‖v‖ ⇒ the amended sign is right.",
        assumptions="H ≻ 0",
        verdict=Verdict.HOLDS,
        because="With H scaled to [1/√κ, √κ], BHv and BH⁻¹v are Bv up to errors of length d = "
        "(√κ − 1)‖B‖‖v‖, and x² − 2xd − d² > 0 for x > (1 + √2)d. Already √2·d is enough (two "
        "angles below 45°). But it is empty for κ ≥ 2, and T10c is sharp.",
        evidence=(
            SmtProof("two errors of length d, ‖x‖ > (1 + √2)d", lambda: two_errors(2, True)),
            SmtProof("two errors of length d, ‖x‖ > √2·d", lambda: two_errors(2, False)),
            PropertyTest(
                "instances with κ < 2",
                asked,
                lambda case: agreement(formulas, case.instance),
                strict=True,
                count=100,
                seed=3,
            ),
            ExactIdentity("the bound asks for a share of 1 at κ = 2", vacuous),
        ),
        formula=r"\|Bv\|>(1+\sqrt{2})(\sqrt{\kappa}-1)\|B\|\,\|v\|",
    )


def sharp_share(formulas: Formulas) -> Claim:
    """T10c: the sharp bound for amended, given ‖Bv‖."""

    def split() -> list[tuple[str, object, object]]:
        rng, sides = Random(0), list[tuple[str, object, object]]()
        for k in range(5):
            case = indefinite(rng, 3, 2)
            ahead, behind = case.hessian @ case.slope, case.hessian.inverse() @ case.slope
            p, w = (Fraction(1, 2) * x for x in (ahead + behind, ahead - behind))
            value = square(case.mixed @ p) - square(case.mixed @ w)
            sides.append((f"‖Bp‖² − ‖Bw‖², instance {k + 1}", agreement(formulas, case), value))
            sides.append(("‖p‖² − ‖w‖² = ‖v‖²", square(p) - square(w), square(case.slope)))
        return sides

    def factorisation() -> list[tuple[str, object, object]]:
        """With δ = arcsin ρ, φ = 90° − 2δ, x = θ + δ; half-angle tangents make it rational."""
        s, t = sympy.symbols("s t", positive=True)
        sin_d, cos_d = 2 * s / (1 + s**2), (1 - s**2) / (1 + s**2)
        sin_x, cos_x = 2 * t / (1 + t**2), (1 - t**2) / (1 + t**2)
        sin_theta = sin_x * cos_d - cos_x * sin_d
        left = 2 * sin_d * cos_d - sin_d**2 * 2 * sin_x * cos_x - 2 * sin_d * sin_theta
        right = 2 * sin_d * (1 - sin_x) * (cos_d + sin_d * cos_x)
        return [("cos φ − ρ²cos(2θ − φ) − 2ρ sin θ", left, right)]

    def same_number() -> list[tuple[str, object, object]]:
        """4κ^¼(√κ − 1)/(√κ + 1)² = 2ρ√(1 − ρ²) = sin 2δ, squared to stay rational."""
        return [
            (
                f"κ = {k**4}",
                formulas.slope_share(Fraction(k**4)) ** 2,
                4 * _rho(k) ** 2 * (1 - _rho(k) ** 2),
            )
            for k in (Fraction(3, 2), Fraction(2), Fraction(9, 4))
        ]

    def near_extremal(rng: Random) -> Shared | None:
        """κ = k⁴, k ≤ 9/4; B, v near the worst case or anywhere; the share above s*."""
        k = rng.choice((Fraction(5, 4), Fraction(3, 2), Fraction(2), Fraction(9, 4)))
        if rng.random() < 0.5:
            a = Fraction(rng.randint(60, 95), 100)
            case = extremal(k**2, column(a, Fraction(rng.randint(-5, 5), 100), 1 - a * a / 2))
            row = columns(Matrix.of([[x] for x in case.slope]), 1)
            lean = row + Fraction(1, 10) * random_matrix(rng, 3, 1, size=3)
            across = column(0, 1, 0) - dot(lean, column(0, 1, 0)) / square(lean) * lean
            rows = [tuple(_unit_below(across)), tuple(_unit_below(lean))]
            known = Shared(
                replace(case, mixed=Matrix.of(rows)),
                Fraction(1),
            )
        else:
            between = 1 + (k**4 - 1) * Fraction(rng.randint(0, 6), 6)
            known = shared(
                rng, from_eigenvalues(rng, [Fraction(1), between, k**4], 1), rng.choice((2, 3))
            )
        share = formulas.slope_share(k**4)
        return known if known.share_squared(known.instance.slope) > share**2 else None

    def worst(mixed: Matrix) -> tuple[Instance, Fraction, Fraction]:
        """κ = 16: the extremal H and v, with this B; the share squared and the product."""
        case = extremal(Fraction(4), column(Fraction(4, 5), 0, Fraction(3, 5)))
        case = replace(case, mixed=mixed)
        return case, Fraction(square(mixed @ case.slope)), agreement(formulas, case)

    def tight() -> Exhibit:
        mixed = matrix([0, 1, 0], [Fraction(3, 5), 0, Fraction(4, 5)])
        case, share, product = worst(mixed)
        return Exhibit(
            {"H": case.hessian, "B": mixed, "v": case.slope, "share²": share, "product": product},
            {
                "‖B‖ = 1": mixed @ mixed.T == identity(2),
                "κ = 16": max(case.eigenvalues) / min(case.eigenvalues) == 16,
            },
            {
                "the share is s*(16) = 24/25": share == formulas.slope_share(Fraction(16)) ** 2,
                "⟨BHv, BH⁻¹v⟩ = 0": product == 0,
            },
        )

    def below() -> Exhibit:
        mixed = matrix([0, 1, 0], [Fraction(8, 17), 0, Fraction(15, 17)])
        case, share, product = worst(mixed)
        return Exhibit(
            {"H": case.hessian, "B": mixed, "v": case.slope, "share²": share, "product": product},
            {
                "‖B‖ = 1": mixed @ mixed.T == identity(2),
                "below s*": share < formulas.slope_share(Fraction(16)) ** 2,
                "above (κ − 1)/(κ + 1), enough for m = 1": share
                > formulas.own_share(Fraction(16)) ** 2,
            },
            {"⟨g₂′, g₂⟩ > 0": product > 0},
        )

    def beyond() -> Exhibit:
        """κ = 49 > 33.97: v is a top right singular vector of B, its share 1, the sign wrong."""
        hessian = matrix([25, 24, 0], [24, 25, 0], [0, 0, 7])
        mixed, slope = matrix([4, 0, 3], [0, 5, 0]), column(4, 0, 3)
        product = dot(
            formulas.amended(hessian, mixed, slope, 1), formulas.implicit(hessian, mixed, slope)
        )
        return Exhibit(
            {"H": hessian, "B": mixed, "v": slope, "⟨g₂′, g₂⟩": product},
            {
                "‖Bv‖ = ‖B‖‖v‖": square(mixed @ slope) == 25 * square(slope)
                and is_semidefinite(25 * identity(3) - mixed.T @ mixed),
                "κ > (3 + 2√2)²": (Fraction(49) - 17) ** 2 > 288,
                "s*(2401) says that no share is enough": formulas.slope_share(Fraction(2401)) == 1,
            },
            {"⟨g₂′, g₂⟩ ≥ 0": product >= 0},
        )

    def one_row(rng: Random) -> Shared | None:
        case = shared(rng, definite(rng, 3, 1), 1)
        share = formulas.one_row_share(case.instance.condition)
        return case if case.share_squared(case.instance.slope) > share**2 else None

    return Claim(
        id="T10c",
        where="new",
        statement="‖Bv‖ > s*(κ)‖B‖‖v‖ ⇒ the amended sign is right, s*(κ) = 4κ^¼(√κ − 1)/(√κ + "
        "1)² = 2ρ√(1 − ρ²), ρ = (√κ − 1)/(√κ + 1), for κ < (3 + 2√2)² ≈ 33.97. No smaller "
        "share is enough (n ≥ 3, m ≥ 2), and from 33.97 on none is. m = 1: (κ − 1)/(κ + 1) is.",
        assumptions="H ≻ 0",
        verdict=Verdict.HOLDS,
        because="⟨BHv, BH⁻¹v⟩ = ‖Bp‖² − ‖Bw‖² with p, w = (Hv ± H⁻¹v)/2; the errors in p and w "
        "are tied together by the spectrum, and the worst case is three eigenvalues 1/√κ, 1, "
        "√κ. Its trigonometric margin factorises into two terms ≥ 0.",
        evidence=(
            ExactIdentity("the product as a difference of squares", split),
            ExactIdentity("the factorisation that proves the bound", factorisation),
            ExactIdentity("two forms of s*", same_number),
            PropertyTest(
                "instances above s*, near the worst case and elsewhere",
                near_extremal,
                lambda case: agreement(formulas, case.instance),
                strict=True,
                count=150,
                seed=4,
            ),
            PropertyTest(
                "m = 1: (κ − 1)/(κ + 1) is enough",
                one_row,
                lambda case: agreement(formulas, case.instance),
                strict=True,
                seed=5,
            ),
            ExactExample("at s* the product can be 0: κ = 16, share 24/25", tight),
            ExactCounterexample("below s* the sign can be wrong: κ = 16", below),
            ExactCounterexample("κ = 49: share 1, and the sign is wrong", beyond),
            ExactCounterexample(
                "κ = 39.06, just above 33.97: the same", partial(beyond_the_limit, formulas)
            ),
            ExactExample("m = 1: the share is sharp", partial(one_row_is_sharp, formulas)),
        ),
        formula=r"\|Bv\|>\frac{4\kappa^{1/4}(\sqrt{\kappa}-1)}{(\sqrt{\kappa}+1)^2}\,"
        r"\|B\|\,\|v\|\ \Rightarrow\ \langle g_2',g_2\rangle>0",
    )


def _rho(k: Fraction) -> Fraction:
    return (k**2 - 1) / (k**2 + 1)


def _unit_below(x: Matrix) -> Matrix:
    """x scaled to a length just below 1, in rational numbers."""
    above = Fraction(isqrt(int(square(x) * 10**12)) + 1, 10**6)  # just above ‖x‖
    return (1 / above) * x
