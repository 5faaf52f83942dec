"""The places of genotypes in a text: a log, a source file, a line that someone pasted."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

LONGEST = 100_000
"""Characters of one genotype; a cell has at most 500 edges."""

_CALL = re.compile(r"(?<![\w.])(?:(\w+)\s*(?::\s*\w+\s*)?=\s*)?(?:\w+\.)*Genotype\s*\(")
_BENCH = re.compile(r"\|[^\s|~]+~[^\s()\[\]{},;.'\"]*")
_LITERAL = re.compile(r"\{\s*['\"]|\[\s*[\[(]\s*[\[('\"]")
_WORDS = re.compile(r"genotype|normal|reduce|cell|concat|_connect|conv", re.IGNORECASE)
_DEFINED = re.compile(r"\b(?:class|def)\s+$")


@dataclass(frozen=True)
class Passage:
    """A part of a text that says a genotype, or should.

    Args:
        text: the passage, from its first character to its last bracket.
        name: name that the text assigns it to; "" if there is none.
    """

    text: str
    name: str = ""


def passages(text: str) -> list[Passage]:
    """The passages of `text`, in order.

    Calls `Genotype(...)`; where there are none, NAS-Bench-201's |op~0|+|...|; where there are
    none of these either, lists and objects that speak of cells.
    """
    calls = list(_calls(text))
    if calls:
        return calls
    bench = [Passage(found.group()) for found in _BENCH.finditer(text)]
    return bench or list(_literals(text))


def _calls(text: str) -> Iterator[Passage]:
    found = [
        call
        for call in _CALL.finditer(text)
        if not _DEFINED.search(text[max(0, call.start() - 20) : call.start()])
    ]
    stops = [call.start() for call in found[1:]] + [len(text)]
    for call, stop in zip(found, stops[: len(found)], strict=True):
        opening = call.end() - 1
        end = closing(text[opening : min(stop, opening + LONGEST)])
        yield Passage(f"Genotype{text[opening : opening + end]}", call.group(1) or "")


def _literals(text: str) -> Iterator[Passage]:
    position = 0
    while found := _LITERAL.search(text, position):
        start = found.start()
        end = start + closing(text[start : start + LONGEST])
        if _WORDS.search(text, start, end):
            yield Passage(text[start:end])
        position = max(end, start + 1)


def closing(text: str) -> int:
    """Where the bracket that `text` begins with is closed; its length if nowhere."""
    depth, quote, escaped, comment = 0, "", False, False
    for position, character in enumerate(text):
        if comment:
            comment = character != "\n"
        elif quote:
            if escaped:
                escaped = False
            elif character == "\\":
                escaped = True
            elif character == quote:
                quote = ""
        elif character in "'\"":
            quote = character
        elif character == "#":
            comment = True
        elif character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
            if depth == 0:
                return position + 1
    return len(text)
