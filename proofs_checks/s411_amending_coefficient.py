"""§4.1.1 and Fig. 2: what η does to a search."""

from __future__ import annotations

from proofs_checks.definitions import Formulas
from proofs_checks.evidence import ExactExample, ExactIdentity, Exhibit
from proofs_checks.ledger import Claim, Verdict
from proofs_checks.paper import not_tested
from proofs_checks.rational import column, diagonal, matrix
from proofs_checks.s32_collapse import parameters_of

SEARCH = "It needs searches in the standard space for 500 epochs, 3 seeds or more"
UNTESTED = (
    ("§4.1.1b", f"{SEARCH}, at η = 0.1, and retraining for 600 epochs."),
    ("§4.1.1c", f"{SEARCH}, at η = 0.1, and the weights at the end."),
    (
        "§4.1.1f",
        "It needs both norms along a search of the paper's. In small ones g₂′ is 52 times as long "
        "as g₁ at η = 1, but 6 times at 0.1 too (docs/experiments/eta.md). η has units of "
        "1/curvature² (ETA1), so that where g₂′ outweighs g₁ depends on the scale of L_train.",
    ),
    ("§4.1.1i", "It needs such cells and good ones, retrained alike."),
    ("§4.1.1j", "No experiment is reported; it needs a choice of η by validation, and its cost."),
    ("F2", f"{SEARCH}, at η = 0, 0.1 and 1, and the cells at the end. Figures are not in letters."),
)


def claims(formulas: Formulas) -> tuple[Claim, ...]:
    def no_term() -> list[tuple[str, object, object]]:
        found = formulas.amended(diagonal(1, 4), matrix([1, 1]), column(2, -1), 0)
        return [("g₂′ at η = 0", found, column(0))]

    def pool() -> Exhibit:
        counts = [parameters_of("avg_pool_3x3", stride) for stride in (1, 2)]
        return Exhibit(
            {"parameters at stride 1 and 2": counts},
            {"a separable convolution has some": parameters_of("sep_conv_3x3", 1) > 0},
            {"none": counts == [0, 0]},
        )

    return (
        *(not_tested(claim_id, because) for claim_id, because in UNTESTED),
        Claim(
            id="§4.1.1a",
            where="§4.1.1",
            statement="With η = 0 the search is first-order DARTS.",
            assumptions="none",
            verdict=Verdict.HOLDS,
            because="g₂′ is proportional to η, and g₁ alone is left.",
            evidence=(ExactIdentity("no second term", no_term),),
        ),
        Claim(
            id="§4.1.1h",
            where="§4.1.1",
            statement="Average pooling has no parameters.",
            assumptions="none",
            verdict=Verdict.HOLDS,
            because="Its norm in a search has neither scale nor shift.",
            evidence=(ExactExample("one edge of each kind, counted", pool),),
        ),
    )
