"""Written pages with their prose in short lines, which Markdown reads as the same paragraphs."""

from __future__ import annotations

import re

WIDTH = 100
WORD = re.compile(r"(?:`[^`]*`|[^\s`]|(?<=\S) [=≠≈≤≥<>≻⪰∈·+−⇒⇔→↦≪~] (?=\S))+")
"""Code in backticks is one word, and so is a formula: no line ends at its sign."""
ITEM = re.compile(r"\s*(?:[-*]|\d+\.) ")
AS_THEY_ARE = ("|", "#", ">", "<!--", "![")
OPENS = re.compile(r"[-+*]$|#+$|\d+[.)]$|[>|=]")
"""What would begin something else than the paragraph at the beginning of a line."""


def wrapped(page: str) -> str:
    """A page whose paragraphs and items of lists have lines of at most 100 characters.

    Left as they are: tables, headings, quotations, pictures and blocks of code. Code in backticks
    and formulas stay whole, and where they are longer so is the line. All words stay.

    Args:
        page: each paragraph and each item of a list in one line, or in lines that are short enough.
    """
    lines = []
    code = False
    for line in page.split("\n"):
        code ^= line.lstrip().startswith("```")
        leave = code or len(line) <= WIDTH or line.lstrip().startswith(AS_THEY_ARE)
        lines += [line] if leave else _in_lines(line)
    return "\n".join(lines)


def _in_lines(paragraph: str) -> list[str]:
    item = ITEM.match(paragraph)
    margin = paragraph[: len(paragraph) - len(paragraph.lstrip())]
    indent = " " * item.end() if item else margin
    lines = []
    line = margin
    for word in WORD.findall(paragraph):
        if line.strip() and len(line) + 1 + len(word) > WIDTH and not OPENS.match(word):
            lines.append(line)
            line = indent
        line += word if not line.strip() else f" {word}"
    return [*lines, line]
