"""§4.1.4 and §4.2: the approach among others, by the errors printed in Tables 1 and 2."""

from __future__ import annotations

from proofs_checks.definitions import Formulas
from proofs_checks.evidence import ExactExample, Exhibit
from proofs_checks.ledger import Claim, Verdict
from proofs_checks.paper import not_tested
from proofs_checks.printed_tables import (
    ERROR,
    METHOD,
    MULTIPLY_ADDS,
    TABLE_1,
    TABLE_2,
    TOP_1,
    PrintedTable,
)

OWN = "Amended-DARTS, S2"
MOBILE = 600
"""Millions of multiply-adds at 224×224, the limit of ImageNet's mobile setting."""
UNTESTED = (
    ("N3e", "Published by others, or retraining at the paper's size: 600 epochs of CIFAR-10."),
    ("§4.1.4b", "A statement on other papers."),
    ("§4.1.4c", "It needs long searches by each of them; §1b and §3.5f are of the same kind."),
    ("§4.2a", "A fact of the data, not of the method."),
    ("§4.1a", "A fact of the data, not of the method; the tests of `darts.data` read the files."),
    ("§4.2d", "It needs retraining for 250 epochs of ImageNet."),
    ("§4.2f", "It needs searches in S2 without the term, and retraining on ImageNet."),
    ("N4e", "Published by others, or retraining for 250 epochs of ImageNet."),
)


def claims(formulas: Formulas) -> tuple[Claim, ...]:
    def ranks(table: PrintedTable, column: str, lower: set[str], equal: set[str]) -> Exhibit:
        own = table.number(OWN, column)
        others = {row: table.number(row, column) for row in table.rows if row not in table.own}
        below = {row for row, error in others.items() if error < own}
        same = {row for row, error in others.items() if error == own}
        return Exhibit(
            {
                "printed for S2, %": table.cell(OWN, column),
                "lower": {row: table.cell(row, column) for row in others if row in below},
                "equal": sorted(same) or "none",
                "higher": len(others) - len(below) - len(same),
            },
            {"all are printed": len(others) + len(table.own) == len(table.rows)},
            {
                "lower are the ones stated": below == lower,
                "equal are the ones stated": same == equal,
            },
        )

    def mobile() -> Exhibit:
        searched = [row for row in TABLE_2.rows if TABLE_2.cell(row, METHOD) != "manual"]
        printed = {
            row: TABLE_2.number(row, MULTIPLY_ADDS)
            for row in searched
            if row in TABLE_2.filled(MULTIPLY_ADDS)
        }
        return Exhibit(
            {"searched": len(searched), "printed": len(printed), "most": max(printed.values())},
            {"one has no figure": set(searched) - set(printed) == {"BayesNAS"}},
            {
                "all are below 600 M": all(cost < MOBILE for cost in printed.values()),
                "the most is 597 M": max(printed.values()) == 597,
            },
        )

    return (
        *(not_tested(claim_id, because) for claim_id, because in UNTESTED),
        Claim(
            id="N4m",
            where="Table 2, caption",
            statement="Every searched network of Table 2 takes fewer than 600 M multiply-adds.",
            assumptions="by the figures printed, one of which is missing (BayesNAS)",
            verdict=Verdict.HOLDS_IF,
            because="The 11 printed are 388 to 597 M. N4 has the counts, by which those of "
            "differentiable searches keep to it too.",
            evidence=(ExactExample("the printed figures", mobile),),
        ),
        Claim(
            id="§4.1.4a",
            where="§4.1.4; Table 1",
            statement="On CIFAR-10 the result is competitive, though it does not beat others.",
            assumptions="by the errors printed in Table 1, none of which is measured here",
            verdict=Verdict.HOLDS,
            because="Of 14 others 4 have a lower error and 10 a higher one. Three of the four are "
            "nearer than the spread of 0.15 that is printed.",
            evidence=(
                ExactExample(
                    "ranks by the printed errors",
                    lambda: ranks(
                        TABLE_1,
                        ERROR,
                        {"AmoebaNet-B", "ProxylessNAS", "P-DARTS", "PC-DARTS"},
                        set(),
                    ),
                ),
            ),
        ),
        Claim(
            id="§4.2e",
            where="§4.2; Table 2",
            statement="On ImageNet the result is competitive.",
            assumptions="by the top-1 errors printed in Table 2, none of which is measured here",
            verdict=Verdict.HOLDS,
            because="Of 15 others 2 have a lower error, both searched on ImageNet itself, one the "
            "same, and 12 a higher one.",
            evidence=(
                ExactExample(
                    "ranks by the printed errors",
                    lambda: ranks(TABLE_2, TOP_1, {"PC-DARTS", "DARTS+"}, {"AmoebaNet-C"}),
                ),
            ),
        ),
    )
