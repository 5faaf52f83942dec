"""Where the collected file of published genotypes is, if this checkout has it."""

import os
from pathlib import Path

import pytest

BESIDE_PROJECT = Path(__file__).parents[3] / "shared" / "data"


def published_file() -> Path:
    root = Path(os.environ.get("DARTS_DATA_DIR", BESIDE_PROJECT))
    path = root / "genotypes" / "published.json"
    if not path.is_file():
        pytest.skip(f"no {path}; set DARTS_DATA_DIR to the folder that has genotypes/")
    return path
