"""Records that texts quote: a change of their numbers is seen, by digest and by what is quoted."""

import dataclasses
import json

import pytest

from proofs_checks import (
    measurement,
    on_fixed_norms,
    on_mlp,
    on_supernet,
    t9_kinks,
    wrong_sign_rates,
)
from proofs_checks import t12_many_outer_variables as many
from proofs_checks.definitions import FORMULAS
from proofs_checks.measurement import Recorded, digest_of, printed

MODULES = (on_mlp, on_fixed_norms, on_supernet, wrong_sign_rates, many, t9_kinks)


def recorded() -> dict[tuple[str, str], Recorded]:
    """(claim, record) -> the recorded evidence, without the part that is repeated."""
    return {
        (claim.id, piece.record): dataclasses.replace(piece, repeat=None)
        for module in MODULES
        for claim in module.claims(FORMULAS)
        for piece in claim.evidence
        if isinstance(piece, Recorded)
    }


RECORDED = recorded()
PLANTS = [
    ("R1", "implicit_angle", 1.02),
    ("R1", "best_error", 0.95),
    ("R1", "total_error", 1.05),
    ("R1", "stationarity", 100),
    ("R2", "amended_angle", 1.05),
    ("R2", "damped_identity_angle", 0.9),
    ("R2", "negative", 0),
    ("R3", "stationarity", 1.1),
    ("R3", "largest", 0.9),
    ("R4", "implicit_angle", 1.1),
    ("R4", "implicit_angle", 0.95),
    ("R4", "smallest", 1.1),
    ("R4", "total_angle", 1.2),
    ("T4w", "wrong", 1.05),
    ("T4w", "wrong", 0.95),
    ("T3e", "wrong", 1.05),
    ("T12", "chance", 1.1),
    ("T12", "chance", 0.9),
    ("T12n", "darts: isotropic v", 1.1),
    ("T12n", "B in the top 10", 0.95),
    ("T9", "chain_error", 1.15),
    ("T9", "chain_error", 0.85),
    ("T9", "chain_cosine", 0.9),
]
PLANTED = [
    (*key, field, factor) for claim, field, factor in PLANTS for key in RECORDED if key[0] == claim
]


def plant(piece: Recorded, field: str, factor: float, folder, monkeypatch) -> None:
    """The same record with one field of every row times `factor`, and a summary that fits."""
    record = measurement.load(piece.record)
    for row in record["rows"]:
        if row.get(field) is not None:
            row[field] = type(row[field])(row[field] * factor)
    record["summary"] = dict(piece.summarise(record["rows"]))
    (folder / f"{piece.record}.json").write_text(json.dumps(record))
    monkeypatch.setattr(measurement, "RECORDS", folder)


@pytest.mark.parametrize("key", sorted(RECORDED), ids=" ".join)
def test_the_record_as_it_is_supports_its_claim_and_has_the_digest_quoted(key):
    assert RECORDED[key].digest
    assert RECORDED[key].verify().passed


@pytest.mark.parametrize(("claim", "record", "field", "factor"), PLANTED)
def test_a_record_scaled_with_its_summary_is_seen_by_its_digest(
    claim, record, field, factor, tmp_path, monkeypatch
):
    plant(RECORDED[claim, record], field, factor, tmp_path, monkeypatch)
    outcome = RECORDED[claim, record].verify()
    assert not outcome.passed
    assert "digest" in outcome.reason


@pytest.mark.parametrize(("claim", "record", "field", "factor"), PLANTED)
def test_and_by_the_figures_quoted_alone(claim, record, field, factor, tmp_path, monkeypatch):
    plant(RECORDED[claim, record], field, factor, tmp_path, monkeypatch)
    outcome = dataclasses.replace(RECORDED[claim, record], digest="").verify()
    assert not outcome.passed
    assert "claimed" in outcome.reason


def test_a_printed_figure_stands_for_what_rounds_to_it():
    for value, figure in ((42.53, "42.5"), (42.53, "43"), (0.005, "0.005"), (50.25, "50.3")):
        assert printed("x", value, figure).supports
    for value, figure in ((42.53, "42"), (42.4, "42.5"), (1.88, "1.95")):
        assert not printed("x", value, figure).supports


def test_a_digest_sees_the_last_digit_and_not_the_order_of_keys():
    assert digest_of([{"a": 1.0, "b": 2.0}]) == digest_of([{"b": 2.0, "a": 1.0}])
    assert digest_of([{"a": 1.0}]) != digest_of([{"a": 1.000001}])
