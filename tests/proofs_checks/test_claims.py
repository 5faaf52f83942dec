"""Every claim's evidence verifies, and the verdicts are those of the proofs."""

import pytest

from proofs_checks.catalogue import all_claims
from proofs_checks.ledger import Verdict

IDS = [claim.id for claim in all_claims()]


@pytest.mark.parametrize("claim_id", IDS)
def test_all_evidence_of_the_claim_verifies(ledger, claim_id):
    (result,) = [r for r in ledger if r.claim.id == claim_id]
    broken = {
        evidence.label: outcome.reason
        for evidence, outcome in zip(result.claim.evidence, result.outcomes, strict=True)
        if not outcome.passed
    }
    assert not broken


def test_the_papers_guarantee_fails_and_its_proof_with_it():
    verdicts = {claim.id: claim.verdict for claim in all_claims()}
    assert verdicts["E7"] is verdicts["A5"] is verdicts["§3.4"] is Verdict.FAILS
    assert verdicts["E5"] is Verdict.HOLDS_IF
    assert {verdicts[f"T{k}"] for k in (1, 4, 5, 6)} == {Verdict.HOLDS}


def test_no_claim_rests_on_sampling_alone():
    """Monte Carlo stands beside an exact argument, except for claims that are statistical."""
    for claim in all_claims():
        if claim.verdict is Verdict.NOT_TESTED:
            continue
        if claim.id.startswith(("E", "A", "T1", "T2", "T3", "T5", "T6")) and claim.id[1:2] != "T":
            kinds = {evidence.kind for evidence in claim.evidence}
            assert any("Monte Carlo" not in kind for kind in kinds), claim.id
