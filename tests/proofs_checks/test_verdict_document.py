"""docs/VERDICT.md and docs/LEDGER.md are what the ledger says today.

Else `python -m proofs_checks --write-docs`.
"""

import re

import pytest

from proofs_checks.catalogue import all_claims
from proofs_checks.documents import ledger_text, page_text, said_of
from proofs_checks.ledger import verify
from proofs_checks.mutants import hunt_all, mutant_table
from proofs_checks.places import DOCS


def parts() -> tuple[str, str]:
    text = (DOCS / "LEDGER.md").read_text(encoding="utf-8")
    at = text.index("## Planted errors")
    return text[:at], text[at:]


def test_verdicts_are_not_stale(ledger):
    written, now = (t.rstrip().splitlines() for t in (parts()[0], ledger_text(ledger, "")))
    changed = [(a, b) for a, b in zip(written, now, strict=False) if a != b]
    assert not changed
    assert written == now


def test_the_page_is_not_stale():
    assert (DOCS / "VERDICT.md").read_text(encoding="utf-8") == page_text(all_claims())


@pytest.mark.parametrize("claim", all_claims(), ids=lambda claim: claim.id)
def test_a_row_states_the_verdict_of_its_claim(claim):
    name = rf"\[?{re.escape(claim.id)}(\]\([^)]*\))?"
    (row,) = (line for line in parts()[0].splitlines() if re.match(rf"\| {name} \| ", line))
    assert f" | **{claim.verdict.value}** | " in row


@pytest.mark.slow
@pytest.mark.parametrize("claim", all_claims(), ids=lambda claim: claim.id.strip("§"))
def test_the_row_and_the_section_of_one_claim_are_not_stale(claim):
    """The same as above for one claim by itself: what planted errors are tried on."""
    row, section = said_of(verify(claim))
    assert row in parts()[0].splitlines()
    assert section in parts()[0]


@pytest.mark.slow
def test_planted_errors_are_not_stale(users):
    assert parts()[1] == mutant_table(hunt_all(users))
