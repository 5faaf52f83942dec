"""Lines by folder: of all files, and of code without docstrings, comments and blank lines.

`python -m benchmarks.lines` prints the table of docs/INSIDE.md.
"""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parent.parent
FOLDERS = ("bilevel", "darts", "proofs_checks", "toy", "benchmarks", "tests")
ONE_ROW_EACH = ("bilevel", "darts")
"""Folders whose own folders have a row each."""
_NO_CODE = {
    *(tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.ENCODING),
    *(tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER),
}


def code_lines(source: str) -> int:
    """Lines of Python that hold code: neither blank, nor only comment, nor text without effect."""
    told: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        value = node.value if isinstance(node, ast.Expr) else None
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            told |= set(range(value.lineno, (value.end_lineno or value.lineno) + 1))
    held: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in _NO_CODE:
            held |= set(range(token.start[0], token.end[0] + 1))
    return len(held - told)


def counted(files: Iterable[Path]) -> tuple[int, int, int]:
    """Number of files, of their lines, and of those that hold code."""
    sources = [path.read_text(encoding="utf-8") for path in files]
    lines = sum(source.count("\n") for source in sources)
    return len(sources), lines, sum(map(code_lines, sources))


def rows(folders: Iterable[str] = FOLDERS) -> list[tuple[str, int, int, int]]:
    """(folder, files, lines, lines of code), folders within one after it."""
    found = []
    for name in folders:
        folder = ROOT / name
        found.append((f"{name}/", *counted(folder.rglob("*.py"))))
        if name in ONE_ROW_EACH:
            found.append((f"{name}/*.py", *counted(folder.glob("*.py"))))
            inner = sorted(path for path in folder.iterdir() if (path / "__init__.py").is_file())
            found += [(f"{name}/{one.name}/", *counted(one.rglob("*.py"))) for one in inner]
    return found


def main() -> None:
    print("| folder | files | lines | of code |\n|---|---|---|---|")
    for name, files, lines, code in rows():
        print(f"| `{name}` | {files} | {lines:,} | {code:,} |")


if __name__ == "__main__":
    main()
