"""T11: what a polynomial q = p(H)v can guarantee, which is best, and how many steps suffice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from math import acosh, ceil, log
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
from proofs_checks.extremal_shares import methods_are_sharp
from proofs_checks.instances import Shared, from_eigenvalues, shared
from proofs_checks.ledger import Claim, Verdict
from proofs_checks.rational import Matrix, column, diagonal, dot, matrix, square


@dataclass(frozen=True)
class Method:
    """An estimator q = p(H)v and the share it needs when λ(H) ∈ [μ, κμ]."""

    name: str
    solve: Callable[[Matrix, Matrix, Fraction, Fraction], Matrix]  # H, v, μ, L
    share: Callable[[Fraction], Fraction]  # of κ


def claims(formulas: Formulas) -> tuple[Claim, ...]:
    return any_polynomial(formulas), landweber_steps(formulas)


def any_polynomial(formulas: Formulas) -> Claim:
    """T11a: the share that q = p(H)v needs."""

    def best_of_two(h: Matrix, v: Matrix, low: Fraction, high: Fraction) -> Matrix:
        return (low + high) * v - h @ v

    def landweber(steps: int) -> Callable[..., Matrix]:
        return lambda h, v, low, high: formulas.landweber(h, v, 2 / (low**2 + high**2), steps)

    methods = (
        Method("DARTS", lambda h, v, low, high: v, lambda kappa: formulas.best_share(kappa, 1)),
        Method("amended", landweber(1), lambda kappa: formulas.landweber_share(kappa, 1)),
        Method("(μ + L)v − Hv", best_of_two, lambda kappa: formulas.best_share(kappa, 2)),
        Method("Landweber-2", landweber(2), lambda kappa: formulas.landweber_share(kappa, 2)),
        Method("Landweber-3", landweber(3), lambda kappa: formulas.landweber_share(kappa, 3)),
        Method("Landweber-4", landweber(4), lambda kappa: formulas.landweber_share(kappa, 4)),
    )

    def safe(method: Method, which: str) -> Callable[[Random], tuple[Shared, Matrix] | None]:
        """Instances whose q, or whose H⁻¹v, has a share above what the method needs."""

        def draw(rng: Random) -> tuple[Shared, Matrix] | None:
            low, half = Fraction(rng.randint(1, 4), 2), Fraction(rng.randint(5, 9), 4)
            middle = low * (1 + (half - 1) * Fraction(rng.randint(0, 4), 4))
            case = shared(
                rng, from_eigenvalues(rng, [low, middle, low * half], 1), rng.choice((1, 2))
            )
            inner = case.instance
            if which == "truth":  # make what B was fitted to, v, the truth: v ← Hv
                slope = inner.hessian @ inner.slope
                inner = replace(inner, slope=slope)
                case = Shared(inner, case.norm)
            q = method.solve(inner.hessian, inner.slope, low, low * half)
            looked_at = q if which == "own" else inner.hessian.inverse() @ inner.slope
            above = case.share_squared(looked_at) > method.share(half) ** 2
            return (case, q) if above else None

        return draw

    def product(drawn: tuple[Shared, Matrix]) -> Fraction:
        case, q = drawn
        inner = case.instance
        truth = -formulas.implicit(inner.hessian, inner.mixed, inner.slope)
        return Fraction(dot(inner.mixed @ q, truth))

    def thresholds() -> list[tuple[str, object, object]]:
        k = sympy.Symbol("kappa", positive=True)
        return [
            ("1/T₁ is DARTS's (κ − 1)/(κ + 1)", formulas.best_share(k, 1), formulas.own_share(k)),
            (
                "1/T₂ = (κ − 1)²/(κ² + 6κ + 1)",
                formulas.best_share(k, 2),
                (k - 1) ** 2 / (k**2 + 6 * k + 1),
            ),
            (
                "and it is that of λ(μ + L − λ), whose values have ratio (κ + 1)²/4κ",
                formulas.own_share((k + 1) ** 2 / (4 * k)),
                formulas.best_share(k, 2),
            ),
            (
                "amended: ratio κ²",
                formulas.landweber_share(k, 1),
                (k**2 - 1) / (k**2 + 1),
            ),
            (
                "Landweber-2: values of 1 − (1 − ηλ²)² have ratio 1/(1 − ρ²)",
                formulas.landweber_share(k, 2),
                formulas.own_share(1 / (1 - formulas.own_share(k**2) ** 2)),
            ),
        ]

    def chebyshev() -> list[tuple[str, object, object]]:
        x, k = sympy.symbols("x kappa", positive=True)
        return [
            (
                f"1/best share is T_{degree}((κ + 1)/(κ − 1))",
                1 / formulas.best_share(k, degree),
                sympy.chebyshevt(degree, x).subs(x, (k + 1) / (k - 1)),
            )
            for degree in (1, 2, 3, 4, 5)
        ]

    def no_better_line() -> tuple[list[z3.BoolRef], z3.BoolRef]:
        """p(λ) = a + bλ > 0 on [1, κ]: λp(λ) varies by at least (κ + 1)²/4κ there."""
        a, b, kappa = z3.Reals("a b kappa")
        ends = (a + b, kappa * (a + b * kappa))
        middle = (1 + kappa) / 2 * (a + b * (1 + kappa) / 2)
        varies = [middle * 4 * kappa >= (kappa + 1) * (kappa + 1) * end for end in ends]
        return [kappa > 1, a + b > 0, a + b * kappa > 0], z3.Or(*varies)

    def tight(sign: int) -> Exhibit:
        """q = (μ + L)v − Hv, λ = 1, 5/2, 4: at the share 9/41 the product is 0."""
        hessian, truth = diagonal(1, Fraction(5, 2), 4), column(5, 4, 0)
        slope = hessian @ truth
        mixed = matrix([5, -4, 0]) if sign == 0 else matrix([50, -41, 0])
        q = 5 * slope - hessian @ slope
        value = dot(mixed @ q, -formulas.implicit(hessian, mixed, slope))
        share = Fraction(square(mixed @ truth) / (square(mixed.T) * square(truth)))
        needed = formulas.best_share(Fraction(4), 2)
        compared = share == needed**2 if sign == 0 else share < needed**2
        return Exhibit(
            {"H": hessian, "B": mixed, "v": slope, "share²": share, "needed": needed},
            {"the share is the needed one" if sign == 0 else "the share is below it": compared},
            {"⟨Bq, BH⁻¹v⟩ = 0": value == 0} if sign == 0 else {"product ≥ 0": value >= 0},
        )

    def ranking(rng: Random) -> Fraction:
        return 1 + Fraction(rng.randint(1, 400), rng.randint(1, 20))

    def amended_needs_most(kappa: Fraction) -> Fraction:
        """Amended's share minus DARTS's, and DARTS's minus the best for two products."""
        one, two = formulas.best_share(kappa, 1), formulas.best_share(kappa, 2)
        return Fraction(min(formulas.landweber_share(kappa, 1) - one, one - two))

    def sign_change() -> Exhibit:
        """Neumann with γ > 2/L: p changes sign on the spectrum, and a share of 1 does not help."""
        hessian, mixed, slope = diagonal(1, 4), matrix([0, 1]), column(0, 1)
        q = formulas.neumann(hessian, slope, Fraction(3, 4), 1)
        value = dot(mixed @ q, -formulas.implicit(hessian, mixed, slope))
        return Exhibit(
            {"H": hessian, "B": mixed, "v": slope, "q": q, "product": value},
            {"‖Bv‖ = ‖B‖‖v‖": square(mixed @ slope) == square(slope)},
            {"⟨Bq, BH⁻¹v⟩ ≥ 0": value >= 0},
        )

    def landweber_values(steps: int) -> Callable[..., tuple[Fraction, Fraction]]:
        """1 − (1 − ηλ²)ᴷ at the ends; for even K it is 1 in between, where ηλ² = 1."""

        def ends(low: Fraction, high: Fraction) -> tuple[Fraction, Fraction]:
            left = ((high**2 - low**2) / (high**2 + low**2)) ** steps
            return 1 - left, 1 + left if steps % 2 else Fraction(1)

        return ends

    def sharp() -> Exhibit:
        values = {
            "DARTS": lambda low, high: (low, high),
            "amended": landweber_values(1),
            "(μ + L)v − Hv": lambda low, high: (low * high, ((low + high) / 2) ** 2),
            **{f"Landweber-{k}": landweber_values(k) for k in (2, 3, 4, 5, 6, 7)},
        }
        shares = {method.name: method.share for method in methods} | {
            f"Landweber-{k}": partial(landweber_needs, k) for k in (5, 6, 7)
        }
        return methods_are_sharp(shares, values)

    def landweber_needs(steps: int, kappa: Fraction) -> Fraction:
        return Fraction(formulas.landweber_share(kappa, steps))

    return Claim(
        id="T11a",
        where="new",
        statement="q = p(H)v, p > 0 on [μ, L], c = max λp(λ)/min λp(λ): the sign is right if "
        "‖Bq‖ > (c − 1)/(c + 1)·‖B‖‖q‖, or if the same holds of H⁻¹v; no smaller share is "
        "enough. Over deg p < K the least is 1/T_K((κ + 1)/(κ − 1)): DARTS for K = 1, and q ∝ "
        "(μ + L)v − Hv for K = 2. Amended needs (κ² − 1)/(κ² + 1), more than DARTS.",
        assumptions="0 < μ ≤ λ(H) ≤ L",
        verdict=Verdict.HOLDS,
        because="T10a with M = Hp(H) or its inverse. The residual 1 − λp(λ) is 1 at λ = 0, so "
        "after scaling it is a polynomial that Chebyshev's bounds below. With the same two "
        "curvature products, the best guarantee subtracts Hv; the paper's term adds it.",
        evidence=(
            ExactIdentity("the shares, for every κ", thresholds),
            ExactIdentity("the best ones are Chebyshev's", chebyshev),
            SmtProof("K = 2: no a + bλ varies less", no_better_line),
            *(
                PropertyTest(
                    f"{method.name}: above its share, of {word}, the sign is right",
                    safe(method, which),
                    product,
                    strict=True,
                    count=40,
                    seed=seed,
                )
                for seed, method in enumerate(methods)
                for which, word in (("own", "q"), ("truth", "H⁻¹v"))
            ),
            PropertyTest("amended > DARTS > best of two", ranking, amended_needs_most),
            ExactExample("every method: a wrong sign within 1 % below its share", sharp),
            ExactExample("(μ + L)v − Hv at its share: product 0", lambda: tight(0)),
            ExactCounterexample("and below it: wrong", lambda: tight(1)),
            ExactCounterexample("p > 0 dropped: no share is enough", sign_change),
        ),
        formula=r"\frac{c-1}{c+1}\ \geq\ 1/T_K\left(\frac{\kappa+1}{\kappa-1}\right)",
    )


def landweber_steps(formulas: Formulas) -> Claim:
    """T11b: the share that K Landweber steps need."""

    def any_step(rng: Random) -> tuple[Fraction, Fraction, int]:
        kappa = 1 + Fraction(rng.randint(1, 60), 12)
        return kappa, 2 / kappa**2 * Fraction(rng.randint(1, 199), 200), 2 * rng.randint(1, 3)

    def step_is_best(drawn: tuple[Fraction, Fraction, int]) -> Fraction:
        """Even K: no η < 2/L² needs a smaller share than 2/(μ² + L²); μ = 1, L = κ."""
        kappa, eta, steps = drawn
        left = [(1 - eta * x) ** steps for x in (Fraction(1), kappa**2)]
        inside = 1 <= 1 / eta <= kappa**2
        highest, lowest = 1 - (0 if inside else min(left)), 1 - max(left)
        ratio = Fraction(highest / lowest)
        return Fraction(formulas.own_share(ratio) - formulas.landweber_share(kappa, steps))

    def steps_needed() -> Exhibit:
        """κ = 100 and a share of ½."""
        kappa, share = Fraction(100), Fraction(1, 2)
        landweber_count = 2 * ceil(log(1.5) / log(10001 / 9999) / 2)
        best = ceil(acosh(2) / acosh(101 / 99))
        return Exhibit(
            {"κ": kappa, "share": share, "Landweber steps": landweber_count, "best degree": best},
            {"share < (κ − 1)/(κ + 1)": share < formulas.own_share(kappa)},
            {
                "Landweber: this even K is enough": formulas.landweber_share(kappa, landweber_count)
                < share,
                "and K − 2 is not": formulas.landweber_share(kappa, landweber_count - 2) > share,
                "best polynomial: this many products are enough": formulas.best_share(kappa, best)
                < share,
                "and one less is not": formulas.best_share(kappa, best - 1) > share,
            },
        )

    return Claim(
        id="T11b",
        where="new",
        statement="K Landweber steps, K even, at η = 2/(μ² + L²) need a share ρᴷ/(2 − ρᴷ), ρ = "
        "(κ² − 1)/(κ² + 1), and no other η < 2/L² needs less. So K > ln((1 + s)/2s)/ln((κ² + "
        "1)/(κ² − 1)) ≈ ½κ² ln((1 + s)/2s) suffice for a share s; the best polynomial takes "
        "arccosh(1/s)/arccosh((κ + 1)/(κ − 1)) ≈ ½√κ ln(2/s).",
        assumptions="0 < μ ≤ |λ(H)| ≤ L for Landweber; H ≻ 0 for the best polynomial",
        verdict=Verdict.HOLDS,
        because="For even K the residual polynomial (1 − ηλ²)ᴷ lies in [0, ρᴷ], and its "
        "maximum over [μ, L] is least when both ends are equal. T6 certifies it at run time.",
        evidence=(
            PropertyTest("no other step needs a smaller share", any_step, step_is_best),
            ExactExample("κ = 100, s = ½: 2028 steps against 7 products", steps_needed),
        ),
        formula=r"K>\ln\frac{1+s}{2s}\,/\,\ln\frac{\kappa^2+1}{\kappa^2-1}",
    )
