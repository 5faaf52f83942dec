"""The regression check fails on a slower record, and on nothing else."""

import json
import sys
from copy import deepcopy

import pytest

from benchmarks import compare

OLD = {
    "made": {"S1, batch 16": {"commit": "0"}},
    "S1, batch 16": {
        "steps": {
            "weight step": {compare.UNIT: {"median": 0.25, "low": 0.24, "high": 0.27}},
            "only here": {compare.UNIT: {"median": 1.0, "low": 1.0, "high": 1.0}},
        },
        "peak MiB": {"weight step": 300.0, compare.REFERENCE: 1000.0},
    },
}


def run(new, tmp_path, monkeypatch) -> object:
    for name, record in (("old", OLD), ("new", new)):
        (tmp_path / f"{name}.json").write_text(json.dumps(record))
    paths = [str(tmp_path / f"{name}.json") for name in ("old", "new")]
    monkeypatch.setattr(sys, "argv", ["compare", *paths])
    with pytest.raises(SystemExit) as stopped:
        compare.main()
    return stopped.value.code


def slower(low: float, high: float) -> dict:
    new = deepcopy(OLD)
    new["S1, batch 16"]["steps"] = {
        "weight step": {compare.UNIT: {"median": (low + high) / 2, "low": low, "high": high}}
    }
    return new


def test_a_ratio_that_grew_beyond_both_spreads_fails(tmp_path, monkeypatch, capsys):
    assert run(slower(0.28, 0.30), tmp_path, monkeypatch) == 1
    assert "WORSE" in capsys.readouterr().out


def test_noise_within_the_spreads_and_gains_pass(tmp_path, monkeypatch):
    assert run(slower(0.26, 0.40), tmp_path, monkeypatch) == 0
    assert run(slower(0.10, 0.12), tmp_path, monkeypatch) == 0


def test_records_without_a_common_step_are_refused(tmp_path, monkeypatch):
    assert "nothing was compared" in str(run({}, tmp_path, monkeypatch))


def test_a_peak_of_memory_that_grew_by_more_than_a_tenth_fails(tmp_path, monkeypatch, capsys):
    for mib, code in ((320.0, 0), (340.0, 1)):
        new = deepcopy(OLD)
        new["S1, batch 16"]["peak MiB"]["weight step"] = mib
        assert run(new, tmp_path, monkeypatch) == code
    assert "memory" in capsys.readouterr().out
