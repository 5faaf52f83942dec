"""docs/PROOFS.md and its second part: short enough, linked to each other, ids exist."""

import re

import pytest

from proofs_checks.catalogue import all_claims
from proofs_checks.places import DOCS

PARTS = ("PROOFS.md", "PROOFS_FURTHER.md")
CITED = re.compile(r"\*\*([A-Z]+\d+[a-z]?)[ .(*]")


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
