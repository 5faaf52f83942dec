"""The code's estimators, in float64, against the exact formulas on rational inputs."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from fractions import Fraction
from random import Random

import torch
from torch import Tensor

from bilevel import Autograd, BilevelProblem, CentralDifference
from bilevel.estimators import Estimator
from proofs_checks.a2_finite_difference import (
    ALPHA,
    OMEGA,
    inner_loss,
    inner_polynomial,
    outer_loss,
    outer_polynomial,
)
from proofs_checks.definitions import Formulas
from proofs_checks.evidence import Bound, Enclosure
from proofs_checks.ledger import Claim, Verdict
from proofs_checks.rational import Matrix, column, identity, matrix, square
from proofs_checks.symbolic_problems import SymbolicProblem

ETA = Fraction(1, 4)  # a binary fraction, like every input here: no rounding on the way in


def tensor(m: Matrix) -> Tensor:
    return torch.tensor([[float(x) for x in row] for row in m.entries], dtype=torch.float64)


def exactly(values: Tensor) -> Matrix:
    """A float64 tensor as the rational numbers that it holds."""
    return column(*(Fraction(x) for x in values.flatten().tolist()))


def quadratic_problem(hessian: Matrix, mixed: Matrix, slope: Matrix) -> BilevelProblem:
    """F = ½ωᵀHω + αᵀBω, G = vᵀω: stationary at ω = 0, α = 0."""
    h, b, v = tensor(hessian), tensor(mixed), tensor(slope)[:, 0]
    return BilevelProblem(lambda w, a: w @ h @ w / 2 + a @ b @ w, lambda w, a: v @ w)


def integers(rng: Random) -> tuple[Matrix, Matrix, Matrix]:
    """H ≻ I with entries in the integers, B 2×3, v: products of these are exact in float64."""
    root = matrix(*([rng.randint(-2, 2) for _ in range(3)] for _ in range(3)))
    hessian = root.T @ root + identity(3)
    mixed = matrix(*([rng.randint(-3, 3) for _ in range(3)] for _ in range(2)))
    return hessian, mixed, column(*(rng.randint(-3, 3) for _ in range(3)))


def implicit_of(estimator: Estimator, problem: BilevelProblem, n: int, m: int) -> Matrix:
    omega, alpha = torch.zeros(n, dtype=torch.float64), torch.zeros(m, dtype=torch.float64)
    return _quietly(estimator, problem, omega, alpha)


def _quietly(estimator: Estimator, problem: BilevelProblem, omega: Tensor, alpha: Tensor) -> Matrix:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that one step has not converged is the point here
        return exactly(estimator(problem, omega, alpha).implicit)


def gap(estimate: Matrix, truth: Matrix) -> Fraction:
    """max |difference|, both sides rational."""
    return Fraction(max(abs(x) for x in estimate - truth))


def within(name: str, found: Fraction, allowed: float) -> Bound:
    """Known exactly, but shown only as being at most `allowed`: rounding differs by machine."""
    upper = Fraction(allowed)
    return Bound(name, (0, max(found, upper)), (-1, upper + Fraction(1, 10**18)))


def claims(formulas: Formulas) -> tuple[Claim, ...]:
    Formula = Callable[[Matrix, Matrix, Matrix], Matrix]
    Pair = tuple[str, Callable[[], Estimator], Formula, float]

    def through(solve: Callable[..., Matrix], parameter: Fraction, steps: int) -> Formula:
        return lambda h, b, v: -(b @ solve(h, v, parameter, steps))

    sixteenth = Fraction(1, 2**10)
    pairs: Sequence[Pair] = (
        ("Exact", lambda: formulas.exact_estimator(), formulas.implicit, 1e-12),
        (
            "Amended",
            lambda: formulas.amended_estimator(float(ETA)),
            lambda h, b, v: formulas.amended(h, b, v, ETA),
            0.0,
        ),
        (
            "Identity",
            lambda: formulas.identity_estimator(float(ETA)),
            lambda h, b, v: formulas.darts(b, v, ETA),
            0.0,
        ),
        (
            "DartsSecondOrder",
            lambda: formulas.darts_estimator(float(ETA)),
            lambda h, b, v: formulas.darts(b, v, ETA),
            0.0,
        ),
        (
            "Neumann, K = 3",
            lambda: formulas.neumann_estimator(terms=3, step=float(sixteenth)),
            through(formulas.neumann, sixteenth, 3),
            1e-12,
        ),
        (
            "Landweber, K = 3",
            lambda: formulas.landweber_estimator(terms=3, step=float(sixteenth)),
            through(formulas.landweber, sixteenth, 3),
            1e-12,
        ),
        (
            "Amended by central differences",
            lambda: formulas.amended_estimator(float(ETA), derivatives=CentralDifference()),
            lambda h, b, v: formulas.amended(h, b, v, ETA),
            1e-6,
        ),
    )

    def on_quadratics() -> list[Bound]:
        rng, worst = Random(0), {name: Fraction(0) for name, *_ in pairs}
        for _ in range(8):
            hessian, mixed, slope = integers(rng)
            if square(slope) == 0:
                continue
            problem = quadratic_problem(hessian, mixed, slope)
            for name, estimator, formula, _ in pairs:
                truth = formula(hessian, mixed, slope)
                size = max(Fraction(1), max(abs(x) for x in truth))
                found = gap(implicit_of(estimator(), problem, 3, 2), truth) / size
                worst[name] = max(worst[name], found)
        return [
            within(f"{name}, largest relative difference", worst[name], allowed)
            for name, _, _, allowed in pairs
        ]

    def off_the_minimum() -> list[Bound]:
        """The degree-5 polynomials of A.2 at a binary point where H and B depend on ω."""
        point, at = (0.5, -0.25), (2.0, 0.75)
        exact_point = tuple(Fraction(x) for x in point)
        symbolic = SymbolicProblem(inner_loss(), outer_loss(), OMEGA, ALPHA, exact_point)
        rational = {a: Fraction(x) for a, x in zip(ALPHA, at, strict=True)}

        def values(m: Matrix) -> Matrix:
            return m.map(lambda x: _fraction(x.subs(rational)))

        truth = formulas.amended(
            values(symbolic.hessian()), values(symbolic.mixed()), values(symbolic.slope()), ETA
        )
        problem = BilevelProblem(
            lambda w, a: inner_polynomial(w[0], w[1], a[0], a[1]),
            lambda w, a: outer_polynomial(w[0], w[1], a[0], a[1]),
        )
        omega = torch.tensor(point, dtype=torch.float64)
        alpha = torch.tensor(at, dtype=torch.float64)
        bounds = []
        for name, derivatives, allowed in (
            ("Autograd", Autograd(), 1e-12),
            ("CentralDifference", CentralDifference(), 1e-7),
        ):
            estimator = formulas.amended_estimator(float(ETA), derivatives=derivatives)
            found = gap(_quietly(estimator, problem, omega, alpha), truth)
            bounds.append(within(f"{name}, largest difference", found, allowed))
        return bounds

    return (
        Claim(
            id="CODE",
            where="bilevel",
            statement="The estimators of `bilevel` compute the formulas that this ledger is about.",
            assumptions="float64",
            verdict=Verdict.HOLDS,
            because="On integer H, B, v every product is exact in float64 and Amended, Identity "
            "and DartsSecondOrder agree to the last bit; the others within rounding.",
            evidence=(
                Enclosure("eight integer quadratics, n = 3, m = 2", on_quadratics),
                Enclosure("a polynomial of degree 5, away from its minimum", off_the_minimum),
            ),
        ),
    )


def _fraction(value: object) -> Fraction:
    numerator, denominator = value.as_numer_denom()  # type: ignore[attr-defined]
    return Fraction(int(numerator), int(denominator))
