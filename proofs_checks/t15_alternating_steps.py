"""T15: alternating steps with the amended term on a quadratic: limit, penalty, cycles."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from random import Random

import sympy
import torch

from bilevel.estimators import Amended
from bilevel.problem import BilevelProblem
from bilevel.solver import alternating_step
from bilevel.vector import Tree
from proofs_checks.definitions import Formulas
from proofs_checks.evidence import (
    ExactCounterexample,
    ExactExample,
    ExactIdentity,
    Exhibit,
    PropertyTest,
)
from proofs_checks.instances import definite, with_norm
from proofs_checks.ledger import Claim, Verdict
from proofs_checks.measurement import Measurement, Reading
from proofs_checks.rational import (
    Matrix,
    column,
    diagonal,
    dot,
    identity,
    is_definite,
    matrix,
    square,
)


def characteristic(m: Matrix) -> list[Fraction]:
    """Coefficients of det(zI − M), highest power first (Faddeev and LeVerrier)."""
    n = m.shape[0]
    coefficients, power = [Fraction(1)], 0 * m
    for k in range(1, n + 1):
        power = m @ power + coefficients[-1] * identity(n)
        coefficients.append(Fraction(-(m @ power).trace(), k))
    return coefficients


def contracts(m: Matrix) -> bool:
    """Whether every eigenvalue of M has modulus below 1, decided exactly (Schur and Cohn)."""
    p = characteristic(m)
    while len(p) > 1:
        if abs(p[-1]) >= abs(p[0]):
            return False
        reduced = [p[0] * a - p[-1] * b for a, b in zip(p, reversed(p), strict=True)]
        p = reduced[:-1]
    return True


@dataclass(frozen=True)
class Alternation:
    """L_train = ωᵀHω/2 + αᵀBω, L_val = ‖ω − ω₀‖²/2; steps s on ω, t on α, and τ = tη.

    α ← α − t·g₂′(ω), then ω ← ω − s∇_ωL_train(ω, α), with the new α, as DARTS alternates.
    """

    hessian: Matrix
    mixed: Matrix
    inner: Fraction
    outer: Fraction

    def step(self, formulas: Formulas, alpha: Matrix, omega: Matrix) -> tuple[Matrix, Matrix]:
        """One alternation of the linear part: ω₀ = 0."""
        alpha = alpha - formulas.amended(self.hessian, self.mixed, omega, self.outer)
        return alpha, omega - self.inner * (self.hessian @ omega + self.mixed.T @ alpha)

    def iteration(self, formulas: Formulas) -> Matrix:
        """The (m + n)×(m + n) matrix that one alternation multiplies by."""
        m, n = self.mixed.shape
        images = []
        for k in range(m + n):
            unit = [Fraction(int(i == k)) for i in range(m + n)]
            after = self.step(formulas, column(*unit[:m]), column(*unit[m:]))
            images.append(tuple(after[0]) + tuple(after[1]))
        return Matrix(tuple(images)).T


def claims(formulas: Formulas) -> tuple[Claim, ...]:
    return below_the_bound(formulas), any_step_length(formulas)


def below_the_bound(formulas: Formulas) -> Claim:
    def drawn(rng: Random) -> tuple[Alternation, Fraction] | None:
        """H ≻ 0, ‖B‖ known, 0 < s < 2/L; and the bound on τ, (4/(sL) − 2)/‖B‖²."""
        n = rng.choice((1, 2, 3))
        case = definite(rng, n, 1)
        largest = max(case.eigenvalues)
        mixed, norm = with_norm(rng, min(n, rng.choice((1, 2))), n)
        if (mixed @ mixed.T).determinant() == 0:
            return None  # α in the kernel of Bᵀ would never move
        inner = Fraction(2 * rng.randint(1, 19), 20) / largest
        bound = Fraction(formulas.alternating_limit(inner * largest)) / norm**2
        return Alternation(case.hessian, mixed, inner, Fraction(0)), bound

    def inside(rng: Random) -> Alternation | None:
        found = drawn(rng)
        share = rng.choice((Fraction(1, 100), Fraction(1, 2), Fraction(99, 100)))
        return None if found is None else replace(found[0], outer=share * found[1])

    def at_the_end(rng: Random) -> tuple[Alternation, Fraction]:
        """B a row along the top eigenvector of H: where the bound is attained."""
        case = definite(rng, 2, 1)
        top = max(range(2), key=lambda i: case.eigenvalues[i])
        row = matrix([x[top] for x in case.eigenvectors.entries])
        inner = Fraction(2 * rng.randint(1, 19), 20) / case.eigenvalues[top]
        size = Fraction(rng.randint(1, 8), 4)
        bound = Fraction(formulas.alternating_limit(inner * case.eigenvalues[top])) / size**2
        return Alternation(case.hessian, size * row, inner, Fraction(0)), bound

    def beyond(rng: Random) -> Alternation:
        found, bound = at_the_end(rng)
        return replace(found, outer=bound * Fraction(101, 100))

    def just_inside(rng: Random) -> Alternation:
        found, bound = at_the_end(rng)
        return replace(found, outer=bound * Fraction(99, 100))

    def converges(case: Alternation) -> int:
        return 1 if contracts(case.iteration(formulas)) else -1

    def penalties() -> list[tuple[str, object, object]]:
        """The implicit terms at ω*(α) as gradients; n = 2, m = 2, all entries symbols."""
        h, b = sympy.symbols("h11 h12 h22"), sympy.symbols("b11 b12 b21 b22")
        a, w = sympy.symbols("a1 a2"), sympy.symbols("w1 w2")
        eta = sympy.Symbol("eta")
        hessian, mixed = matrix([h[0], h[1]], [h[1], h[2]]), matrix(b[:2], b[2:])
        alpha, target = column(*a), column(*w)
        best = -(hessian.inverse() @ mixed.T @ alpha)
        slope = best - target  # ∇_ω L_val at ω*
        gradient = hessian @ target + mixed.T @ alpha  # ∇_ω L_train(ω₀, α)

        def derivative(value: object) -> Matrix:
            return column(*(sympy.diff(value, x) for x in a))

        return [
            (
                "truth: ½‖ω* − ω₀‖²",
                formulas.implicit(hessian, mixed, slope),
                derivative(square(slope) / 2),
            ),
            (
                "DARTS: (ξ/2)⟨ω* − ω₀, H(ω* − ω₀)⟩",
                formulas.darts(mixed, slope, eta),
                derivative(eta * dot(slope, hessian @ slope) / 2),
            ),
            (
                "amended: (η/2)‖H(ω* − ω₀)‖²",
                formulas.amended(hessian, mixed, slope, eta),
                derivative(eta * square(hessian @ slope) / 2),
            ),
            ("H(ω* − ω₀) = −∇_ω L_train(ω₀, α)", hessian @ slope, -gradient),
        ]

    def another_limit() -> Exhibit:
        """H = diag(1, 4), B = (1 1), ω₀ = (1, −1)."""
        hessian, mixed, target = diagonal(1, 4), matrix([1, 1]), column(1, -1)

        def slope(alpha: Fraction) -> Matrix:
            return -alpha * (hessian.inverse() @ mixed.T) - target

        def zero(term: object) -> Fraction:
            """Of an affine function of α."""
            at = [Fraction(term(Fraction(k))) for k in (0, 1)]  # type: ignore[operator]
            return at[0] / (at[0] - at[1])

        truth = zero(lambda a: formulas.implicit(hessian, mixed, slope(a))[0, 0])
        limit = zero(lambda a: formulas.amended(hessian, mixed, slope(a), 1)[0, 0])
        values = [square(slope(a)) / 2 for a in (Fraction(0), limit, truth)]
        return Exhibit(
            {"minimiser of Φ": truth, "amended's limit": limit, "Φ at 0, limit, minimum": values},
            {"H ≻ 0": is_definite(hessian)},
            {"the limits agree": truth == limit, "Φ at the limit < Φ at 0": values[1] < values[0]},
        )

    def two_cycle() -> Exhibit:
        """H = B = 1, s = 1, τ = 2, on the bound: α = 1, ω = −1 and α = −1, ω = 1 for ever."""
        case = Alternation(matrix([1]), matrix([1]), Fraction(1), Fraction(2))
        at = (column(1), column(-1))
        first = case.step(formulas, *at)
        second = case.step(formulas, *first)
        return Exhibit(
            {"α, ω": [str(x) for x in (*at, *first, *second)]},
            {"τ‖B‖² is the bound": formulas.alternating_limit(Fraction(1)) == 2},
            {"moved": first != at, "back after two alternations": second == at},
        )

    def by_the_package() -> list[Reading]:
        """`alternating_step` with Amended and SGD, n = 3, m = 2: below the bound and above it."""
        hessian = torch.diag(torch.tensor([1.0, 2.0, 4.0], dtype=torch.float64))
        mixed = torch.tensor([[0.0, 0.0, 1.0], [0.0, 0.5, 0.0]], dtype=torch.float64)
        target = torch.tensor([1.0, -1.0, 0.5], dtype=torch.float64)
        inner_rate, eta = 0.25, 0.1

        def inner(omega: Tree, alpha: Tree) -> torch.Tensor:
            value: torch.Tensor = omega @ hessian @ omega / 2 + alpha @ mixed @ omega
            return value

        def outer(omega: Tree, alpha: Tree) -> torch.Tensor:
            value: torch.Tensor = (omega - target).square().sum() / 2 + 0 * alpha.sum()
            return value

        bound = float(formulas.alternating_limit(Fraction(1)))  # sL = 1, ‖B‖ = 1
        wanted = -torch.linalg.solve(mixed @ mixed.T, mixed @ hessian @ target)
        readings = []
        for share, least, most in ((0.95, 0.0, 1e-6), (1.05, 10.0, float("inf"))):
            omega = torch.zeros(3, dtype=torch.float64, requires_grad=True)
            alpha = torch.zeros(2, dtype=torch.float64, requires_grad=True)
            movers = (
                torch.optim.SGD([alpha], lr=share * bound / eta),
                torch.optim.SGD([omega], lr=inner_rate),
            )
            problem = BilevelProblem(inner, outer)
            for _ in range(300):
                alternating_step(
                    problem, omega, alpha, estimator=Amended(eta), outer=movers[0], inner=movers[1]
                )
            gap = float((alpha.detach() - wanted).norm())
            readings.append(
                Reading(f"distance to the limit at {share} of the bound", gap, least, most)
            )
        return readings

    return Claim(
        id="T15a",
        where="new; §3.1's alternation",
        statement="L_train = ωᵀHω/2 + αᵀBω, L_val = ‖ω − ω₀‖²/2: alternating a step −t·g₂′ of "
        "α and a step of length s of ω, 0 < s < 2/L, converges if tη‖B‖² < 4/(sL) − 2, to "
        "ω*(α) at the minimiser of (η/2)‖∇_ωL_train(ω₀, α)‖². On the bound it can cycle, "
        "beyond it diverge.",
        assumptions="H ≻ 0, λ(H) ≤ L; B of full row rank (else its part in ker Bᵀ stays)",
        verdict=Verdict.HOLDS,
        because="θ = 1 − z, z an eigenvalue, solves aθ² − s(c + tηe)θ + stηe = 0, a = d*H⁻¹d, "
        "c = ‖d‖², e = d*BᵀBd. What is minimised is the distance of ω* to ω₀ in the metric H², "
        "where the truth has I and DARTS H: another minimiser, and Φ can be higher there than "
        "at the start. With a g₁ of α alone it is a penalty added to that loss.",
        evidence=(
            PropertyTest("H ≻ 0, n ≤ 3, below the bound", inside, converges, count=60),
            PropertyTest(
                "B along the top eigenvector, 1 % below the bound",
                just_inside,
                converges,
                count=40,
                seed=1,
            ),
            PropertyTest(
                "the same 1 % above it: diverges",
                beyond,
                lambda case: -converges(case),
                count=40,
                seed=1,
            ),
            ExactExample("on the bound: a cycle of two", two_cycle),
            ExactIdentity("what each term is the gradient of", penalties),
            ExactCounterexample("the limit is not Φ's minimiser, nor lower", another_limit),
            Measurement("the package's alternating steps, n = 3, m = 2", by_the_package),
        ),
        formula=r"t\,\eta\,\|B\|^2<\frac{4}{sL}-2",
    )


def any_step_length(formulas: Formulas) -> Claim:
    """T15b, which fails."""

    def field(hessian: Matrix, mixed: Matrix, outer: Matrix) -> Matrix:
        """M: g₂′ = ηMα at ω*(α) for L_val = ωᵀWω/2."""
        response = -(hessian.inverse() @ mixed.T)
        images = []
        for k in range(response.shape[1]):
            unit = column(*(int(i == k) for i in range(response.shape[1])))
            images.append(
                tuple(formulas.amended(hessian, mixed, outer @ response @ unit, Fraction(1)))
            )
        return Matrix(tuple(images)).T

    def diverges() -> Exhibit:
        hessian, mixed = diagonal(1, 4), matrix([1, 1])
        w = column(2, -1)
        outer = w @ w.T + Fraction(1, 10) * identity(2)
        value = field(hessian, mixed, outer)[0, 0]
        response = -(hessian.inverse() @ mixed.T)
        curvature = dot(response, outer @ response)
        darts = formulas.darts(mixed, outer @ response, Fraction(1))[0, 0]
        return Exhibit(
            {"W": outer, "Φ″": curvature, "g₂′/(ηα)": value, "DARTS's/(ξα)": darts},
            {
                "W ≻ 0": is_definite(outer),
                "Φ is strictly convex": curvature > 0,
                "DARTS": darts > 0,
            },
            {"α ← α − t·g₂′ comes nearer to 0": value > 0},
        )

    def turns() -> Exhibit:
        hessian, mixed = diagonal(2, 1), matrix([0, -1], [-1, -2])
        outer = matrix([5, -2], [-2, 1])
        found = field(hessian, mixed, outer)
        response = -(hessian.inverse() @ mixed.T)
        curvature = response.T @ outer @ response
        return Exhibit(
            {"W": outer, "∇²Φ": curvature, "M": found},
            {"W ≻ 0": is_definite(outer), "∇²Φ ≻ 0": is_definite(curvature)},
            {
                "M² = −I: α′ = −M α turns in a circle": found @ found == -identity(2),
                "and ‖(I − tM)x‖ grows in its norm": contracts(identity(2) - found) is False,
            },
        )

    return Claim(
        id="T15b",
        where="new; §3.1's alternation",
        statement="Steps of the amended term converge on a quadratic with H ≻ 0 and convex Φ.",
        assumptions="L_val = ωᵀWω/2, W ≻ 0, ω = ω*(α) at each step; any step length",
        verdict=Verdict.FAILS,
        because="g₂′ = ηMα with M = BHWH⁻¹Bᵀ, where Φ has BH⁻¹WH⁻¹Bᵀ ≻ 0. If W and H commute "
        "M is positive definite. If not, M can be negative (m = 1: the iterates leave the "
        "minimum at every step length) or a rotation (m = 2: the flow circles for ever, every "
        "step leads outwards), so that it is no loss's gradient.",
        evidence=(
            ExactCounterexample("m = 1: M < 0, DARTS's is > 0", diverges),
            ExactExample("m = 2: M² = −I", turns),
        ),
        formula=r"g_2'=\eta\,BHWH^{-1}B^\top\alpha",
    )
