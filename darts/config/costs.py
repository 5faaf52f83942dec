"""The costs of the presets, as dry runs or steps on a GPU estimate them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("costs.json")
"""Written by `python -m benchmarks.dry_run_table costs` from docs/records/."""


def recorded_costs() -> Mapping[str, Mapping[str, Any]]:
    """By preset: hours, the hardware that has them, and of a dry run its day and memory_gib.

    Few are recorded.
    """
    found: Mapping[str, Mapping[str, Any]] = json.loads(FILE.read_text(encoding="utf-8"))
    return found
