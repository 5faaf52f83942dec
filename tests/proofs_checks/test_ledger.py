"""The command: exit status, explanation, page."""

from fractions import Fraction

import pytest

from proofs_checks.__main__ import main
from proofs_checks.evidence import ExactIdentity
from proofs_checks.ledger import Claim, Verdict, find, unique, verify
from proofs_checks.page import page


def claim(left: object = 1, right: object = 1, name: str = "X1") -> Claim:
    return Claim(
        id=name,
        where="nowhere",
        statement="one is one",
        assumptions="none",
        verdict=Verdict.HOLDS,
        because="it is",
        evidence=(ExactIdentity("two sides", lambda: [("one", left, right)]),),
        formula=r"1 = 1",
    )


def test_exit_status_is_0_when_all_evidence_verifies(capsys):
    assert main([], ledger=lambda: (claim(),)) == 0
    assert "1 of 1 claims verified" in capsys.readouterr().out


def test_exit_status_is_1_when_one_piece_of_evidence_is_broken(capsys):
    broken = claim(1, Fraction(1, 2), name="X2")
    assert main([], ledger=lambda: (claim(), broken)) == 1
    out = capsys.readouterr().out
    assert "1 of 2 claims verified" in out
    assert "the sides differ by 1/2" in out


def test_one_claim_is_explained_with_its_numbers(capsys):
    assert main(["--claim", "e7"]) == 0
    out = capsys.readouterr().out
    assert "[[2, 1], [1, 1]]" in out
    assert "(-1/10)ᵀ" in out


def test_an_unknown_claim_is_answered_with_the_known_ones(capsys):
    assert main(["--claim", "X9"], ledger=lambda: (claim(),)) == 2
    assert "there are: X1" in capsys.readouterr().out


def test_ids_are_unique_and_evidence_is_required():
    with pytest.raises(ValueError, match=r"\['X1'\] are used twice"):
        unique([claim(), claim()])
    with pytest.raises(ValueError, match="at least one"):
        Claim("X", "", "", "", Verdict.HOLDS, "", ())
    with pytest.raises(ValueError, match="there are: X1"):
        find([claim()], "Y")


def test_the_page_is_self_contained_and_shows_broken_evidence():
    text = page([verify(claim()), verify(claim(1, 2, "X2"))])
    assert "<svg" in text
    assert "evidence broken" in text
    assert "1 claims not verified" in text
    for outside in ("<script src", 'src="', 'href="http', "@import"):
        assert outside not in text
