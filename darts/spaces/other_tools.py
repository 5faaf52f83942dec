"""Genotypes as other tools nest them, brought to one form."""

from itertools import groupby
from typing import Any

from darts.spaces.genotype import CellGenotype, Genotype
from darts.spaces.nasbench201 import NASBENCH201

NAMED_TUPLE = ("normal", "normal_concat", "reduce", "reduce_concat")
"""DARTS's `Genotype`, in its order."""


def genotype_of_data(content: Any) -> Genotype:
    """The genotype that plain data says.

    - The form of `Genotype.to_dict`, or an object whose "genotype" is one.
    - Each cell's edges node by node, [[pair, pair], [pair, ...], ...]: two inputs, and as many
      edges a node as are listed. [operation, source, weight] with a fraction last is a pair with
      its strength, which is left out.
    - [operation, target, source], as FairDARTS has it, in either order: edges go to the larger.
    - The four parts of DARTS's named tuple as a list, as JSON writes a named tuple.
    - Nodes of one, two and three pairs: a cell of NAS-Bench-201.

    Raises:
        ValueError: it is anything else, or no genotype.
    """
    if isinstance(content, dict):
        inner = content.get("genotype")
        if isinstance(inner, dict | list):
            return genotype_of_data(inner)
        return Genotype.from_dict(_cells(content))
    if isinstance(content, list) and len(content) == 4 and _states(content[1]):
        return Genotype.from_dict(_cells(dict(zip(NAMED_TUPLE, content, strict=True))))
    if _is_nested(content) and [len(node) for node in content] == [1, 2, 3]:
        return _of_nasbench201(content)
    if isinstance(content, list):
        raise ValueError(
            f"a list of {len(content)} does not say what cells it is of, nor which nodes make "
            "their output. Give Genotype(normal=[...], normal_concat=range(2, 6), reduce=[...], "
            "reduce_concat=range(2, 6)); cells whose output is all four nodes have this concat."
        )
    return Genotype.from_dict(content)


def _cells(content: dict[str, Any]) -> dict[str, Any]:
    """`content` as `Genotype.from_dict` takes it."""
    # GDAS's named tuple has further entries, which are None
    found = {name: value for name, value in content.items() if value is not None}
    for kind in [name for name in found if not name.endswith("_concat")]:
        cell = found[kind]
        if _is_nested(cell):
            nodes = [[_without_weight(edge) for edge in node] for node in cell]
        elif isinstance(cell, list) and cell and all(_is_triple(edge) for edge in cell):
            nodes = _by_target(kind, cell)
        else:
            if isinstance(cell, list):
                found[kind] = [_without_weight(edge) for edge in cell]
            continue
        if f"{kind}_concat" in found:
            found[kind] = {"inputs": 2, "nodes": nodes, "concat": found.pop(f"{kind}_concat")}
    return found


def _by_target(kind: str, edges: list[list[Any]]) -> list[list[list[Any]]]:
    """Edges [operation, a, b] between states, node by node."""
    ends = [(max(a, b), [operation, min(a, b)]) for operation, a, b in edges]
    firsts = {a > b for _, a, b in edges if a != b}
    nodes = {
        target: [edge for _, edge in group]
        for target, group in groupby(sorted(ends, key=lambda end: end[0]), key=lambda end: end[0])
    }
    if len(firsts) != 1 or any(a == b for _, a, b in edges):
        raise ValueError(
            f"cell {kind!r} of the genotype has edges [operation, state, state] of which some go "
            "up and some down, or from a state to itself. Give all as [operation, target, source]."
        )
    if sorted(nodes) != list(range(2, 2 + len(nodes))):
        raise ValueError(
            f"cell {kind!r} of the genotype has edges into the states {sorted(nodes)}; each node "
            f"from 2 on takes one or more."
        )
    return [nodes[target] for target in sorted(nodes)]


def _of_nasbench201(nodes: list[list[list[Any]]]) -> Genotype:
    edges = tuple((edge[0], edge[1]) for node in nodes for edge in node)
    genotype = Genotype((CellGenotype("cell", edges, (3,), (1, 2, 3), first=1),))
    genotype.require(NASBENCH201)
    return genotype


def _is_nested(cell: Any) -> bool:
    """A list of nodes, each a list of edges."""
    return (
        isinstance(cell, list)
        and len(cell) > 0
        and all(isinstance(node, list) and node and all(map(_is_edge, node)) for node in cell)
    )


def _is_edge(edge: Any) -> bool:
    return (
        isinstance(edge, list)
        and len(edge) in (2, 3)
        and isinstance(edge[0], str)
        and type(edge[1]) is int
        and (len(edge) == 2 or isinstance(edge[2], float))
    )


def _is_triple(edge: Any) -> bool:
    """[operation, state, state]."""
    return (
        isinstance(edge, list)
        and len(edge) == 3
        and isinstance(edge[0], str)
        and all(type(state) is int for state in edge[1:])
    )


def _without_weight(edge: Any) -> Any:
    return edge[:2] if _is_edge(edge) else edge


def _states(value: Any) -> bool:
    return isinstance(value, list) and all(type(state) is int for state in value)
