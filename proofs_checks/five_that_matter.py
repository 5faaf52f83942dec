"""The five claims on which the paper stands, each in two plain sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from proofs_checks.ledger import Claim, Verdict, find


@dataclass(frozen=True)
class Summary:
    """What became of one claim.

    Attributes:
        claim: its id.
        verdict: the one that the sentences speak of.
        heading: what it is about.
        sentences: two of them, for a reader who has seen neither the paper nor the proofs.
    """

    claim: str
    verdict: Verdict
    heading: str
    sentences: str


FIVE = (
    Summary(
        "MAIN",
        Verdict.FAILS,
        "The direction of the whole update",
        "The paper says that its estimate g₁ + g₂′ surely points in a roughly correct direction. "
        "It does not: in two dimensions with small integers it points exactly the wrong way, "
        "whatever the coefficient η.",
    ),
    Summary(
        "E7",
        Verdict.FAILS,
        "The direction of the second term (Eq. 7)",
        "The proof looks at the eigenvalues of a matrix that is not symmetric; they do not say "
        "what it needs, the sign of the quadratic form. The claim is true under conditions that a "
        "theorem here states, and otherwise only on average over random B or v.",
    ),
    Summary(
        "§3.4",
        Verdict.FAILS,
        "The comparison with DARTS's second order",
        "DARTS's term has no guarantee on its direction, and neither has the amended one. "
        "Where the Hessian is positive definite, as the paper assumes, the vector that DARTS puts "
        "in place of H⁻¹v is never further from it in angle than the amended one; where it is not, "
        "the amended one can be better.",
    ),
    Summary(
        "T9",
        Verdict.HOLDS_IF,
        "The finite differences that make it cheap (A.2)",
        "On smooth networks two differences do give the amended term. With ReLU and max pooling, "
        "as in the networks that are searched, they mostly measure the jumps of the gradient, and "
        "give another direction at the step that DARTS uses.",
    ),
    Summary(
        "§2f",
        Verdict.NOT_TESTED,
        "The stability of the search",
        "Whether the amended search is more stable than DARTS is a matter of experiments, and a "
        "false theorem does not refute it. In the small searches of docs/experiments none of "
        "six with η = 0.1 collapsed, two of six in first order did, and all of six with 0.001 and "
        "0.01; in narrower supernets five of seven in first order did; none of the paper's "
        "size has been made, so it stays open.",
    ),
)


def five(claims: Sequence[Claim]) -> tuple[tuple[Summary, Claim], ...]:
    """Each summary with the ledger's row.

    Raises:
        ValueError: a row has another verdict than its sentences speak of.
    """
    found = tuple((summary, find(claims, summary.claim)) for summary in FIVE)
    for summary, claim in found:
        if claim.verdict is not summary.verdict:
            raise ValueError(
                f"{claim.id} is {claim.verdict.value!r} in the ledger, and the page that opens "
                f"VERDICT.md says {summary.verdict.value!r}. Write its sentences anew."
            )
    return found
