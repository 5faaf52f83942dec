"""Genotypes in the notation of DARTS's code: Genotype(normal=[('skip_connect', 0), ...], ...)."""

import ast
from typing import Any

from darts.spaces.genotype import Genotype


def genotype_to_text(genotype: Genotype) -> str:
    """One line that DARTS's `genotypes.py`, and whoever followed it, takes as Python."""
    parts = []
    for cell in genotype.cells:
        parts.append(f"{cell.kind}={[tuple(edge) for edge in cell.edges]!r}")
        parts.append(f"{cell.kind}_concat={list(cell.concat)!r}")
    return f"Genotype({', '.join(parts)})"


def genotype_from_text(text: str) -> Genotype:
    """The genotype that one call `Genotype(...)` writes, `name =` before it or not.

    Keywords in DARTS's sense; a concat may be `range(2, 6)`. The text is parsed and never
    evaluated.

    Raises:
        ValueError: it is anything else, or no genotype.
    """
    call = _call(text)
    names = [keyword.arg for keyword in call.keywords]
    if call.args or None in names or len(set(names)) != len(names):
        raise ValueError(
            f"a genotype in DARTS's notation has keywords only, each once, as normal=[...]; found "
            f"{len(call.args)} positional arguments and the keywords {names}."
        )
    return Genotype.from_dict({str(part.arg): _plain(part.value) for part in call.keywords})


def _call(text: str) -> ast.Call:
    try:
        body = ast.parse(text.strip()).body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ValueError(
            f"a genotype in DARTS's notation is one line of Python: {error}."
        ) from error
    value = getattr(body[0], "value", None) if len(body) == 1 else None
    if not (
        isinstance(value, ast.Call)
        and isinstance(value.func, ast.Name)
        and value.func.id == "Genotype"
    ):
        raise ValueError(
            "a genotype in DARTS's notation is one call, Genotype(normal=[('skip_connect', 0), "
            f"...], ...); found {len(body)} statements that begin {text.strip()[:40]!r}."
        )
    return value


def _plain(node: ast.expr) -> Any:
    """Lists, tuples, text and integers as JSON would hold them, and ranges written out."""
    match node:
        case ast.Constant(value=str() | int() as value):
            return value
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return [_plain(item) for item in items]
        case ast.Call(func=ast.Name(id="range"), args=bounds, keywords=[]):
            values = [_plain(bound) for bound in bounds]
            if len(values) in (1, 2) and all(type(value) is int for value in values):
                start, stop = [0, *values][-2:]
                if 0 <= stop - start <= 100:
                    return list(range(start, stop))
    raise ValueError(
        f"a genotype in DARTS's notation holds lists, tuples, text, whole numbers and ranges; "
        f"found a {type(node).__name__} in line {node.lineno}, column {node.col_offset + 1}."
    )
