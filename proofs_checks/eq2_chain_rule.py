"""Eq. 2: ∇Φ = ∇_α L_val + (∂ω*/∂α)ᵀ ∇_ω L_val."""

from __future__ import annotations

from proofs_checks.definitions import Formulas
from proofs_checks.evidence import ExactIdentity
from proofs_checks.ledger import Claim, Verdict
from proofs_checks.symbolic_problems import SymbolicProblem, hyperbolic, quadratic


def claims(formulas: Formulas) -> tuple[Claim, ...]:
    def sides(problem: SymbolicProblem) -> list[tuple[str, object, object]]:
        by_chain = formulas.chain(problem.direct(), problem.minimiser_jacobian, problem.slope())
        return [("∇Φ", by_chain, problem.value_gradient)]

    return (
        Claim(
            id="E2",
            where="Eq. 2",
            statement="The gradient of Φ(α) = L_val(ω*(α), α) is ∇_α L_val + (∂ω*/∂α)ᵀ ∇_ω L_val.",
            assumptions="ω* differentiable",
            verdict=Verdict.HOLDS,
            because="It is the chain rule; checked against the derivative of Φ itself.",
            evidence=(
                ExactIdentity("every quadratic with n = m = 2", lambda: sides(quadratic())),
                ExactIdentity("a hyperbolic, non-quadratic problem", lambda: sides(hyperbolic())),
            ),
            formula=r"\nabla\Phi = \nabla_\alpha L_{val} + "
            r"(\partial\omega^*/\partial\alpha)^\top\,\nabla_\omega L_{val}",
        ),
    )
