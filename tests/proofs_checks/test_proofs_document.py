"""docs/PROOFS.md and its second part: short enough, links lead somewhere, ids exist."""

import re

import pytest

from proofs_checks.catalogue import all_claims
from proofs_checks.documents import DOCS

PARTS = ("PROOFS.md", "PROOFS_FURTHER.md")
LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)")
CITED = re.compile(r"\*\*([A-Z]+\d+[a-z]?)[ .(*]")


def anchors(text: str) -> set[str]:
    """The anchors of the headings, as GitHub makes them."""
    headings = re.findall(r"(?m)^#+ (.+)$", text)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken(name: str, text: str) -> list[str]:
    found = []
    for file, anchor in LINK.findall(text):
        target = DOCS / (file or name)
        if not target.is_file():
            found.append(file)
        elif anchor and anchor not in anchors(target.read_text(encoding="utf-8")):
            found.append(f"{file}#{anchor}")
    return found


@pytest.mark.parametrize("name", PARTS)
def test_links_lead_to_files_and_headings_that_exist(name):
    text = (DOCS / name).read_text(encoding="utf-8")
    assert LINK.search(text)
    assert not broken(name, text)


def test_a_broken_link_is_seen():
    assert broken("PROOFS.md", "[a](nowhere.md) [b](PROOFS.md#nothing) [c](#1-definitions)") == [
        "nowhere.md",
        "PROOFS.md#nothing",
    ]


def test_each_part_links_to_the_other():
    for name, other in (PARTS, PARTS[::-1]):
        assert f"]({other}" in (DOCS / name).read_text(encoding="utf-8")


def test_the_first_part_is_six_pages_at_most():
    """At about 550 words a page, formulas counted."""
    assert len((DOCS / PARTS[0]).read_text(encoding="utf-8").split()) <= 3300


@pytest.mark.parametrize("name", PARTS)
def test_every_statement_carries_the_id_of_a_claim(name):
    ids = [claim.id for claim in all_claims()]
    cited = CITED.findall((DOCS / name).read_text(encoding="utf-8"))
    assert len(cited) >= 5
    unknown = [c for c in cited if not any(i == c or i.startswith(c) for i in ids)]
    assert not unknown
