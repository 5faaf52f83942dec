"""A verdict, with evidence that verifies itself, on every claim of the paper and our own."""

from proofs_checks.ledger import Claim as Claim
from proofs_checks.ledger import Verdict as Verdict
from proofs_checks.ledger import Verified as Verified
from proofs_checks.ledger import verify as verify
