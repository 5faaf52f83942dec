"""What a page says, run: its Python blocks in order, beside the output that it shows.

`python -P tests/documents.py SITE PAGE...` runs pages on the packages that are installed in SITE.
"""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md"))
)
"""Every page, from the root of the project: `README.md`, `docs/CHECK.md`, ..."""


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str) -> list[tuple[str, str | None]]:
    """Every Python block of a page, with the text block that follows it at once, if any."""
    found = re.findall(
        r"^```python\n(.*?)^```(?:\n\n```text\n(.*?)^```)?", text_of(page), re.DOTALL | re.MULTILINE
    )
    return [(code, output or None) for code, output in found]


def commands(page: str) -> list[list[str]]:
    """The words of every command line of a page, in blocks and in code spans.

    Left out are `$ ` and variables before a command, and a comment or a pipe behind it. A line
    that ends in a backslash goes on. A bare name (`darts count`) and a form with an ellipsis are
    not commands.
    """
    fenced = re.findall(r"(?ms)^ *```(\w*)\n(.*?)^ *```", text_of(page))
    shell = [block for language, block in fenced if language in ("", "bash", "sh", "console")]
    lines = [line for block in shell for line in block.replace("\\\n", " ").splitlines()]
    lines += re.findall(r"(?<!`)`([^`\n]+)`(?!`)", prose(page))
    found = []
    for line in lines:
        command = re.match(rf"\s*(?:\$ )?(?:\w+=\S+ )*({'|'.join(PROGRAMS)}) (.*)", line)
        if command and not re.search(r"\.\.\.|…", line):
            words = shlex.split(f"{command[1]} {command[2]}", comments=True)
            words = words[: words.index("|")] if "|" in words else words
            if words[0] == "darts" and words[1].isupper():  # `darts COMMAND --help`
                continue
            if len(words) > (2 if words[0] == "darts" else 1) or words[-1].startswith("-"):
                found.append(words)
    return found


PROGRAMS = ("darts", "nox", "python -m", "pytest")


def prose(page: str) -> str:
    """A page without its blocks."""
    return re.sub(r"^```.*?^```", "", text_of(page), flags=re.DOTALL | re.MULTILINE)


LINK = re.compile(r"\]\(([^)#\s:]*)(?:#([^)\s]+))?\)")


def broken_links(page: str) -> list[str]:
    """Links to files or headings of the project that are not there."""
    found = []
    for file, anchor in LINK.findall(re.sub(r"`[^`\n]*`", "", prose(page))):
        target = (ROOT / page).parent / file if file else ROOT / page
        if not target.exists():
            found.append(file)
        elif anchor and anchor not in _anchors(target.read_text(encoding="utf-8")):
            found.append(f"{file}#{anchor}")
    return found


def rows_below(page: str, header: str) -> list[list[str]]:
    """The cells, row by row, of the one table of a page whose header begins so."""
    text = text_of(page)
    lines = text[text.index(f"\n{header}") + 1 :].split("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def prints(figure: str, value: float) -> bool:
    """Whether a figure is what the value rounds to: at most half a unit of its last digit off."""
    number = Decimal(figure.strip("*"))
    half = 0.5 * 10.0 ** int(number.as_tuple().exponent)
    return abs(value - float(number)) <= half * (1 + 1e-9)


def _anchors(text: str) -> set[str]:
    """The anchors of the headings, as GitHub makes them."""
    headings = re.findall(r"(?m)^#+ (.+)$", text)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def run(page: str, *, first: int | None = None) -> dict[str, Any]:
    """Execute the blocks in one namespace and return it; PyTorch's random state is left as it was.

    Args:
        page: from the root of the project.
        first: only so many of its blocks.

    Raises:
        AssertionError: a block prints something else than the page shows.
    """
    namespace: dict[str, Any] = {"__name__": page}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # for pages that set none
        for number, (code, shown) in enumerate(blocks(page)[:first], start=1):
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                exec(compile(code, f"{page}, block {number}", "exec"), namespace)
            if shown is not None:
                assert printed.getvalue() == shown, (
                    f"{page}, block {number}: {printed.getvalue()!r}"
                )
    return namespace


def main(site: str, *pages: str) -> None:
    """Run the pages, if the packages are those of `site`."""
    import bilevel

    assert Path(site).resolve() in Path(bilevel.__file__).parents, bilevel.__file__
    for page in pages:
        run(page)
        print(f"{page}: {len(blocks(page))} blocks")


if __name__ == "__main__":
    main(*sys.argv[1:])
