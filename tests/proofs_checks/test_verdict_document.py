"""docs/VERDICT.md and docs/LEDGER.md are what the ledger says today.

Else `python -m proofs_checks --write-docs`.
"""

import re

import pytest

from proofs_checks.catalogue import all_claims
from proofs_checks.documents import ledger_text, page_text, renewed, said_of
from proofs_checks.judged_by_pages import ROWS
from proofs_checks.ledger import find, verify
from proofs_checks.mutants import hunt_all, mutant_table
from proofs_checks.places import DOCS
from proofs_checks.verdict import Verdict


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


def whole() -> str:
    return "".join(parts())


def judged():
    """What is found of a row that a page judges, and of one that nothing has tested."""
    decided = next(name for name, verdict, *_ in ROWS if verdict is not Verdict.NOT_TESTED)
    untested = next(name for name, verdict, *_ in ROWS if verdict is Verdict.NOT_TESTED)
    return [verify(find(all_claims(), name)) for name in (decided, untested)]


def test_what_is_written_anew_of_a_few_rows_takes_their_place():
    """Of a row that says something else, and of a section that is not there yet."""
    found, untested = judged()
    row, section = said_of(found)
    assert renewed(whole(), [found, untested], all_claims()) == whole()
    other = whole().replace(row, row.replace("**undecided", "**supported"))
    other = other.replace(f"{section}\n", "")
    assert row not in other
    assert section not in other
    assert renewed(other, [found, untested], all_claims()) == whole()
    assert renewed(other, [untested], all_claims()) == other  # all else stays as it is


def test_a_claim_that_is_not_in_the_page_yet_needs_all_of_it_written():
    found, _ = judged()
    without = whole().replace(f"{said_of(found)[0]}\n", "")
    with pytest.raises(ValueError, match=f"no row of {found.claim.id}; write all of it anew"):
        renewed(without, [], all_claims())
