"""Genotypes as a line of text: as DARTS's code writes them, as NAS-Bench-201 does, or as JSON."""

import ast
from typing import Any

from darts.spaces.genotype import Genotype
from darts.spaces.nasbench201 import NASBENCH201, from_string, to_string


def genotype_to_text(genotype: Genotype) -> str:
    """One line that `genotype_from_text` reads back to an equal genotype.

    Where cells have two inputs and two edges a node it is one that DARTS's `genotypes.py`, and
    whoever followed it, takes as Python: Genotype(normal=[('skip_connect', 0), ...], ...). That
    notation cannot say anything else. A cell of NAS-Bench-201 is written as the benchmark does,
    |skip_connect~0|+|...|, and any other genotype as JSON.
    """
    if not all(cell.counts is None and cell.first == 2 for cell in genotype.cells):
        return to_string(genotype) if genotype.fits(NASBENCH201) else genotype.to_json()
    parts = []
    for cell in genotype.cells:
        parts.append(f"{cell.kind}={[tuple(edge) for edge in cell.edges]!r}")
        parts.append(f"{cell.kind}_concat={list(cell.concat)!r}")
    return f"Genotype({', '.join(parts)})"


def genotype_from_text(text: str) -> Genotype:
    """The genotype that a line says in one of the three notations of `genotype_to_text`.

    In DARTS's it is one call `Genotype(...)`, `name =` before it or not, with keywords in DARTS's
    sense; a concat may be `range(2, 6)`. The text is parsed and never evaluated.

    Raises:
        ValueError: it is anything else, or no genotype.
    """
    if text.strip().startswith("|"):
        return from_string(text)
    if "Genotype" not in text:
        return Genotype.from_json(text)
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
