"""Run every example and keep what it found: `python -m docs.examples [record.json]`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from docs.examples import cleaning, distilling, operations, penalties, weights_of_a_loss

EXAMPLES = (cleaning, distilling, penalties, weights_of_a_loss, operations)


def main(path: Path = Path("docs/records/examples.json")) -> Path:
    found = {module.__name__.split(".")[-1]: module.main() for module in EXAMPLES}
    path.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    return path


if __name__ == "__main__":
    print(main(*(Path(argument) for argument in sys.argv[1:])))
