"""T8c: the bound of conjugate gradients: in which norm it holds, and where it is attained."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import isqrt, prod
from random import Random

from proofs_checks.definitions import Formulas
from proofs_checks.evidence import ExactCounterexample, ExactExample, Exhibit, PropertyTest
from proofs_checks.instances import Instance, definite, from_eigenvalues
from proofs_checks.ledger import Claim, Verdict
from proofs_checks.rational import Matrix, column, diagonal, dot, random_column, square

Drawn = tuple[Instance, Fraction, int]  # an instance, √κ, and the number of steps K


def conjugate_gradient(hessian: Matrix, slope: Matrix, steps: int) -> Matrix:
    """K steps of Hestenes and Stiefel's method from q = 0, in exact arithmetic."""
    q, residual = 0 * slope, slope
    direction = residual
    for _ in range(steps):
        if square(residual) == 0:
            return q
        product = hessian @ direction
        length = square(residual) / dot(direction, product)
        q = q + length * direction
        after = residual - length * product
        direction = after + square(after) / square(residual) * direction
        residual = after
    return q


def energy(hessian: Matrix, error: Matrix) -> Fraction:
    value: Fraction = dot(error, hessian @ error)
    return value


def drawn_root(rng: Random) -> Drawn | None:
    """H ≻ 0, 4×4, with κ the square of a rational."""
    root, least = Fraction(rng.randint(3, 9), 2), Fraction(rng.randint(1, 5), 5)
    between = [1 + (root**2 - 1) * Fraction(rng.randint(1, 19), 20) for _ in range(2)]
    case = from_eigenvalues(rng, [least * x for x in (Fraction(1), root**2, *between)], 1)
    case = replace(case, slope=random_column(rng, 4))
    return None if square(case.slope) == 0 else (case, root, rng.randint(1, 4))


def extremal(root: Fraction, steps: int) -> Drawn:
    """Where the energy norm's bound 1/T_K is attained, up to rounding of y; K ≤ 3.

    The eigenvalues are the K + 1 points where T11a's residual polynomial r takes its largest
    values ±1/T_K, cos(jπ/K) moved to [1, κ]. r is also the best polynomial in the mean square with
    the weights λⱼyⱼ² ∝ 1/(λⱼ Π|λⱼ − λᵢ|), for these annihilate λ·(degree < K) under its signs.
    """
    cosines = {
        1: (1, -1),
        2: (1, 0, -1),
        3: (Fraction(1), Fraction(1, 2), Fraction(-1, 2), Fraction(-1)),
    }[steps]
    middle, half = (root**2 + 1) / 2, (root**2 - 1) / 2
    nodes = [Fraction(middle - half * c) for c in cosines]
    weights = [1 / (x**2 * prod(abs(x - other) for other in nodes if other != x)) for x in nodes]
    scale = 10**12 / max(weights)
    truth = column(*(isqrt(int(w * scale)) for w in weights))
    hessian = diagonal(*nodes)
    case = Instance(hessian, truth.T, hessian @ truth, tuple(nodes), diagonal(*[1] * len(nodes)))
    return case, root, steps


def euclidean_extremal() -> Drawn:
    """κ = 9, K = 3: ‖e₃‖ is 1.199 times 2((√κ − 1)/(√κ + 1))³‖y‖; found by search."""
    nodes = (Fraction(1), Fraction(17, 5), Fraction(29, 4), Fraction(9))
    hessian, truth = diagonal(*nodes), column(33, 24, 16, 10)
    case = Instance(hessian, truth.T, hessian @ truth, nodes, diagonal(1, 1, 1, 1))
    return case, Fraction(3), 3


def drawn_or_extremal(rng: Random) -> Drawn | None:
    """A third of the draws are extremal."""
    match rng.randrange(6):
        case 0:
            root = rng.choice((Fraction(3, 2), Fraction(2), Fraction(3), Fraction(9, 2)))
            return extremal(root, rng.choice((1, 2, 3)))
        case 1:
            return euclidean_extremal()
        case _:
            return drawn_root(rng)


def errors(case: Instance, steps: int) -> tuple[Matrix, Matrix]:
    """The solution y, and y − q_K."""
    truth = case.hessian.inverse() @ case.slope
    return truth, truth - conjugate_gradient(case.hessian, case.slope, steps)


def claims(formulas: Formulas) -> tuple[Claim, ...]:
    def energy_margin(drawn: Drawn) -> Fraction:
        case, root, steps = drawn
        truth, error = errors(case, steps)
        bound = formulas.energy_bound(root, steps)
        return Fraction(bound**2 * energy(case.hessian, truth) - energy(case.hessian, error))

    def euclidean_margin(drawn: Drawn) -> Fraction:
        case, root, steps = drawn
        truth, error = errors(case, steps)
        bound = formulas.euclidean_bound(root, steps)
        return Fraction(bound**2 * square(truth) - square(error))

    def nearly_attained() -> Exhibit:
        """2τᴷ/(1 + τ²ᴷ) = 1/T_K is attained up to rounding: over 2τᴷ it is 1/(1 + τ²ᴷ)."""
        shares: dict[str, Fraction] = {}
        for root, steps in ((Fraction(3, 2), 3), (Fraction(9, 2), 3), (Fraction(2), 1)):
            case, _, _ = extremal(root, steps)
            truth, error = errors(case, steps)
            tau = (root - 1) / (root + 1)
            best = 2 * tau**steps / (1 + tau ** (2 * steps))
            ratio = energy(case.hessian, error) / energy(case.hessian, truth)
            shares[f"κ = {root**2}, K = {steps}"] = Fraction(ratio / best**2)
        rounded = {name: f"1 − {float(1 - x):.1e}" for name, x in shares.items()}
        return Exhibit(
            {"‖e‖²_H over (‖y‖_H/T_K)²": rounded},
            {"three cases": len(shares) == 3},
            {name: 1 - Fraction(1, 10**4) < x <= 1 for name, x in shares.items()},
        )

    def finite_termination(case: Instance) -> Fraction:
        q = conjugate_gradient(case.hessian, case.slope, case.hessian.shape[0])
        left: Fraction = square(case.hessian @ q - case.slope)
        return -left

    def euclidean_is_larger() -> Exhibit:
        case, root, steps = euclidean_extremal()
        truth, error = errors(case, steps)
        without = formulas.energy_bound(root, steps) ** 2 * square(truth)
        return Exhibit(
            {"H": case.hessian, "q*": truth, "‖e‖²/‖q*‖²": square(error) / square(truth)},
            {
                "the energy norm obeys it": energy_margin((case, root, steps)) >= 0,
                "2√κ times the factor bounds ‖e‖": euclidean_margin((case, root, steps)) >= 0,
                "by more than 19 %": square(error) > without * Fraction(119, 100) ** 2,
            },
            {"‖e‖ ≤ 2((√κ − 1)/(√κ + 1))³‖q*‖": square(error) <= without},
        )

    def needs_definite() -> Exhibit:
        hessian, slope = diagonal(1, -1), column(1, 1)
        return Exhibit(
            {"H": hessian, "v": slope, "vᵀHv": dot(slope, hessian @ slope)},
            {"H is invertible": True, "v ≠ 0": square(slope) > 0},
            {"the first step exists: vᵀHv ≠ 0": dot(slope, hessian @ slope) != 0},
        )

    return (
        Claim(
            id="T8c",
            where="new",
            statement="The relative error of conjugate gradients after K steps is at most "
            "2((√κ − 1)/(√κ + 1))ᴷ.",
            assumptions="H ≻ 0, q = 0 at the start",
            verdict=Verdict.HOLDS_IF,
            because="True in the energy norm √(eᵀHe), which is what CG minimises, and nearly "
            "attained there. In the Euclidean norm it is false (by 19 % in the example), and "
            "2√κ((√κ − 1)/(√κ + 1))ᴷ bounds it, not sharply. After n steps the error is zero.",
            evidence=(
                PropertyTest(
                    "energy norm, κ a rational square, worst cases too",
                    drawn_or_extremal,
                    energy_margin,
                    60,
                ),
                PropertyTest(
                    "Euclidean norm, with the factor √κ, worst cases too",
                    drawn_or_extremal,
                    euclidean_margin,
                    60,
                ),
                ExactExample("the energy norm's worst cases are at 1/T_K", nearly_attained),
                PropertyTest(
                    "n steps solve the system",
                    lambda rng: definite(rng, 3, 1),
                    finite_termination,
                    60,
                ),
                ExactCounterexample("Euclidean norm, without the factor", euclidean_is_larger),
                ExactCounterexample("H ≻ 0 dropped: the first step does not exist", needs_definite),
            ),
            formula=r"\|q_K-q^*\|_H\leq 2\left(\frac{\sqrt{\kappa}-1}{\sqrt{\kappa}+1}\right)^K"
            r"\|q^*\|_H",
        ),
    )
