"""The supernet's benchmark measures memory of the call alone, and its record can be drawn."""

import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.plots import draw
from benchmarks.steps import EXACT, REFERENCE, UNIT

ROOT = Path(__file__).parents[2]
GROWTH = """
from benchmarks.supernet import peak_resident_mib
before = peak_resident_mib()
kept = bytearray(b"x") * (64 << 20)
print(peak_resident_mib() - before)
"""


def test_peak_memory_is_that_of_the_process_alone() -> None:
    larger_than_the_child = bytearray(b"x") * (600 << 20)
    command = [sys.executable, "-c", GROWTH]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert len(larger_than_the_child) == 600 << 20
    assert 60 < float(done.stdout) < 70


def test_the_chart_is_drawn_from_the_record(tmp_path: Path) -> None:
    spread = {"median": 2.0, "low": 1.0, "high": 3.0}
    step = {"seconds": spread, "n": 3, f"in units of {UNIT}": spread}
    growth = {"seconds": [spread] * 3, "slope": 0.9}
    record: dict[str, Any] = {
        "S1, batch 16": {"steps": dict.fromkeys((UNIT, REFERENCE), step), "peak MiB": {UNIT: 1.0}},
        "slopes": {"batch": {"sizes": [1, 2, 4]} | dict.fromkeys((UNIT, EXACT, REFERENCE), growth)},
        "trade": {"cells recomputed": {"0 cells": {"time": spread, "memory": 2.0}}},
        "made": {"slopes": {"commit": "0123456789"}},
    }
    assert draw(record, tmp_path / "chart.png").read_bytes().startswith(b"\x89PNG")
