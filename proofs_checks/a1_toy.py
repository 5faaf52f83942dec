"""Appendix A.1: L_train = (ω − α)², L_val = (2ω − α)²."""

from __future__ import annotations

import sympy

from proofs_checks.definitions import Formulas
from proofs_checks.evidence import ExactExample, ExactIdentity, Exhibit
from proofs_checks.ledger import Claim, Verdict
from proofs_checks.rational import Matrix, matrix
from proofs_checks.symbolic_problems import SymbolicProblem

ETA = sympy.Symbol("eta", positive=True)


def toy() -> SymbolicProblem:
    omega, alpha = sympy.symbols("omega alpha", real=True)
    return SymbolicProblem(
        (omega - alpha) ** 2, (2 * omega - alpha) ** 2, (omega,), (alpha,), (alpha,)
    )


def terms(formulas: Formulas) -> tuple[Matrix, Matrix, Matrix]:
    """g₁, g₂ and the amended g₂′ of the toy, in α and η."""
    problem = toy()
    curvature = (problem.hessian(), problem.mixed(), problem.slope())
    return problem.direct(), formulas.implicit(*curvature), formulas.amended(*curvature, ETA)


def claims(formulas: Formulas) -> tuple[Claim, ...]:
    def printed_values() -> list[tuple[str, object, object]]:
        problem = toy()
        (alpha,) = problem.alpha
        direct, implicit, _ = terms(formulas)
        return [
            ("g₁", direct[0, 0], -2 * alpha),
            ("g₂", implicit[0, 0], 4 * alpha),
            ("g₁ + g₂", (direct + implicit)[0, 0], 2 * alpha),
            ("∇Φ, Φ = α²", problem.value_gradient[0, 0], 2 * alpha),
        ]

    def amended_sign() -> Exhibit:
        (alpha,) = toy().alpha
        _, implicit, amended = terms(formulas)
        product = sympy.expand(implicit[0, 0] * amended[0, 0])
        return Exhibit(
            {"g₂ · g₂′": product},
            {"n = 1": toy().hessian() == matrix([2])},
            {"g₂ · g₂′ > 0 for α ≠ 0": bool((product / alpha**2).is_positive)},
        )

    return (
        Claim(
            id="A1",
            where="A.1",
            statement="For L_train = (ω − α)², L_val = (2ω − α)²: g₁ = −2α has the wrong sign, "
            "g₂ = 4α corrects it, and g = 2α; the amended g₂′ has the sign of g₂.",
            assumptions="ω = ω*(α) = α",
            verdict=Verdict.HOLDS,
            because="Every printed value is right, and n = 1, where amended is a positive "
            "multiple of g₂ (T2d). The sign of the sum is another matter: see ETA2.",
            evidence=(
                ExactIdentity("the printed values, for every α", printed_values),
                ExactExample("the amended term has the sign of g₂, for every η > 0", amended_sign),
            ),
            formula=r"g_1=-2\alpha,\quad g_2=4\alpha,\quad g=2\alpha",
        ),
    )
