"""T3: what holds on average, over v or over B, and how often the sign is wrong: exactly."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import product
from random import Random

import numpy as np
import sympy
from scipy.special import beta as beta_function
from scipy.stats import t as student

from proofs_checks.definitions import Formulas
from proofs_checks.evidence import (
    ExactCounterexample,
    ExactExample,
    ExactIdentity,
    Exhibit,
    MonteCarlo,
    MonteCarloMean,
    PropertyTest,
)
from proofs_checks.instances import Instance, agreement, darts_agreement, definite, indefinite
from proofs_checks.ledger import Claim, Verdict
from proofs_checks.measurement import Measurement, Reading
from proofs_checks.rational import Matrix, Scalar, column, diagonal, dot, square

DRAWS = 100_000
SPECTRUM = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0)
SLOPE = (1.0, -2.0, 0.5, 1.5, -1.0, 0.25)


def signs(entries: int) -> Iterator[tuple[int, ...]]:
    """All vectors of ±1: the uniform law on them has E[xxᵀ] = I, and a finite exact average."""
    return product((-1, 1), repeat=entries)


def cosine_between(x: np.ndarray, y: np.ndarray) -> float:
    return float(x @ y / np.sqrt((x @ x) * (y @ y)))


def claims(formulas: Formulas) -> tuple[Claim, ...]:
    def average_over_slopes() -> list[tuple[str, object, object]]:
        rng, sides = Random(0), list[tuple[str, object, object]]()
        eta = Fraction(1, 10)
        for k in range(10):
            case = definite(rng, 3, 2)
            draws = [_with_slope(case, Matrix.of([s] for s in sign)) for sign in signs(3)]
            mean = sum(agreement(formulas, draw, eta) for draw in draws) / len(draws)
            darts = sum(darts_agreement(formulas, draw) for draw in draws) / len(draws)
            sides += [
                (
                    f"amended, instance {k + 1}",
                    mean,
                    formulas.mean_amended_over_slopes(case.mixed, eta, 1),
                ),
                (
                    f"DARTS, instance {k + 1}",
                    darts,
                    formulas.mean_darts_over_slopes(case.hessian, case.mixed, 1, 1),
                ),
            ]
        return sides

    def trace_identity() -> list[tuple[str, object, object]]:
        """E over any law with E[vvᵀ] = σ²I: replace vᵢvⱼ by σ²δᵢⱼ, all else symbols."""
        h11, h12, h22, b1, b2, eta, variance = sympy.symbols("h11 h12 h22 b1 b2 eta sigma2")
        v = sympy.symbols("v1 v2")
        hessian, mixed = Matrix.of([[h11, h12], [h12, h22]]), Matrix.of([[b1, b2]])
        slope = column(*v)
        value = dot(
            formulas.amended(hessian, mixed, slope, eta), formulas.implicit(hessian, mixed, slope)
        )
        polynomial = sympy.Poly(sympy.together(value).as_numer_denom()[0], *v)
        denominator = sympy.together(value).as_numer_denom()[1]
        mean = variance * (
            polynomial.coeff_monomial(v[0] ** 2) + polynomial.coeff_monomial(v[1] ** 2)
        )
        return [
            (
                "E⟨g₂′, g₂⟩",
                mean / denominator,
                formulas.mean_amended_over_slopes(mixed, eta, variance),
            )
        ]

    def average_over_mixed() -> list[tuple[str, object, object]]:
        rng, sides = Random(1), list[tuple[str, object, object]]()
        for n, m in ((2, 1), (2, 2), (3, 1), (3, 2)):
            case = indefinite(rng, n, m)
            values = [
                agreement(formulas, _with_mixed(case, Matrix.of(_rows(sign, n))))
                for sign in signs(n * m)
            ]
            expected = formulas.mean_amended_over_mixed(case.slope, m, 1)
            mean = sum(values) / len(values)
            sides.append((f"n = {n}, m = {m}, H of any signature", mean, expected))
        return sides

    def darts_average_can_be_negative() -> Exhibit:
        hessian, slope = diagonal(1, -1), column(1, 2)
        draws = [Matrix.of([sign]) for sign in signs(2)]
        truths = [formulas.implicit(hessian, mixed, slope) for mixed in draws]
        by_amended = [formulas.amended(hessian, mixed, slope, 1) for mixed in draws]
        by_darts = [formulas.darts(mixed, slope, 1) for mixed in draws]
        amended = sum(map(dot, by_amended, truths)) / Fraction(len(draws))
        darts = sum(map(dot, by_darts, truths)) / Fraction(len(draws))
        return Exhibit(
            {"H": hessian, "v": slope, "E amended": amended, "E DARTS": darts},
            {"E amended = m‖v‖² > 0": amended == square(slope)},
            {"E DARTS > 0": darts > 0},
        )

    def signature_cancels() -> Exhibit:
        hessian, slope = diagonal(3, -1, 2), column(1, 5, -2)
        ahead, behind = hessian @ slope, hessian.inverse() @ slope
        return Exhibit(
            {"H": hessian, "⟨Hv, H⁻¹v⟩": dot(ahead, behind), "vᵀH⁻¹v": dot(slope, behind)},
            {"H is indefinite": True},
            {
                "⟨Hv, H⁻¹v⟩ = ‖v‖²": dot(ahead, behind) == square(slope),
                "vᵀH⁻¹v < 0": dot(slope, behind) < 0,
            },
        )

    def wrong(rows: int, power: int, spectrum: tuple[float, ...]) -> Callable[..., np.ndarray]:
        """Gaussian B, v and H fixed: ⟨BHᵖv, BH⁻¹v⟩ < 0; p = 1 is amended, p = 0 DARTS."""

        def hits(rng: np.random.Generator, n: int) -> np.ndarray:
            v, lam = np.array(SLOPE), np.array(spectrum)
            mixed = rng.standard_normal((n, rows, len(v)))
            estimate, truth = mixed @ (lam**power * v), mixed @ (v / lam)
            return np.asarray((estimate * truth).sum(axis=1) < 0)

        return hits

    def probability(rows: int, power: int, spectrum: tuple[float, ...]) -> Callable[[], float]:
        v, lam = np.array(SLOPE), np.array(spectrum)
        cosine = cosine_between(lam**power * v, v / lam)
        return lambda: float(formulas.wrong_sign_share(cosine, rows))

    flipped = (0.1, -0.5, 1.0, 2.0, -5.0, 10.0)

    def share(rows: int, power: int, spectrum: tuple[float, ...], seed: int) -> MonteCarlo:
        name = ("DARTS", "amended")[power]
        kind = "H ≻ 0" if spectrum == SPECTRUM else "H indefinite"
        return MonteCarlo(
            f"{name}, m = {rows}, {kind}, n = 6",
            DRAWS,
            seed,
            wrong(rows, power, spectrum),
            probability(rows, power, spectrum),
        )

    def closed_forms() -> list[tuple[str, object, object]]:
        """P = E Φ(−cot θ · χ_m), integrated in symbols; c = cot θ, cos θ = c/√(1 + c²)."""
        c, r = sympy.symbols("c r", positive=True)
        cosine = c / sympy.sqrt(1 + c**2)
        tail = sympy.erfc(c * r / sympy.sqrt(2)) / 2
        density_two = r * sympy.exp(-(r**2) / 2)
        density_four = r**3 * sympy.exp(-(r**2) / 2) / 2
        return [
            (
                f"m = {rows}",
                sympy.simplify(sympy.integrate(density * tail, (r, 0, sympy.oo))),
                formulas.wrong_sign_share(cosine, rows),
            )
            for rows, density in ((2, density_two), (4, density_four))
        ]

    def pythagorean(rng: Random) -> tuple[Fraction, Fraction, int, Fraction]:
        """Rational cos θ, sin θ > 0, an even m and B(m/2, ½)."""
        t = Fraction(rng.randint(1, 99), 100)
        rows = 2 * rng.randint(1, 6)
        beta = Fraction(2)
        for a in range(1, rows // 2):
            beta = beta * a / (a + Fraction(1, 2))
        return (1 - t**2) / (1 + t**2), 2 * t / (1 + t**2), rows, beta

    def bounds_margin(drawn: tuple[Fraction, Fraction, int, Fraction]) -> Scalar:
        cosine, sine, rows, beta = drawn
        value = formulas.wrong_sign_share(cosine, rows)
        lower = formulas.wrong_sign_tail(sine, rows, beta)
        floor = formulas.wrong_sign_floor(cosine, sine, beta)
        return min(value - lower, lower / cosine - value, value - floor)

    def by_student() -> list[Reading]:
        """Every m up to 30, and 223 and 224: against P(T_m > √m cot θ).

        The recursion subtracts m/2 terms below 1, each rounded: m × 2⁻⁵² and a few digits more.
        """
        readings = []
        for rows in (*range(1, 31), 223, 224):
            gaps = [
                abs(
                    float(formulas.wrong_sign_share(np.cos(angle), rows))
                    - float(student.sf(np.sqrt(rows) / np.tan(angle), rows))
                )
                for angle in np.linspace(0.02, np.pi - 0.02, 60)
            ]
            readings.append(Reading(f"m = {rows}: largest difference", max(gaps), 0, rows * 2e-15))
        return readings

    def bounds_for_odd() -> list[Reading]:
        """θ from 0.01 to 90°, where bounds touch: least excess over rounding, m × 2⁻⁵²."""
        readings = []
        for rows in (1, 3, 5, 7, 9, 15, 31):
            factor, least = float(beta_function(rows / 2, 0.5)), np.inf
            for angle in np.linspace(0.01, np.pi / 2 - 1e-4, 400):
                cosine, sine = float(np.cos(angle)), float(np.sin(angle))
                value = float(student.sf(np.sqrt(rows) * cosine / sine, rows))
                lower = float(formulas.wrong_sign_tail(sine, rows, factor))
                floor = float(formulas.wrong_sign_floor(cosine, sine, factor))
                least = min(least, value - lower, lower / cosine - value, value - floor)
            readings.append(Reading(f"m = {rows}: least margin", least, -rows * 2e-15, 0.1))
        return readings

    def below_one_half(drawn: tuple[Fraction, Fraction, int, Fraction]) -> Scalar:
        return Fraction(1, 2) - formulas.wrong_sign_share(drawn[0], drawn[2])

    def gaussian_slopes(rng: np.random.Generator, n: int) -> np.ndarray:
        lam = np.array(SPECTRUM)
        mixed = np.arange(12).reshape(2, 6) / 6 - 1
        v = rng.standard_normal((n, 6))
        return np.asarray((((lam * v) @ mixed.T) * ((v / lam) @ mixed.T)).sum(axis=1))

    def mean_over_slopes() -> float:
        mixed = Matrix.of([Fraction(6 * i + j, 6) - 1 for j in range(6)] for i in range(2))
        return float(formulas.mean_amended_over_slopes(mixed, 1, 1))

    return (
        Claim(
            id="T3a",
            where="new",
            statement="Over v with E[vvᵀ] = σ²I: E⟨g₂′, g₂⟩ = ησ²‖B‖_F² > 0, and for DARTS "
            "ξσ² tr(BH⁻¹Bᵀ), positive when H ≻ 0.",
            assumptions="H, B fixed, H invertible",
            verdict=Verdict.HOLDS,
            because="The trace of H⁻¹AH is that of A.",
            evidence=(
                ExactIdentity("the second moment, all entries symbols, n = 2", trace_identity),
                ExactIdentity("exact averages over all v ∈ {±1}³", average_over_slopes),
                MonteCarloMean(
                    "Gaussian v, n = 6, m = 2", 20_000, 7, gaussian_slopes, mean_over_slopes
                ),
            ),
            formula=r"E\langle g_2',g_2\rangle=\eta\sigma^2\|B\|_F^2",
        ),
        Claim(
            id="T3b",
            where="new",
            statement="Over B with independent N(0, 1) entries: E⟨g₂′, g₂⟩ = ηm‖v‖² > 0, and for "
            "m = 1 the sign is wrong with probability θ/π, θ = ∠(Hv, H⁻¹v).",
            assumptions="v, H fixed, H invertible, of any signature",
            verdict=Verdict.HOLDS,
            because="E[BᵀB] = mI, and ⟨Hv, H⁻¹v⟩ = ‖v‖². A Gaussian row falls between two "
            "half-spaces with a probability proportional to the angle.",
            evidence=(
                ExactIdentity("exact averages over all B ∈ {±1}ᵐˣⁿ", average_over_mixed),
                share(1, 1, SPECTRUM, 11),
                share(1, 0, SPECTRUM, 12),
            ),
            formula=r"E\langle g_2',g_2\rangle=\eta m\|v\|^2",
        ),
        Claim(
            id="T3c",
            where="new",
            statement="T3b holds for every invertible symmetric H, for ⟨Hv, H⁻¹v⟩ = ‖v‖² whatever "
            "the signature; DARTS's mean, ξm·vᵀH⁻¹v, can be negative.",
            assumptions="H symmetric and invertible",
            verdict=Verdict.HOLDS,
            because="H cancels H⁻¹ in the mean of amended and not in that of DARTS: this is the "
            "case in which the paper's term is the safer one.",
            evidence=(
                ExactExample("H of mixed signs: ⟨Hv, H⁻¹v⟩ = ‖v‖², vᵀH⁻¹v < 0", signature_cancels),
                ExactCounterexample(
                    "DARTS wrong on average, amended right", darts_average_can_be_negative
                ),
                share(5, 1, flipped, 13),
                share(5, 0, flipped, 14),
            ),
            formula=r"\langle Hv,\,H^{-1}v\rangle=\|v\|^2",
        ),
        Claim(
            id="T3d",
            where="new",
            statement="Over B with m rows of independent N(0, 1) entries, the sign is wrong with "
            "probability P = ½ I_{sin²θ}(m/2, ½) = P(T_m > √m cot θ), T_m Student's t, θ = ∠(q, "
            "H⁻¹v), for every estimator −Bq. With β = B(m/2, ½): P ≥ ½ − cot θ/β, and "
            "sinᵐθ/(mβ) ≤ P ≤ sinᵐθ/(mβ cos θ).",
            assumptions="q, v, H fixed; the bounds for θ < 90°",
            verdict=Verdict.HOLDS,
            because="Write Bx, By by two independent Gaussians g, h: the sum is wrong when a "
            "standard normal falls below −cot θ‖g‖. So amended is wrong with probability below ½, "
            "always, and near ½ when cot θ ≪ 1/√m.",
            evidence=(
                ExactIdentity("the integral over χ_m, in symbols, m = 2 and 4", closed_forms),
                share(2, 1, SPECTRUM, 15),
                share(5, 1, SPECTRUM, 16),
                share(5, 0, SPECTRUM, 17),
                PropertyTest(
                    "the three bounds, exactly, for even m ≤ 12", pythagorean, bounds_margin
                ),
                Measurement("P at every m ≤ 30, odd ones too, at 223 and 224", by_student),
                Measurement("the three bounds at odd m, 1 included", bounds_for_odd),
                PropertyTest("P < ½ for θ < 90°", pythagorean, below_one_half, strict=True),
            ),
            formula=r"P(\langle Bq,\,BH^{-1}v\rangle<0)=\frac{1}{2}\,"
            r"I_{\sin^2\theta}\left(\frac{m}{2},\frac{1}{2}\right)",
        ),
    )


def _rows(entries: tuple[int, ...], width: int) -> list[tuple[int, ...]]:
    return [entries[i : i + width] for i in range(0, len(entries), width)]


def _with_slope(case: Instance, slope: Matrix) -> Instance:
    return Instance(case.hessian, case.mixed, slope, case.eigenvalues, case.eigenvectors)


def _with_mixed(case: Instance, mixed: Matrix) -> Instance:
    return Instance(case.hessian, mixed, case.slope, case.eigenvalues, case.eigenvectors)
