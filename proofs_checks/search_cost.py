"""The paper's two figures for the cost of its search do not agree."""

from __future__ import annotations

from fractions import Fraction

from proofs_checks.definitions import Formulas
from proofs_checks.evidence import ExactCounterexample, Exhibit
from proofs_checks.ledger import Claim, Verdict


def claims(formulas: Formulas) -> tuple[Claim, ...]:
    def product() -> Exhibit:
        per_epoch, epochs, stated = Fraction("0.02"), 100, Fraction(1)
        lowest, highest = Fraction("0.015") * epochs, Fraction("0.025") * epochs
        return Exhibit(
            {
                "days per epoch × epochs": per_epoch * epochs,
                "with 0.02 a rounded figure": (lowest, highest),
                "stated for the search": stated,
            },
            {"100 epochs": epochs == 100},
            {
                "0.02 × 100 = 1.0": per_epoch * epochs == stated,
                "1.0 lies within the rounding": lowest <= stated <= highest,
            },
        )

    return (
        Claim(
            id="N2",
            where="§4.1, Table 1",
            statement="A search epoch takes 0.02 GPU-days, and the search of 100 epochs 1.0.",
            assumptions="none",
            verdict=Verdict.FAILS,
            because="100 epochs of 0.02 make 2.0 GPU-days: the figures differ by a factor of 2, "
            "more than the rounding of 0.02 allows.",
            evidence=(ExactCounterexample("the product, with its rounding", product),),
        ),
    )
