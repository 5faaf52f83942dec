"""The ledger: each claim, its place, what became of it, and its evidence, verified on demand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from proofs_checks.evidence import Evidence, Outcome
from proofs_checks.verdict import Verdict as Verdict


@dataclass(frozen=True)
class Claim:
    """A statement and its verdict.

    Attributes:
        id: short and unique: "E7", "T2e".
        where: its place in the paper, as in `claims_of_the_paper.toml`; "new", or what it was
            looked at on, for this project's own.
        statement: in words, as claimed.
        assumptions: under which the verdict stands.
        verdict: on the statement as claimed.
        because: the reason for the verdict, in one or two sentences.
        evidence: all of it must verify. An empirical verdict needs an `Experiment` that comes to
            it from a record; a claim that is not tested has none.
        formula: the statement in mathtext, without dollar signs; "" where words do.
    """

    id: str
    where: str
    statement: str
    assumptions: str
    verdict: Verdict
    because: str
    evidence: tuple[Evidence, ...]
    formula: str = ""

    def __post_init__(self) -> None:
        untested = self.verdict is Verdict.NOT_TESTED
        if untested and self.evidence:
            raise ValueError(f"Claim {self.id} has evidence: say what it shows, not 'not tested'")
        if not untested and not self.evidence:
            raise ValueError(f"Claim {self.id}: a verdict needs at least one piece of evidence")
        decided = {evidence.decides for evidence in self.evidence} - {None}
        if decided != ({self.verdict} if self.verdict.empirical else set()):
            found = ", ".join(sorted(verdict.value for verdict in decided if verdict)) or "none"
            raise ValueError(
                f"Claim {self.id} is {self.verdict.value!r}, and its experiments decide: {found}. "
                "Every empirical verdict needs an Experiment that comes to it, and no other may."
            )


@dataclass(frozen=True)
class Verified:
    """A claim, and what its evidence said when it was last asked; in the same order."""

    claim: Claim
    outcomes: tuple[Outcome, ...]

    @property
    def stands(self) -> bool:
        return all(outcome.passed for outcome in self.outcomes)

    @property
    def lacks(self) -> bool:
        """Something was not looked at for want of what an installed package lacks; no more."""
        left = [outcome for outcome in self.outcomes if not outcome.passed]
        return bool(left) and all(outcome.lacks for outcome in left)

    @property
    def seconds(self) -> float:
        return sum(outcome.seconds for outcome in self.outcomes)


def verify(claim: Claim) -> Verified:
    return Verified(claim, tuple(evidence.verify() for evidence in claim.evidence))


def unique(claims: Iterable[Claim]) -> tuple[Claim, ...]:
    """The claims, after checking that no two share an id."""
    listed = tuple(claims)
    ids = [claim.id for claim in listed]
    twice = sorted({i for i in ids if ids.count(i) > 1})
    if twice:
        raise ValueError(f"claim ids {twice} are used twice; each claim needs its own")
    return listed


def find(claims: Sequence[Claim], wanted: str) -> Claim:
    for claim in claims:
        if claim.id.lower().lstrip("§") == wanted.lower().lstrip("§"):
            return claim
    raise ValueError(f"no claim {wanted!r}; there are: {', '.join(c.id for c in claims)}")
