"""Whether a record of benchmarks/supernet.py is slower or larger than an earlier one.

`python -m benchmarks.compare OLD.json NEW.json` prints, of every setting that both have, each step
in units of the plain reference's weight step and each peak of memory in units of the reference's.
It exits with 1 if a time grew beyond both spreads, its lowest above the old highest, or a peak,
which is measured once, by more than a tenth.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.steps import REFERENCE

UNIT = f"in units of {REFERENCE}"
MEMORY = "peak MiB"
GROWTH = 1.1

Row = tuple[str, float, float, bool]
"""(what, in the old record, in the new one, whether it is worse)"""


def compared(old: dict[str, Any], new: dict[str, Any]) -> list[Row]:
    found: list[Row] = []
    for setting in old:
        before, after = old[setting], new.get(setting)
        if not (isinstance(before, dict) and isinstance(after, dict)):
            continue
        found += _times(setting, before.get("steps", {}), after.get("steps", {}))
        found += _peaks(setting, before.get(MEMORY, {}), after.get(MEMORY, {}))
    return found


def _times(setting: str, before: dict[str, Any], after: dict[str, Any]) -> list[Row]:
    rows = []
    for name in (name for name in before if name in after):
        a, b = before[name].get(UNIT), after[name].get(UNIT)
        if a is not None and b is not None:
            rows.append((f"{setting}: {name}", a["median"], b["median"], b["low"] > a["high"]))
    return rows


def _peaks(setting: str, before: dict[str, float], after: dict[str, float]) -> list[Row]:
    if REFERENCE not in before or REFERENCE not in after:
        return []
    rows = []
    for name in (name for name in before if name in after):
        a, b = before[name] / before[REFERENCE], after[name] / after[REFERENCE]
        rows.append((f"{setting}: {name}, memory", a, b, b > GROWTH * a))
    return rows


def main() -> None:
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    old, new = (json.loads(Path(name).read_text()) for name in sys.argv[1:])
    table = compared(old, new)
    if not table:
        raise SystemExit("the two records have no step in common; nothing was compared.")
    for name, before, after, worse in table:
        print(f"{name:<70}{before:9.3f}{after:9.3f}  {'WORSE' if worse else ''}")
    raise SystemExit(int(any(worse for *_, worse in table)))


if __name__ == "__main__":
    main()
