"""The supernet's benchmark measures memory of the call, not of the process that asked for it."""

import subprocess
import sys
from pathlib import Path

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
