"""The ledger: each claim, its place, what became of it, and its evidence, verified on demand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from proofs_checks.evidence import Evidence, Outcome


class Verdict(Enum):
    HOLDS = "holds"
    HOLDS_IF = "holds if"
    FAILS = "fails"


@dataclass(frozen=True)
class Claim:
    """A statement and its verdict.

    Attributes:
        id: short and unique: "E7", "T2e".
        where: its place in the paper, or "new" for this project's own.
        statement: in words, as claimed.
        assumptions: under which the verdict stands.
        verdict: on the statement as claimed.
        because: the reason for the verdict, in one or two sentences.
        evidence: all of it must verify.
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
        if not self.evidence:
            raise ValueError(f"Claim {self.id}: a verdict needs at least one piece of evidence")


@dataclass(frozen=True)
class Verified:
    """A claim, and what its evidence said when it was last asked; in the same order."""

    claim: Claim
    outcomes: tuple[Outcome, ...]

    @property
    def stands(self) -> bool:
        return all(outcome.passed for outcome in self.outcomes)

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
        if claim.id.lower() == wanted.lower():
            return claim
    raise ValueError(f"no claim {wanted!r}; there are: {', '.join(c.id for c in claims)}")
