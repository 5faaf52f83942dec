"""T13: weights before a batch norm leave H singular or indefinite, and ω* without existence."""

from __future__ import annotations

import sympy

from proofs_checks.definitions import Formulas
from proofs_checks.evidence import ExactCounterexample, ExactIdentity, Exhibit
from proofs_checks.ledger import Claim, Verdict

X, Y, A, B, DECAY = sympy.symbols("x y a b lambda", real=True)


def loss() -> sympy.Expr:
    """A loss of the direction of w = (x, y) alone, as batch norm with ε = 0 makes it."""
    return (A * X**2 + B * X * Y) / (X**2 + Y**2)


def claims(formulas: Formulas) -> tuple[Claim, ...]:
    w = sympy.Matrix([X, Y])
    gradient = sympy.Matrix([sympy.diff(loss(), v) for v in (X, Y)])
    hessian = sympy.hessian(loss(), (X, Y))

    def identities() -> list[tuple[str, object, object]]:
        decayed = gradient + DECAY * w
        return [
            ("⟨∇L, w⟩", sympy.cancel((gradient.T * w)[0]), sympy.Integer(0)),
            ("⟨∇(L + ½λ‖w‖²), w⟩", sympy.cancel((decayed.T * w)[0]), DECAY * (X**2 + Y**2)),
            *((f"(∇²L w){i + 1} = −(∇L){i + 1}", (hessian * w)[i], -gradient[i]) for i in range(2)),
            ("wᵀ∇²L w", sympy.cancel((w.T * hessian * w)[0]), sympy.Integer(0)),
        ]

    def indefinite() -> Exhibit:
        at = {X: 1, Y: 1, A: 1, B: 0}
        point = hessian.subs(at)
        return Exhibit(
            {"H": str(point.tolist()), "∇L": str(gradient.subs(at).T.tolist())},
            {"∇L ≠ 0": bool(gradient.subs(at).norm() != 0)},
            {"H ⪰ 0": bool(point.det() >= 0)},
        )

    return (
        Claim(
            id="T13",
            where="new",
            statement="If L does not change with the length of a block w ≠ 0, then L + ½λ‖w‖² with "
            "λ > 0 has no stationary point; with λ = 0 its Hessian is indefinite wherever ∇_wL ≠ 0 "
            "and singular elsewhere. So Eq. 3 to 5 have no ω* to stand on.",
            assumptions="weights before a batch norm with ε = 0; the ε of practice moves the "
            "stationary point to very short w",
            verdict=Verdict.HOLDS,
            because="L(cw) = L(w) gives ⟨∇L, w⟩ = 0 and ∇²L w = −∇L: then wᵀ∇²L w = 0 with "
            "∇²L w ≠ 0 excludes semi-definiteness, and ⟨∇F, w⟩ = λ‖w‖² > 0.",
            evidence=(
                ExactIdentity("Euler's identities, in symbols", identities),
                ExactCounterexample("∇L ≠ 0: H is not semi-definite", indefinite),
            ),
            formula=r"\nabla^2L\,w=-\nabla L,\qquad\langle\nabla F,w\rangle=\lambda\|w\|^2",
        ),
    )
