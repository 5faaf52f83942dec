"""The paper's text, as extracted from its PDF; tests that need it are skipped where it is not."""

import os
import re
from pathlib import Path

import pytest

BESIDE_PROJECT = Path(__file__).parents[3] / "shared" / "paper" / "paper.txt"


def paper_text() -> str:
    path = Path(os.environ.get("DARTS_PAPER_TEXT", BESIDE_PROJECT))
    if not path.is_file():
        pytest.skip(f"no {path}; set DARTS_PAPER_TEXT to the extracted text of the paper")
    return path.read_text(encoding="utf-8")


def words(text: str) -> list[str]:
    """Lower-case words and numbers; a word that a line's end divides is put together."""
    return re.findall(r"[a-z0-9]+", text.replace("-\n", "").lower())


def runs(text: str, length: int) -> set[tuple[str, ...]]:
    listed = words(text)
    return {tuple(listed[i : i + length]) for i in range(len(listed) - length + 1)}
