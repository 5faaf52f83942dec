"""Whether a record of benchmarks/supernet.py is slower than an earlier one.

`python -m benchmarks.compare OLD.json NEW.json` prints every ratio to the plain reference's weight
step in both, and exits with 1 if one grew beyond both spreads: its lowest is above the old highest.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

UNIT = "in units of reference: weight step"


def compared(old: dict[str, Any], new: dict[str, Any]) -> list[tuple[str, float, float, bool]]:
    """(step, old median, new median, whether it is worse) for every step that both records have."""
    found = []
    for size in sorted(old["batches"].keys() & new["batches"].keys(), key=int):
        before, after = old["batches"][size]["steps"], new["batches"][size]["steps"]
        for name in (name for name in before if name in after):
            a, b = before[name].get(UNIT), after[name].get(UNIT)
            if a is not None and b is not None:
                worse = b["low"] > a["high"]
                found.append((f"batch {size}: {name}", a["median"], b["median"], worse))
    return found


def main() -> None:
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    old, new = (json.loads(Path(name).read_text()) for name in sys.argv[1:])
    table = compared(old, new)
    if not table:
        raise SystemExit("the two records have no step in common; nothing was compared.")
    for name, before, after, worse in table:
        print(f"{name:<55}{before:9.3f}{after:9.3f}  {'WORSE' if worse else ''}")
    raise SystemExit(int(any(worse for *_, worse in table)))


if __name__ == "__main__":
    main()
