"""Recorded and measured evidence rejects planted errors."""

import dataclasses
import json

import pytest

from proofs_checks import (
    measurement,
    on_fixed_norms,
    on_mlp,
    on_supernet,
    t8_rates,
    t9_kinks,
    wrong_sign_rates,
)
from proofs_checks.definitions import FORMULAS
from proofs_checks.measurement import Measurement, Reading, Recorded

CLAIMS = [
    (wrong_sign_rates.RECORD, wrong_sign_rates.summarise, "wrong"),
    (on_mlp.RECORD, on_mlp.summarise, "total_error"),
    (on_fixed_norms.RECORD, on_fixed_norms.summarise_all, "total_error"),
    (on_supernet.SEARCH, on_supernet.summarise_search, "slope_share_negative"),
    (on_supernet.STATIONARY, on_supernet.summarise_stationary, "amended_angle"),
    ("t9_small", t9_kinks.summarise, "chain_cosine"),
    ("t9_full", t9_kinks.summarise, "chain_error"),
]


def test_measurement_rejects_a_value_out_of_range_and_nan():
    assert Measurement("", lambda: [Reading("x", 1.0, 0, 2)]).verify().passed
    for value in (3.0, float("nan")):
        assert not Measurement("", lambda v=value: [Reading("x", v, 0, 2)]).verify().passed
    assert not Measurement("", list).verify().passed


@pytest.mark.parametrize(("name", "summarise", "field"), CLAIMS)
def test_a_record_with_one_row_altered_is_rejected(name, summarise, field, tmp_path, monkeypatch):
    evidence = Recorded("", name, summarise, lambda s: [Reading("any", 1.0, 0, 2)])
    assert evidence.verify().passed
    record = measurement.load(name)
    record["rows"][1][field] = record["rows"][1][field] * 3 + 5
    (tmp_path / f"{name}.json").write_text(json.dumps(record))
    monkeypatch.setattr(measurement, "RECORDS", tmp_path)
    outcome = evidence.verify()
    assert not outcome.passed
    assert "the summary says" in outcome.reason


def test_a_missing_record_is_rejected_with_the_command_that_makes_it():
    outcome = Recorded("", "absent", lambda r: {}, lambda s: []).verify()
    assert not outcome.passed
    assert "python -m proofs_checks.recording absent" in outcome.reason


@pytest.mark.parametrize("mutant", ["neumann", "landweber"])
def test_rates_reject_a_wrong_solver(mutant):
    wrong = {
        "neumann": lambda h, v, gamma, k: -1 * FORMULAS.neumann(h, v, gamma, k),
        "landweber": lambda h, v, eta, k: FORMULAS.landweber(h, v, 2 * eta, k),
    }
    claims = t8_rates.claims(dataclasses.replace(FORMULAS, **{mutant: wrong[mutant]}))
    assert not all(e.verify().passed for e in claims[0].evidence[:4])


def test_wrong_sign_rates_reject_an_amended_term_of_the_wrong_sign():
    planted = dataclasses.replace(
        FORMULAS, amended=lambda h, b, v, eta: -1 * FORMULAS.amended(h, b, v, eta)
    )
    claims = wrong_sign_rates.claims(planted)
    assert not claims[0].evidence[1].verify().passed
    assert not claims[0].evidence[3].verify().passed
