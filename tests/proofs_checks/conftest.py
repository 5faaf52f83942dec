"""The ledger verified once a session, with a trace of which evidence uses which formula."""

import pytest

from proofs_checks.ledger import Verified
from proofs_checks.mutants import Users, verify_and_trace


@pytest.fixture(scope="session")
def verified_and_traced() -> tuple[tuple[Verified, ...], Users]:
    return verify_and_trace()


@pytest.fixture(scope="session")
def ledger(verified_and_traced) -> tuple[Verified, ...]:
    return verified_and_traced[0]


@pytest.fixture(scope="session")
def users(verified_and_traced) -> Users:
    return verified_and_traced[1]
