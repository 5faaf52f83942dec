"""The ledger verified once a session, with a trace of which evidence uses which formula."""

import pytest

from proofs_checks.ledger import Verified
from proofs_checks.mutants import Users, verify_and_trace


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep what uses the ledger on one process: to verify it takes minutes."""
    for item in items:
        if "verified_and_traced" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("ledger"))


@pytest.fixture(scope="session")
def verified_and_traced() -> tuple[tuple[Verified, ...], Users]:
    return verify_and_trace()


@pytest.fixture(scope="session")
def ledger(verified_and_traced) -> tuple[Verified, ...]:
    return verified_and_traced[0]


@pytest.fixture(scope="session")
def users(verified_and_traced) -> Users:
    return verified_and_traced[1]
