"""Where the collected file of published genotypes is, if this checkout has it."""

from pathlib import Path

from tests.darts.data.real_files import real


def published_file() -> Path:
    return real("genotypes/published.json")
