"""The page that opens VERDICT.md says of each claim what the ledger says."""

import dataclasses
from collections import Counter

import pytest

from proofs_checks.catalogue import all_claims
from proofs_checks.documents import in_a_sentence, tally
from proofs_checks.five_that_matter import FIVE, five
from proofs_checks.ledger import Verdict
from proofs_checks.paper import of_the_paper
from proofs_checks.places import DOCS


def test_each_of_the_five_is_a_claim_of_the_paper_in_two_sentences():
    rows = five(all_claims())
    assert len(rows) == 5
    for summary, claim in rows:
        assert of_the_paper(claim)
        assert summary.sentences.count(". ") == 1
        assert summary.sentences.endswith(".")


def test_sentences_of_another_verdict_are_refused():
    claims = [
        dataclasses.replace(claim, verdict=Verdict.HOLDS) if claim.id == "E7" else claim
        for claim in all_claims()
    ]
    with pytest.raises(ValueError, match="E7 is 'holds' in the ledger"):
        five(claims)


def test_the_sentence_counts_what_holds_fails_is_supported_and_open():
    text = in_a_sentence(Counter({verdict: 2**k for k, verdict in enumerate(Verdict)}))
    assert text == (
        "By proof or count, 3 hold, 2 of them under a condition that the paper does not state, and "
        "4 fail. By experiment, 16 are supported and 32 are not. 200 are open."
    )


def test_the_first_page_counts_the_claims_and_links_to_evidence():
    text = (DOCS / "VERDICT.md").read_text(encoding="utf-8")
    first, *_ = text.partition("## How a verdict is reached")
    words = " ".join(first.split())
    rest = (DOCS / "LEDGER.md").read_text(encoding="utf-8")
    counts = tally([claim for claim in all_claims() if of_the_paper(claim)])
    assert f"**The paper makes {sum(counts.values())} claims.** {in_a_sentence(counts)}" in words
    for verdict in Verdict:
        assert f"| **{verdict.value}** | {counts[verdict]} |" in first
    for summary in FIVE:
        assert summary.sentences in words
        if summary.verdict is not Verdict.NOT_TESTED:
            assert f"\n## {summary.claim}\n" in rest
    assert len(first.split()) < 600  # what one page holds
