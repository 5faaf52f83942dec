"""§4.1.3 and Fig. 3: searches in S1 and S2, beside DARTS and random search."""

from __future__ import annotations

from fractions import Fraction

from darts.spaces import S1_FIXED, S2
from proofs_checks.definitions import Formulas
from proofs_checks.evidence import ExactExample, Exhibit
from proofs_checks.ledger import Claim, Verdict
from proofs_checks.paper import not_tested

PROBES = 20
S2_RUNS = "It needs searches in S2 with and without the term, 3 seeds or more"
UNTESTED = (
    ("§4.1.3a", "It needs the paper's card; memory grows with the operations that are mixed."),
    ("§4.1.3b", "It needs the searches of S1 at the paper's size; the figure is Table 1's (N3e)."),
    ("§4.1.3c", "It needs the searches of S2 at the paper's size; the figure is Table 1's (N3e)."),
    ("§4.1.3f", f"{S2_RUNS}, random search at the same cost, and retraining of each."),
    ("§4.1.3g", "The reasons given are a conjecture, and called arguable."),
    ("§4.1.3h", f"{S2_RUNS}, random search, and retraining on ImageNet."),
    ("F3", f"{S2_RUNS}, and the networks found. Figures are not in letters."),
)


def claims(formulas: Formulas) -> tuple[Claim, ...]:
    def coverage() -> Exhibit:
        covered = {space.name: Fraction(PROBES, space.size) for space in (S1_FIXED, S2)}
        tenth = Fraction(1, 10)
        best_in_top_tenth = 1 - (1 - tenth) ** PROBES
        return Exhibit(
            {
                "largest share of S1 and S2 that 20 probes see": [
                    f"1/{share.denominator // share.numerator}" for share in covered.values()
                ],
                "chance that one of 20 is among the best tenth, of any space, %": round(
                    100 * best_in_top_tenth
                ),
            },
            {"S2 is the larger": S2.size > S1_FIXED.size},
            {
                "less of S2 is seen": covered[S2.name] < covered[S1_FIXED.name],
                "the best tenth is met in 88 % of searches": round(100 * best_in_top_tenth) == 88,
            },
        )

    return (
        *(not_tested(claim_id, because) for claim_id, because in UNTESTED),
        Claim(
            id="§4.1.3e",
            where="§4.1.3",
            statement="20 random probes explore a larger space less sufficiently.",
            assumptions="to explore is to see a share of the architectures",
            verdict=Verdict.HOLDS_IF,
            because="Of that share it is true. But the rank of the best of 20 does not depend on "
            "the size of the space: in any, one of them is among the best tenth with 88 %.",
            evidence=(ExactExample("shares and ranks", coverage),),
        ),
    )
