"""§3.3 around Eq. 2 to 5: which term is cheap, how large g₂ is, and whether H ≻ 0 at ω*."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import sympy

from proofs_checks.definitions import Formulas
from proofs_checks.evidence import ExactCounterexample, Exhibit
from proofs_checks.experiment import Criterion, Experiment, by_run
from proofs_checks.ledger import Claim, Verdict
from proofs_checks.on_fixed_norms import RECORD as FIXED_NORMS
from proofs_checks.on_mlp import RECORD as MLP
from proofs_checks.paper import not_tested
from proofs_checks.rational import column, matrix

SIGNIFICANT = -1.0  # log₁₀(‖g₂‖/‖g₁‖): a tenth of the first term


def claims(formulas: Formulas) -> tuple[Claim, ...]:
    def flat_minimum() -> Exhibit:
        """F = ω⁴/4: one minimum, and H = 0 there."""
        omega = sympy.Symbol("omega", real=True)
        inner = omega**4 / 4
        hessian = sympy.diff(inner, omega, 2).subs(omega, 0)
        return Exhibit(
            {"F": inner, "H at ω* = 0": hessian},
            {"ω* = 0 is the only minimum": sympy.solveset(sympy.diff(inner, omega)) == {0}},
            {"H > 0": bool(hessian > 0)},
        )

    def rescaling() -> Exhibit:
        """F = (uw − 1)², two linear layers: (u, w) → (tu, w/t) changes nothing."""
        u, w = sympy.symbols("u w", positive=True)
        inner = (u * w - 1) ** 2
        at = {w: 1 / u}
        hessian = matrix(
            *([sympy.simplify(sympy.diff(inner, a, b).subs(at)) for b in (u, w)] for a in (u, w))
        )
        along = hessian @ column(u, -1 / u)
        return Exhibit(
            {"H at the minima uw = 1": hessian},
            {
                "F is 0 there": sympy.simplify(inner.subs(at)) == 0,
                "H sends (u, −1/u) to 0": all(sympy.simplify(x) == 0 for x in along),
            },
            {"H is invertible": bool(sympy.simplify(hessian.determinant()) != 0)},
        )

    def ratio(record: Mapping[str, Any]) -> list[float]:
        """The mean of log₁₀(‖g₂‖/‖g₁‖) for each seed."""
        rows = [row for row in record["rows"] if row["estimator"] == "first order"]
        return list(by_run(rows, lambda row: math.log10(row["exact_over_direct"])).values())

    def size(record: str, words: str, mean: str) -> Experiment:
        quantity = "log₁₀(‖g₂‖/‖g₁‖), a mean for each seed"
        criterion = Criterion(quantity, ratio, least=SIGNIFICANT, mean=mean)
        return Experiment(words, record, Verdict.SUPPORTED, (criterion,))

    return (
        not_tested(
            "§3.3c", "It needs searches whose estimates are followed, with an accurate one beside."
        ),
        Claim(
            id="§3.3b",
            where="§1; §3.3; A.1",
            statement="‖g₂‖ is often significant beside ‖g₁‖.",
            assumptions="minima of an MLP (R1) and of a small supernet (R4); supported if the mean "
            "of log₁₀(‖g₂‖/‖g₁‖) is above −1, a tenth, in both",
            verdict=Verdict.SUPPORTED,
            because="In the geometric mean ‖g₂‖ is 0.7 ‖g₁‖ on the MLP and 0.9 ‖g₁‖ on the "
            "supernet. On A.1 it is twice as large and of the other sign (A1).",
            evidence=(
                size(MLP, "R1's 20 points", "-0.136"),
                size(FIXED_NORMS, "R4's 9 minima, 7 validation batches at each", "-0.027"),
            ),
        ),
        not_tested(
            "§3.3e",
            "A statement on the literature. For hyperparameters the identity and its derivative "
            "are the way of Bengio (2000) and Pedregosa (2016), whom DARTS cites.",
        ),
        Claim(
            id="§3.3f",
            where="§3.3",
            statement="At a minimum ω*(α) of L_train, H is positive definite and invertible.",
            assumptions="none",
            verdict=Verdict.FAILS,
            because="At a minimum H ⪰ 0 and no more. Two layers that can be rescaled against each "
            "other have a singular H at every minimum, as networks do (T13 for batch norm). Along "
            "searches H was indefinite throughout (R2); with weight decay and fixed norms there "
            "are minima with H ≻ 0 (R4).",
            evidence=(
                ExactCounterexample("one weight, F = ω⁴/4", flat_minimum),
                ExactCounterexample("two linear layers", rescaling),
            ),
        ),
    )
