"""Abstract, §1, §2 and §5: what the paper says of instability, its cause, and its cure."""

from __future__ import annotations

from fractions import Fraction

from darts.spaces import S1, S1_FIXED, S2
from proofs_checks.definitions import Formulas
from proofs_checks.evidence import ExactExample, Exhibit
from proofs_checks.ledger import Claim, Verdict
from proofs_checks.paper import not_tested
from proofs_checks.printed_tables import COST, TABLE_1

SAMPLED = ("NASNet-A", "Hierarchical Evolution", "AmoebaNet-B", "PNAS")
"""Those of Table 1 that train every sampled architecture by itself."""

UNTESTED = (
    ("§0a", "It asks for searches of several seeds, in spaces of several sizes."),
    (
        "§0b",
        "The inaccuracy is real (E5, R1, R4); that it causes the instability is not shown by that. "
        "It needs searches that differ in the estimate alone, one of them with an accurate one.",
    ),
    ("§0c", "It needs retrained networks beside the accuracy of their estimates along the search."),
    (
        "§0g",
        "It needs searches whose second term has the same size and another direction, and to know "
        "that the amended one's is correct. Of those of docs/experiments/behaviour.md each "
        "collapsed in some search, but for a pull towards equal weights, which chooses nothing. "
        "Where the amended term points is undecided (docs/experiments/direction.md).",
    ),
    ("§0f", "It needs searches in S2 with and without the term."),
    ("§1a", "A report of others (Liang et al. 2019); it needs many searches with many seeds."),
    ("§1b", "It needs searches of 200 epochs by DARTS and its variants."),
    ("§1c", "It needs such cells, their validation accuracy in the search, and their retraining."),
    ("§1j", "A judgement on other papers."),
    ("§1k", "A statement on the literature up to 2019; nothing here could decide it."),
    ("§1e", "A conjecture, and called one."),
    ("§1h", "It needs the searches of §4.1 at the paper's size, and a measure of convergence."),
    ("§1i", "It needs searches with the settings of retraining, by several methods."),
    ("§2c", "A comparison of other people's methods; nothing here searches by reinforcement."),
    ("§2d", "It needs searches that differ in the seed alone, and in one setting alone."),
    ("§2e", "A judgement on other papers."),
    ("§2h", "It needs what others report beside many runs of the same methods."),
    ("§2f", "It needs the spread of results over seeds, with and without the term."),
    (
        "§2g",
        "A belief, and called one. The formula is one of any bilevel problem, and `bilevel` takes "
        "it to hyperparameters; detection and segmentation are not here.",
    ),
    ("§5a", "A judgement on other papers."),
    ("§5b", "A judgement; nothing that can be measured follows from it."),
)


def claims(formulas: Formulas) -> tuple[Claim, ...]:
    def large() -> Exhibit:
        counts = {"S1": S1.size, "S1, fixed edges": S1_FIXED.size, "S2": S2.size}
        return Exhibit(
            counts,
            {},
            {f"{name} holds 10¹⁰ architectures": count >= 10**10 for name, count in counts.items()},
        )

    def orders_of_magnitude() -> Exhibit:
        one_shot = TABLE_1.number("DARTS (second-order)", COST)
        ratios = {row: TABLE_1.number(row, COST) / one_shot for row in SAMPLED}
        cheapest = min(TABLE_1.number(row, COST) for row in TABLE_1.filled(COST))
        return Exhibit(
            {"GPU-days over those of DARTS": ratios, "fewest GPU-days of the table": cheapest},
            {
                "they take hundreds or thousands": all(
                    TABLE_1.number(row, COST) >= 100 for row in SAMPLED
                ),
                "others of the table take below 10": all(
                    TABLE_1.number(row, COST) < 10
                    for row in TABLE_1.filled(COST)
                    if row not in SAMPLED
                ),
            },
            {
                "two orders at least": all(ratio >= 100 for ratio in ratios.values()),
                "three to the nearest order at most": all(
                    ratio < 10 ** Fraction(7, 2) for ratio in ratios.values()
                ),
            },
        )

    return (
        *(not_tested(claim_id, because) for claim_id, because in UNTESTED),
        Claim(
            id="§2a",
            where="§2",
            statement="Spaces of architectures hold 10¹⁰ of them and more.",
            assumptions="S1 and S2, which the paper searches",
            verdict=Verdict.HOLDS,
            because="All three spaces of the paper hold more than 10¹³ (N1).",
            evidence=(ExactExample("the spaces as the code counts them", large),),
        ),
        Claim(
            id="§2b",
            where="§2",
            statement="Training every sample takes hundreds or thousands of GPU-days, and one-shot "
            "search is two or three orders of magnitude faster.",
            assumptions="the costs printed in Table 1, none measured here; one-shot is DARTS's "
            "second order",
            verdict=Verdict.HOLDS_IF,
            because="By Table 1 the four that train every sample take 225 to 3150 GPU-days, DARTS "
            "1.0. Against the cheapest one-shot search of the table (0.1) it is up to 4.5 orders.",
            evidence=(ExactExample("ratios of the printed costs", orders_of_magnitude),),
        ),
    )
