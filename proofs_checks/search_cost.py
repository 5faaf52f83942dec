"""GPU-days: what the paper prints of the cost of its searches and of retraining."""

from __future__ import annotations

from fractions import Fraction

from darts.spaces import S1, S1_FIXED
from proofs_checks.definitions import Formulas
from proofs_checks.evidence import ExactCounterexample, ExactExample, Exhibit
from proofs_checks.ledger import Claim, Verdict
from proofs_checks.paper import not_tested
from proofs_checks.printed_tables import COST, TABLE_1

EPOCHS = 100
PER_EPOCH = (Fraction("0.015"), Fraction("0.025"))  # what rounds to 0.02
UNTESTED = (
    (
        "N3c",
        "Published by others, or GPU-days of the paper's card; §3.4g and N2 have what can be said.",
    ),
    ("N4c", "Published by others, or GPU-days of the paper's card."),
    ("§4.2c", "GPU-days of the paper's cards, for 250 epochs of ImageNet."),
)


def claims(formulas: Formulas) -> tuple[Claim, ...]:
    printed = TABLE_1.number("Amended-DARTS, S1", COST)
    stated = printed - Fraction("0.05"), printed + Fraction("0.05")

    def days(share: Fraction) -> tuple[Fraction, Fraction]:
        return PER_EPOCH[0] * EPOCHS * share, PER_EPOCH[1] * EPOCHS * share

    def by_edges() -> Exhibit:
        edges = len(S1_FIXED.edges), len(S1.edges)
        lowest, highest = days(Fraction(*edges))
        return Exhibit(
            {"edges, of edges": edges, "days": (lowest, highest), "printed": stated},
            {"8 of 14 edges": edges == (8, 14), "1.0 is printed": printed == 1},
            {"the two intervals meet": lowest <= stated[1] and stated[0] <= highest},
        )

    def as_they_stand() -> Exhibit:
        lowest, highest = days(Fraction(1))
        return Exhibit(
            {"days": (lowest, highest), "printed": stated},
            {"1.0 is printed": printed == 1},
            {"the two intervals meet": lowest <= stated[1] and stated[0] <= highest},
        )

    return (
        *(not_tested(claim_id, because) for claim_id, because in UNTESTED),
        Claim(
            id="N2",
            where="§3.4; Table 1",
            statement="A search epoch takes 0.02 GPU-days in the standard 8-cell space, and the "
            "search of 100 epochs in S1 takes 1.0.",
            assumptions="figures rounded as printed; both are of the same card",
            verdict=Verdict.UNDETERMINED,
            because="0.02 is for the standard space, whose cells have 14 edges; Table 1's search "
            "fixes 8 of them. At a cost in proportion to edges, 100 epochs make 0.86 to 1.43 days, "
            "and the figures agree. If 0.02 is meant of the 8 edges, they make 1.5 to 2.5 and do "
            "not. Of the width, 36 channels in the search with fixed edges, neither says anything.",
            evidence=(
                ExactExample("14 edges an epoch of 0.02, 8 in Table 1: they agree", by_edges),
                ExactCounterexample("0.02 for both: they do not", as_they_stand),
            ),
        ),
    )
