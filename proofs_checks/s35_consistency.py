"""§3.5 and §4.1.2: the same settings in search and evaluation; edges that can be counted."""

from __future__ import annotations

from darts.spaces import S1, S1_FIXED, S2
from proofs_checks.definitions import Formulas
from proofs_checks.evidence import ExactExample, Exhibit
from proofs_checks.ledger import Claim, Verdict
from proofs_checks.paper import not_tested

UNTESTED = (
    ("§3.5a", "A judgement; the parts of it that can be measured are §3.5d and §4.1.2."),
    ("§3.5b", "A statement on the code of DARTS, from which the presets of this project follow."),
    (
        "§3.5d",
        "It needs searches with and without the changes, 3 seeds or more, retrained alike; the "
        "paper compares one architecture of each.",
    ),
    ("§3.5e", "A statement on other papers."),
    (
        "§3.5g",
        "That others are stable for this reason needs searches by them. Of the robustness of "
        "estimates to an approximate ω, see T7 and FN2: none has more of it than another.",
    ),
    ("§4.1.2b", "It needs searches by the amended term with 14 edges, 3 seeds or more."),
    ("§4.1.2c", "It needs each change by itself, 3 seeds or more; the paper prints no figures."),
    ("§4.1.2d", "It needs retraining for 600 epochs at the paper's size."),
    ("§4.1.2e", "It needs retraining for 600 epochs at the paper's size."),
    ("§4.1.2f", "It needs searches with 8 and with 20 cells in the same space."),
)


def claims(formulas: Formulas) -> tuple[Claim, ...]:
    def kept() -> Exhibit:
        incoming = [len(S1.incoming(node)) for node in S1.targets]
        return Exhibit(
            {"edges into each node": incoming, "of them kept": list(S1.kept_inputs)},
            {"four nodes": S1.nodes == 4, "node j has j + 2 edges": incoming == [2, 3, 4, 5]},
            {"14 edges": sum(incoming) == 14, "8 are kept": sum(S1.kept_inputs) == 8},
        )

    def fixed() -> Exhibit:
        joined = [(source, node) for node in (2, 3, 4, 5) for source in (0, node - 1)]
        return Exhibit(
            {"edges of a cell": S1_FIXED.edges, "of DARTS's that are kept": sum(S1.kept_inputs)},
            {
                "c_{k−2} is 0, and each node follows on the one before": joined
                == list(S1_FIXED.edges)
                == list(S2.edges),
                "all edges stay": S1_FIXED.keep_edges is None,
            },
            {
                "8 edges": len(S1_FIXED.edges) == 8,
                "as many as DARTS keeps": len(S1_FIXED.edges) == sum(S1.kept_inputs),
            },
        )

    return (
        *(not_tested(claim_id, because) for claim_id, because in UNTESTED),
        Claim(
            id="§3.5c",
            where="§3.5",
            statement="Of the 14 edges of a cell that DARTS searches, 8 stay.",
            assumptions="none",
            verdict=Verdict.HOLDS,
            because="Four nodes with 2, 3, 4 and 5 edges, two of which each node keeps. How much "
            "that changes the network's accuracy is §1d.",
            evidence=(ExactExample("counted in the space", kept),),
        ),
        Claim(
            id="§4.1.2a",
            where="§4.1.2",
            statement="With the edges fixed a cell has 8, as many as DARTS keeps.",
            assumptions="none",
            verdict=Verdict.HOLDS,
            because="Two for each of four nodes.",
            evidence=(ExactExample("counted in the space", fixed),),
        ),
    )
