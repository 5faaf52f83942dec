"""The claims of the paper's text, in its order: `claims_of_the_paper.toml`, read once."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from proofs_checks.ledger import Claim, Verdict

FILE = Path(__file__).with_name("claims_of_the_paper.toml")


@dataclass(frozen=True)
class Stated:
    """What the paper claims, in words of our own.

    Attributes:
        id: that of the ledger's row.
        place: where the text says so; several places are separated by semicolons.
        text: a paraphrase.
    """

    id: str
    place: str
    text: str


@cache
def stated() -> dict[str, Stated]:
    """Every claim of the text by its id, in the text's order.

    Raises:
        ValueError: an id is listed twice.
    """
    entries = [Stated(**entry) for entry in tomllib.loads(FILE.read_text("utf-8"))["claim"]]
    found = {entry.id: entry for entry in entries}
    if len(found) != len(entries):
        ids = [entry.id for entry in entries]
        raise ValueError(f"{FILE.name} lists {sorted({i for i in ids if ids.count(i) > 1})} twice")
    return found


def not_tested(claim_id: str, because: str) -> Claim:
    """The row of a claim that nothing here has looked at; `because` says why, or what would."""
    entry = stated()[claim_id]
    return Claim(
        id=entry.id,
        where=entry.place,
        statement=entry.text,
        assumptions="none",
        verdict=Verdict.NOT_TESTED,
        because=because,
        evidence=(),
    )


def in_the_texts_order(claims: tuple[Claim, ...]) -> tuple[Claim, ...]:
    """The paper's claims as the text has them, then the project's own in the order given."""
    order = {claim_id: position for position, claim_id in enumerate(stated())}
    return tuple(sorted(claims, key=lambda claim: order.get(claim.id, len(order))))


def of_the_paper(claim: Claim) -> bool:
    return claim.id in stated()
