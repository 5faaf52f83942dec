"""Genotypes as a line of text: as DARTS's code writes them, as NAS-Bench-201 does, or as JSON."""

import ast
from collections.abc import Callable, Mapping
from types import MappingProxyType

from darts.spaces.genotype import CellGenotype, Genotype
from darts.spaces.literals import from_literal, parsed, plain, plain_quotes
from darts.spaces.nasbench201 import NASBENCH201, from_string, to_string
from darts.spaces.other_tools import NAMED_TUPLE, genotype_of_data
from darts.spaces.pasted import Passage, passages

LAST = "last"
"""The last genotype of a text that holds several."""


def genotype_to_text(genotype: Genotype) -> str:
    """One line that `genotype_from_text` reads back to an equal genotype.

    Where DARTS's notation can hold it, one that DARTS's `genotypes.py`, and whoever followed it,
    takes as Python: Genotype(normal=[('skip_connect', 0), ...], ...). A cell of NAS-Bench-201 is
    written as the benchmark does, |skip_connect~0|+|...|, and any other genotype as JSON.
    """
    if genotype.fits(NASBENCH201):
        return to_string(genotype)
    try:
        return _darts(genotype)
    except ValueError:
        return genotype.to_json()


def genotype_in(genotype: Genotype, notation: str) -> str:
    """`genotype` in one of `NOTATIONS`.

    Raises:
        ValueError: there is no such notation, or it cannot hold this genotype.
    """
    if notation not in NOTATIONS:
        raise ValueError(f"No notation {notation!r}; there are {', '.join(NOTATIONS)}.")
    return NOTATIONS[notation](genotype)


def genotype_from_text(text: str, which: str = "") -> Genotype:
    """The genotype that a text says, in any notation that is read, with other words around it.

    Read are `NOTATIONS`; what `genotype_of_data` takes, as JSON or as Python prints it; lines of
    JSON; and each of these in a log or a source file. The text is parsed and never evaluated.

    Args:
        text: any text.
        which: of several different genotypes the one meant: its number from 1, "last", or the
            name that the text assigns it to.

    Raises:
        ValueError: there is no genotype, there are several and `which` names none of them, or one
            of them is malformed.
    """
    text = plain_quotes(text)
    found = _found(text)
    if which:
        return _read(_picked(found, which))
    genotypes = [_read(passage) for passage in found]
    different = list(dict.fromkeys(genotypes))
    if len(different) > 1:
        names = [passage.name for passage in found if passage.name]
        named = f" or its name ({', '.join(names)})" if len(set(names)) == len(found) else ""
        raise ValueError(
            f"this text holds {len(found)} genotypes, {len(different)} of them different. Say "
            f"which by its number from 1 to {len(found)}{named} after an @, as in "
            f"FILE@{len(found)}, or FILE@{LAST}."
        )
    return different[0]


def _found(text: str) -> list[Passage]:
    """The passages that say genotypes; a text that is JSON or one literal is a passage whole."""
    stripped = text.strip()
    if stripped[:1] in ("{", "[") and stripped[1:].lstrip()[:1] in ("{", "[", "(", "'", '"', ""):
        lines = [line for line in stripped.splitlines() if line.strip()]
        if len(lines) > 1 and all(line.startswith("{") and line.endswith("}") for line in lines):
            return [Passage(line) for line in lines]  # a stream of records
        return [Passage(stripped)]
    found = passages(text)
    if not found and stripped.startswith("|"):
        return [Passage(stripped)]
    if not found:
        raise ValueError(
            "no genotype in this text: it holds none of Genotype(normal=[...], ...), "
            f"|op~0|+|op~0|op~1|+|...|, and JSON. It begins {stripped[:40]!r}."
        )
    return found


def _picked(found: list[Passage], which: str) -> Passage:
    named = [passage for passage in found if passage.name == which]
    if len(named) == 1:
        return named[0]
    if which == LAST:
        return found[-1]
    if which.isdecimal() and len(which) < 8 and 1 <= int(which) <= len(found):
        return found[int(which) - 1]
    names = ", ".join(dict.fromkeys(passage.name for passage in found if passage.name))
    raise ValueError(
        f"@{which}: this text holds {len(found)} genotypes. Give a number from 1 to {len(found)}, "
        f"{LAST}{f', or one of the names {names}' if names else ''}."
    )


def _read(passage: Passage) -> Genotype:
    text = passage.text.strip()
    if text.startswith("|"):
        return from_string(text)
    if not text.startswith("Genotype"):
        return genotype_of_data(from_literal(text))
    call = _call(text)
    names = [keyword.arg for keyword in call.keywords]
    whole = len(call.args) == len(NAMED_TUPLE) and not names
    if (call.args and not whole) or None in names or len(set(names)) != len(names):
        raise ValueError(
            f"a genotype in DARTS's notation has keywords only, each once, as normal=[...], or the "
            f"four parts {', '.join(NAMED_TUPLE)} alone; found {len(call.args)} positional "
            f"arguments and the keywords {names}."
        )
    if whole:
        return genotype_of_data(
            dict(zip(NAMED_TUPLE, (plain(part) for part in call.args), strict=True))
        )
    return genotype_of_data({str(part.arg): plain(part.value) for part in call.keywords})


def _call(text: str) -> ast.Call:
    try:
        value = parsed(text)
    except SyntaxError as error:
        raise ValueError(
            f"a genotype in DARTS's notation is one call of Python, Genotype(...): {error}. It "
            f"begins {text[:40]!r}."
        ) from error
    if not (
        isinstance(value, ast.Call)
        and isinstance(value.func, ast.Name)
        and value.func.id == "Genotype"
    ):
        raise ValueError(
            "a genotype in DARTS's notation is one call, Genotype(normal=[('skip_connect', 0), "
            f"...], ...); found a {type(value).__name__} that begins {text[:40]!r}."
        )
    return value


def _darts(genotype: Genotype) -> str:
    """DARTS's: two cells of two inputs and two edges a node."""
    _require_two_kinds(genotype, "DARTS's notation")
    for cell in genotype.cells:
        for node in range(cell.nodes):
            if len(cell.inputs(node)) != 2:
                raise ValueError(
                    f"DARTS's notation gives each node two edges, and node {node + 1} of the cell "
                    f"{cell.kind!r} takes {len(cell.inputs(node))}. Write it as nested, or json."
                )
    return _keywords(genotype, lambda cell: [tuple(edge) for edge in cell.edges])


def _nested(genotype: Genotype) -> str:
    """DARTS's, but node by node, as GDAS and others print it: any number of edges a node."""
    _require_two_kinds(genotype, "the nested notation")
    return _keywords(genotype, lambda cell: [list(cell.inputs(at)) for at in range(cell.nodes)])


def _keywords(genotype: Genotype, edges: Callable[[CellGenotype], object]) -> str:
    parts = []
    for cell in genotype.cells:
        parts.append(f"{cell.kind}={edges(cell)!r}")
        parts.append(f"{cell.kind}_concat={list(cell.concat)!r}")
    return f"Genotype({', '.join(parts)})"


def _require_two_kinds(genotype: Genotype, notation: str) -> None:
    kinds = [cell.kind for cell in genotype.cells]
    inputs = [cell.first for cell in genotype.cells]
    if sorted(kinds) != ["normal", "reduce"] or inputs != [2, 2]:
        raise ValueError(
            f"{notation} holds a normal and a reduce cell of two inputs each; this genotype has "
            f"the cells {', '.join(kinds)}, of {', '.join(map(str, inputs))} inputs. Write it as "
            "json, or a cell of NAS-Bench-201 as nasbench201."
        )


NOTATIONS: Mapping[str, Callable[[Genotype], str]] = MappingProxyType(
    {"darts": _darts, "nested": _nested, "nasbench201": to_string, "json": Genotype.to_json}
)
"""The notations of a genotype; each reads back to an equal one. JSON holds every genotype."""
