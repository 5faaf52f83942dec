"""The pages of proofs: short enough, linked to each other, every theorem in the same form."""

import re

import pytest

from proofs_checks.catalogue import all_claims
from proofs_checks.places import DOCS

PARTS = ("PROOFS.md", "PROOFS_ON_AVERAGE.md", "PROOFS_FURTHER.md")
THEOREM = re.compile(r"(?m)^#{2,3} ([A-Z]+\d+[a-z]?)\. .+$")
PIECES = ("In words", "In formulas", "Proof", "Check")


def text_of(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def theorems(text: str) -> dict[str, str]:
    """id -> what stands below its heading, up to the next one."""
    found = list(THEOREM.finditer(text))
    headings = [match.start() for match in re.finditer(r"(?m)^#", text)] + [len(text)]
    return {m[1]: text[m.end() : min(h for h in headings if h > m.start())] for m in found}


def faults(text: str) -> list[str]:
    """What a page does otherwise than: words, formulas, proof, and a command for the same claim."""
    ids = [claim.id for claim in all_claims()]
    found = []
    for name, body in theorems(text).items():
        pieces = re.findall(r"(?m)^\*\*(\w[\w ]*)\.\*\*(?= |$)", body)
        if tuple(p for p in pieces if p in PIECES) != PIECES:
            found.append(f"{name} has {pieces}")
        checked = re.findall(r"--claim (\w+)", body[body.rfind("**Check.**") :])
        if not checked or any(i not in ids or not i.startswith(name) for i in checked):
            found.append(f"{name} is checked by {checked}")
    return found


def test_the_first_part_leads_to_the_others_and_they_lead_back():
    for name in PARTS[1:]:
        assert f"]({name}" in text_of(PARTS[0])
        assert f"]({PARTS[0]}" in text_of(name)


def test_the_first_part_is_six_pages_at_most():
    """At about 550 words a page, formulas counted."""
    assert len(text_of(PARTS[0]).split()) <= 3300


@pytest.mark.parametrize("name", PARTS)
def test_every_theorem_has_words_formulas_proof_and_the_command_of_its_claim(name):
    assert len(theorems(text_of(name))) >= 5
    assert not faults(text_of(name))


def test_the_theorems_of_the_ledger_are_all_proved():
    """T9 and T12n are measurements."""
    proved = {
        i
        for part in PARTS
        for body in theorems(text_of(part)).values()
        for i in re.findall(r"--claim (\w+)", body)
    }
    theirs = {claim.id for claim in all_claims() if re.match(r"T\d", claim.id)}
    assert theirs - proved == {"T9", "T12n"}


def test_a_theorem_in_another_form_is_seen():
    text = "## T1. A\n**In words.** x\n**In formulas.** x\n**Proof.** x\n**Check.** `--claim T1`\n"
    assert not faults(text)
    assert faults(text.replace("**Proof.** x\n", "")) == [
        "T1 has ['In words', 'In formulas', 'Check']"
    ]
    assert faults(text.replace("--claim T1", "--claim T4")) == ["T1 is checked by ['T4']"]
    assert faults(text.replace("--claim T1", "")) == ["T1 is checked by []"]
