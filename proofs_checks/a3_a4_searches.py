"""A.3 and A.4: the gradient trap in a small super-network, and searches with several seeds."""

from __future__ import annotations

from proofs_checks.definitions import Formulas
from proofs_checks.ledger import Claim
from proofs_checks.paper import not_tested

TRAP = "It needs A.3's super-network of two cells, 600 epochs, with and without g₂′, 5 seeds"
UNTESTED = (
    ("A3a", f"{TRAP}, on the halves of the search."),
    ("A3b", f"{TRAP}, on all training images."),
    ("A3c", f"{TRAP}, and the derived network."),
    ("A3d", f"{TRAP}, and an accurate estimate beside, to know that the trap is the cause."),
    ("A4a", "It needs 5 searches in S2 and 15 retrainings at the paper's size."),
    ("A4b", "It needs 5 searches in S1 and 15 retrainings at the paper's size."),
    ("A4c", "It needs the searches of A4a and A4b, and the reasons one at a time."),
    ("A4e", "It needs long searches by DARTS, 10 seeds or more."),
)


def claims(formulas: Formulas) -> tuple[Claim, ...]:
    return tuple(not_tested(claim_id, because) for claim_id, because in UNTESTED)
