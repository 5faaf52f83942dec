"""T8: how fast truncated solvers of Hq = v converge, against their bounds."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from random import Random

import numpy as np
import torch

from bilevel.estimators import ConjugateGradient, ImplicitEstimator, Landweber, Neumann
from proofs_checks.definitions import Formulas
from proofs_checks.estimators_agree import quadratic_problem
from proofs_checks.evidence import (
    ExactCounterexample,
    ExactIdentity,
    Exhibit,
    PropertyTest,
)
from proofs_checks.instances import Instance, definite, indefinite
from proofs_checks.ledger import Claim, Verdict
from proofs_checks.measurement import Measurement, Reading
from proofs_checks.rational import Matrix, column, diagonal, identity, square
from proofs_checks.t8_conjugate_gradients import conjugate_gradient

Case = tuple[Instance, int]  # an instance, and the number of steps K


def solved(case: Instance) -> Matrix:
    return case.hessian.inverse() @ case.slope


def relative(errors: Sequence[float], size: float) -> np.ndarray:
    return np.array(errors) / size


def last_ratio(history: np.ndarray) -> float:
    """e_K/e_{K−1} at the end: the observed factor."""
    return float(history[-1] / history[-2])


def claims(formulas: Formulas) -> tuple[Claim, ...]:
    def with_steps(draw: Callable[[Random], Instance]) -> Callable[[Random], Case | None]:
        def drawn(rng: Random) -> Case | None:
            case = draw(rng)
            return None if square(case.slope) == 0 else (case, rng.randint(0, 5))

        return drawn

    def neumann_margin(drawn: Case) -> Fraction:
        case, steps = drawn
        gamma = 1 / max(case.eigenvalues)
        error = formulas.neumann(case.hessian, case.slope, gamma, steps) - solved(case)
        factor = 1 - gamma * min(case.eigenvalues)
        margin: Fraction = factor ** (2 * steps + 2) * square(solved(case)) - square(error)
        return margin

    def landweber_margin(drawn: Case) -> Fraction:
        case, steps = drawn
        squares = [x**2 for x in case.eigenvalues]
        eta = 1 / max(squares)
        error = formulas.landweber(case.hessian, case.slope, eta, steps) - solved(case)
        factor = 1 - eta * min(squares)
        margin: Fraction = factor ** (2 * steps) * square(solved(case)) - square(error)
        return margin

    def tight() -> list[tuple[str, object, object]]:
        """v an eigenvector of the smallest eigenvalue: the bound is the error, at every K."""
        hessian, slope = diagonal(2, 5, 3), column(1, 0, 0)
        truth = hessian.inverse() @ slope
        sides: list[tuple[str, object, object]] = []
        for steps in (0, 1, 3):
            error = truth - formulas.neumann(hessian, slope, Fraction(1, 5), steps)
            wanted = Fraction(3, 5) ** (steps + 1) * truth
            sides.append((f"Neumann, K = {steps} from γv", error, wanted))
        q = 0 * slope
        for steps in (1, 2, 3):
            q = q + Fraction(1, 5) * (slope - hessian @ q)
            sides.append((f"{steps} from 0", truth - q, Fraction(3, 5) ** steps * truth))
            later = formulas.neumann(hessian, slope, Fraction(1, 5), steps - 1)
            sides.append((f"{steps} from 0 are {steps - 1} from γv", q, later))
        for steps in (1, 2, 4):
            error = truth - formulas.landweber(hessian, slope, Fraction(1, 25), steps)
            wanted = Fraction(21, 25) ** steps * truth
            sides.append((f"Landweber, K = {steps}", error, wanted))
        return sides

    def amended_is_one_step() -> list[tuple[str, object, object]]:
        hessian, slope = Matrix.of([[2, -1, 0], [-1, 3, 1], [0, 1, -4]]), column(1, -2, 3)
        eta = Fraction(1, 10)
        return [
            (
                "ηHv",
                formulas.landweber(hessian, slope, eta, 1),
                -formulas.amended(hessian, identity(3), slope, eta),
            ),
            (
                "ξv",
                formulas.neumann(hessian, slope, eta, 0),
                -formulas.darts(identity(3), slope, eta),
            ),
        ]

    def neumann_on_indefinite() -> Exhibit:
        hessian, slope = diagonal(1, -1), column(1, 1)
        errors = [
            square(formulas.neumann(hessian, slope, Fraction(1, 2), k) - hessian.inverse() @ slope)
            for k in (0, 5, 10)
        ]
        return Exhibit(
            {"H": hessian, "v": slope, "squared errors at K = 0, 5, 10": errors},
            {"γ < 2/L": True},
            {"the error falls": errors[2] < errors[1] < errors[0]},
        )

    def too_long_a_step() -> Exhibit:
        hessian, slope = diagonal(1, 2), column(1, 1)
        errors = [
            square(formulas.neumann(hessian, slope, Fraction(5, 4), k) - hessian.inverse() @ slope)
            for k in (0, 2, 4)
        ]
        long = [
            square(
                formulas.landweber(hessian, slope, Fraction(5, 8), k) - hessian.inverse() @ slope
            )
            for k in (0, 2, 4)
        ]
        return Exhibit(
            {"H": hessian, "Neumann, γ = 5/(2L)": errors, "Landweber, η = 5/(2L²)": long},
            {"γ > 2/L, η > 2/L²": True},
            {
                "the error of Neumann falls": errors[2] < errors[0],
                "the error of Landweber falls": long[2] < long[0],
            },
        )

    def against_the_package() -> list[Reading]:
        """q of the estimators in float64 against exact arithmetic, 3×3."""
        rng, worst = Random(5), {"Neumann": 0.0, "Landweber": 0.0, "ConjugateGradient": 0.0}
        for _ in range(5):
            case, steps = definite(rng, 3, 1), rng.randint(1, 3)
            gamma = 1 / max(case.eigenvalues)
            exact = {
                "Neumann": formulas.neumann(case.hessian, case.slope, gamma, steps),
                "Landweber": formulas.landweber(case.hessian, case.slope, gamma**2, steps),
                "ConjugateGradient": conjugate_gradient(case.hessian, case.slope, steps),
            }
            package: dict[str, ImplicitEstimator] = {
                "Neumann": Neumann(terms=steps, step=float(gamma)),
                "Landweber": Landweber(terms=steps, step=float(gamma) ** 2),
                "ConjugateGradient": ConjugateGradient(iterations=steps, tolerance=None),
            }
            for name, estimator in package.items():
                found = package_solution(estimator, case)
                wanted = np.array([float(x) for x in exact[name]])
                gap = float(np.linalg.norm(found - wanted) / np.linalg.norm(wanted))
                worst[name] = max(worst[name], gap)
        return [
            Reading(f"{name}: largest difference", gap, 0, 1e-10) for name, gap in worst.items()
        ]

    def observed() -> list[Reading]:
        """n = 200, κ = 100, log-uniform spectrum, Gaussian v: the factors as they are seen."""
        rng = np.random.default_rng(0)
        spectrum = np.geomspace(1.0, 100.0, 200)
        basis = np.linalg.qr(rng.standard_normal((200, 200)))[0]
        hessian = basis * spectrum @ basis.T
        slope = rng.standard_normal(200)
        truth = np.linalg.solve(hessian, slope)
        histories = histories_of(hessian, slope, truth)
        rho = 9 / 11
        steps = np.arange(1, len(histories["cg"]) + 1)
        above = (histories["cg"] / (2 * rho**steps)).max()
        return [
            Reading(
                "Neumann: (1 − observed factor)/γμ",
                (1 - last_ratio(histories["neumann"])) / 0.01,
                0.99,
                1.05,
            ),
            Reading(
                "Landweber: (1 − observed factor)/ημ²",
                (1 - last_ratio(histories["landweber"])) / 1e-4,
                0.99,
                5.0,
            ),
            Reading("CG: largest error / bound in the energy norm", float(above), 0.0, 1.0),
            Reading(
                "steps for an error of 1 %: Neumann",
                float(np.argmax(histories["neumann"] < 0.01) + 1),
                100,
                1000,
            ),
            Reading(
                "steps for an error of 1 %: CG",
                float(np.argmax(histories["cg"] < 0.01) + 1),
                10,
                40,
            ),
            Reading(
                "Landweber's error after 2,000 steps", float(histories["landweber"][-1]), 0.3, 1.0
            ),
        ]

    return (
        Claim(
            id="T8",
            where="new",
            statement="After K steps from q = 0 the relative error of q is at most (1 − γμ)^K for "
            "Neumann (H ≻ 0, γ ≤ 1/L) and (1 − ημ²)^K for Landweber (any invertible symmetric H, "
            "μ = min|λ|, η ≤ 1/L²); amended is Landweber's K = 1, with an error of up to 1 − ημ². "
            "K Neumann steps from γv, which is one step from 0, leave (1 − γμ)^{K+1}.",
            assumptions="Euclidean norm; Neumann-K of this project starts at γv",
            verdict=Verdict.HOLDS,
            because="From q = 0 the errors are (I − γH)ᴷq* and (I − ηH²)ᴷq*, polynomials of H that "
            "are largest at μ. Both bounds are attained.",
            evidence=(
                PropertyTest("Neumann", with_steps(lambda r: definite(r, 3, 1)), neumann_margin),
                PropertyTest(
                    "Landweber, indefinite H too",
                    with_steps(lambda r: indefinite(r, 3, 1)),
                    landweber_margin,
                ),
                ExactIdentity("both bounds are attained", tight),
                ExactIdentity(
                    "one Landweber step is amended; Neumann-0 is DARTS", amended_is_one_step
                ),
                ExactCounterexample("H ≻ 0 dropped: Neumann diverges", neumann_on_indefinite),
                ExactCounterexample("longer steps: both diverge", too_long_a_step),
                Measurement("n = 200, κ = 100: the factors that are seen", observed),
                Measurement("the package's estimators give these q", against_the_package),
            ),
            formula=r"\|q_K-q^*\|\leq(1-\gamma\mu)^K\|q^*\|,\quad (1-\eta\mu^2)^K\|q^*\|",
        ),
    )


def package_solution(estimator: ImplicitEstimator, case: Instance) -> np.ndarray:
    """q of an estimator on the quadratic problem with the H, B, v of `case`."""
    problem = quadratic_problem(case.hessian, case.mixed, case.slope)
    m, n = case.mixed.shape
    origin = (torch.zeros(size, dtype=torch.float64) for size in (n, m))
    result = estimator(problem, *origin)
    assert result.solve is not None
    return result.solve.value.flat().numpy()


def histories_of(
    hessian: np.ndarray, slope: np.ndarray, truth: np.ndarray
) -> dict[str, np.ndarray]:
    """Relative errors after each step: Euclidean, and in the energy norm for CG. L = 100."""
    size = float(np.linalg.norm(truth))
    q, neumann = np.zeros_like(slope), []
    for _ in range(1500):
        q = q + (slope - hessian @ q) / 100
        neumann.append(float(np.linalg.norm(q - truth)))
    q, landweber = np.zeros_like(slope), []
    for _ in range(2000):
        q = q + hessian @ (slope - hessian @ q) / 1e4
        landweber.append(float(np.linalg.norm(q - truth)))
    q, residual, conjugate = np.zeros_like(slope), slope, []
    direction = residual
    for _ in range(60):
        product = hessian @ direction
        length = residual @ residual / (direction @ product)
        q = q + length * direction
        after = residual - length * product
        direction = after + after @ after / (residual @ residual) * direction
        residual = after
        conjugate.append(math.sqrt((q - truth) @ hessian @ (q - truth)))
    energy_size = math.sqrt(truth @ hessian @ truth)
    return {
        "neumann": relative(neumann, size),
        "landweber": relative(landweber, size),
        "cg": relative(conjugate, energy_size),
    }
