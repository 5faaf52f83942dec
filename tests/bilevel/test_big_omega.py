"""Time and memory grow linearly in n for every estimator but Exact, which refuses."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.big_omega import ESTIMATORS, exponent, refusal
from tests import estimators as table

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.parametrize("name", ESTIMATORS)
def test_memory_and_time_grow_linearly_from_1e5_to_1e6_parameters(name: str) -> None:
    """Memory: slope 1 up to the allocator; time below slope 1.5, as other load may disturb it."""
    rows = []
    for n in (10**5, 10**6):
        command = [sys.executable, "-m", "benchmarks.big_omega", "--one", name, str(n)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
        rows.append(json.loads(done.stdout))
    assert rows[1]["vectors_of_n"] < 100  # a matrix would be 10⁶ vectors
    assert exponent(rows, "peak_mib_added") < 1.25
    assert exponent(rows, "wall_seconds") < 1.5


def test_exact_refuses_a_big_problem_before_it_takes_memory() -> None:
    assert "forms the 20000×20000 Hessian (1.5 GiB) and stops at 10000" in refusal(20_000)


def test_every_estimator_is_measured() -> None:
    measured = {name.split("(")[0] for name in ESTIMATORS}
    assert measured | {"Exact"} == set(table.ESTIMATORS)
