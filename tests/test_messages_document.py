"""docs/MESSAGES.md: its messages are in the source, and its warnings are all there are."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest

from bilevel import estimators
from tests import documents

PAGE = "docs/MESSAGES.md"


@cache
def texts() -> tuple[str, ...]:
    """Every literal text of the packages; what an f-string fills in is a gap in it."""
    found = []
    for package in ("bilevel", "darts"):
        for path in (documents.ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    found.append(node.value)
                elif isinstance(node, ast.JoinedStr):
                    parts = (
                        part.value if isinstance(part, ast.Constant) else "\0"
                        for part in node.values
                    )
                    found.append("".join(map(str, parts)))
    return tuple(found)


@pytest.mark.parametrize("fragment", re.findall(r'(?m)^\| "([^"]+)" \|', documents.text_of(PAGE)))
def test_the_message_is_one_of_the_source(fragment: str) -> None:
    assert any(fragment in text for text in texts())


def test_every_warning_has_its_row() -> None:
    rows = set(re.findall(r"(?m)^\| `(\w+)` \|", documents.text_of(PAGE)))
    base = estimators.HypergradientWarning
    kinds = [kind for kind in vars(estimators).values() if isinstance(kind, type)]
    assert rows == {k.__name__ for k in kinds if issubclass(k, base) and k is not base}
