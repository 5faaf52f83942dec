"""The claims of the paper's text, in its order: `claims_of_the_paper.toml`, read once."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from proofs_checks.ledger import Claim, Verdict

FILE = Path(__file__).with_name("claims_of_the_paper.toml")
SECTION_OF = {
    **dict.fromkeys(("Eq. 2", "Eq. 3", "Eq. 5"), "§3.3"),
    **dict.fromkeys(("Eq. 6", "Eq. 7", "Footnote 2"), "§3.4"),
    "Fig. 1": "§3.2",
    "Fig. 2": "§4.1.1",
    "Fig. 3": "§4.1.3",
    "Table 1": "§4.1.4",
    "Table 2": "§4.2",
}
"""Where the text has its equations, figures and tables."""


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

    @property
    def home(self) -> str:
        """The place that the id names: "§3.4a" is of §3.4, "E7" of Eq. 7, "A4b" of A.4.

        A row in the text's order stands where its home is. The four ids that do not name theirs
        are listed.
        """
        listed = {"MAIN": "Abstract", "N1": "§4.1.3", "N2": "§3.4", "T9": "A.2"}
        if self.id in listed:
            return listed[self.id]
        if self.id.startswith("§"):
            section = self.id.rstrip("abcdefghijklmnopqrstuvwxyz")
            return "Abstract" if section == "§0" else section
        named = re.fullmatch(r"([A-Z]+)(\d).*", self.id)
        if named is None:
            raise ValueError(f"{FILE.name}: the id {self.id!r} names no place of the text")
        kind, number = named.groups()
        words = {"E": "Eq. ", "F": "Fig. ", "FN": "Footnote ", "A": "A."}
        return f"Table {int(number) - 2}" if kind == "N" else words[kind] + number

    @property
    def section(self) -> str:
        """The section, or the appendix, that its home stands in."""
        return SECTION_OF.get(self.home, self.home)


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


def digest(entries: Iterable[Stated]) -> str:
    """Sixteen digits of the SHA-256 of ids, places and texts in their order."""
    text = "\n".join(f"{entry.id}\t{entry.place}\t{entry.text}" for entry in entries)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


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
