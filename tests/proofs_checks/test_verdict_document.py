"""docs/VERDICT.md is what the ledger says today: else `python -m proofs_checks --write-docs`."""

import pytest

from proofs_checks.documents import DOCS, verdict_text
from proofs_checks.mutants import hunt_all, mutant_table


def parts() -> tuple[str, str]:
    text = (DOCS / "VERDICT.md").read_text(encoding="utf-8")
    at = text.index("## Planted errors")
    return text[:at], text[at:]


def test_verdicts_are_not_stale(ledger):
    written, now = (t.rstrip().splitlines() for t in (parts()[0], verdict_text(ledger, "")))
    changed = [(a, b) for a, b in zip(written, now, strict=False) if a != b]
    assert not changed
    assert written == now


@pytest.mark.slow
def test_planted_errors_are_not_stale(users):
    assert parts()[1] == mutant_table(hunt_all(users))
