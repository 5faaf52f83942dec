"""What runs of the presets take, as their dry runs estimate it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("costs.json")
"""Written by `python -m benchmarks.dry_run_table costs` from docs/records/dry_runs.json."""


def recorded_costs() -> Mapping[str, Mapping[str, Any]]:
    """By preset: cpu_hours, memory_gib, the processor, and train_images; few are recorded."""
    found: Mapping[str, Mapping[str, Any]] = json.loads(FILE.read_text(encoding="utf-8"))
    return found
