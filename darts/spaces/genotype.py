"""Genotypes: for every node its inputs, and the operation on each."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from itertools import accumulate
from typing import Any

from darts.spaces.operations import OPERATIONS
from darts.spaces.space import NONE, Space

Edge = tuple[str, int]
"""(operation, source state)"""

MOST_EDGES = 500
"""Of a cell; a file that asks for more was not made by a search."""


@dataclass(frozen=True)
class CellGenotype:
    """One kind of cell. Its node j, state `first + j`, adds the next `counts[j]` of `edges`.

    Args:
        kind: the kind of cell, e.g. "normal" or "reduce".
        edges: (operation, source) pairs, node by node.
        concat: the states whose concatenation is the cell's output.
        counts: edges of each node; None is two each, as in DARTS.
        first: the state that the first node is: the number of the cell's inputs.
    """

    kind: str
    edges: tuple[Edge, ...]
    concat: tuple[int, ...]
    counts: tuple[int, ...] | None = None
    first: int = 2

    def __post_init__(self) -> None:
        if len(self.edges) > MOST_EDGES or self.first > MOST_EDGES:
            raise ValueError(
                f"cell {self.kind!r} of the genotype has {len(self.edges)} edges and {self.first} "
                f"inputs; a cell has at most {MOST_EDGES} of each."
            )
        if self.counts is None and (not self.edges or len(self.edges) % 2):
            raise ValueError(
                f"cell {self.kind!r} of the genotype has {len(self.edges)} edges; every node "
                f"takes 2, so give a positive multiple of 2."
            )
        if self.counts is not None and set(self.counts) == {2}:  # one genotype, one way to say it
            object.__setattr__(self, "counts", None)
        if not all(self._counts) or sum(self._counts) != len(self.edges) or self.first < 1:
            raise ValueError(
                f"cell {self.kind!r} of the genotype has {len(self.edges)} edges, nodes that take "
                f"{self._counts} and {self.first} inputs. Each node takes at least one edge, each "
                "edge goes to a node, and a cell has an input."
            )
        for position, (operation, source) in enumerate(self.edges):
            state = self._state_at(position)
            if operation not in OPERATIONS:
                raise ValueError(
                    f"cell {self.kind!r} of the genotype, edge {position}: unknown operation "
                    f"{operation!r}; known are {', '.join(OPERATIONS)}."
                )
            if not 0 <= source < state:
                raise ValueError(
                    f"cell {self.kind!r} of the genotype, edge {position} into state {state}: "
                    f"source {source} is out of range; it must be from 0 to {state - 1}."
                )
        states = range(self.first, self.first + self.nodes)
        if not self.concat or not set(self.concat) <= set(states):
            raise ValueError(
                f"cell {self.kind!r} of the genotype concatenates states {self.concat}; give at "
                f"least one, each from {states[0]} to {states[-1]}."
            )
        if len(set(self.concat)) != len(self.concat):
            raise ValueError(
                f"cell {self.kind!r} of the genotype concatenates {self.concat}: one state twice."
            )

    @staticmethod
    def of(space: Space, kind: str, edges: Iterable[Edge]) -> "CellGenotype":
        """A cell of `space`, of as many edges a node as it keeps."""
        return CellGenotype(kind, tuple(edges), space.output, space.kept_inputs, space.inputs)

    @property
    def nodes(self) -> int:
        return len(self._counts)

    def inputs(self, node: int) -> tuple[Edge, ...]:
        """The edges that node `node` (from 0) adds."""
        start = sum(self._counts[:node])
        return self.edges[start : start + self._counts[node]]

    @property
    def by_ends(self) -> dict[tuple[int, int], str]:
        """The operation of each edge by its (source, target); in a space no two have the same."""
        return {
            (source, self.first + node): operation
            for node in range(self.nodes)
            for operation, source in self.inputs(node)
        }

    @property
    def _counts(self) -> tuple[int, ...]:
        return self.counts if self.counts is not None else (2,) * (len(self.edges) // 2)

    def _state_at(self, position: int) -> int:
        """The state that edge `position` goes to."""
        ends = accumulate(self._counts)
        return self.first + next(node for node, end in enumerate(ends) if position < end)


@dataclass(frozen=True, repr=False)
class Genotype:
    """The chosen edges of every kind of cell.

    As JSON, the field's customary form: `{"normal": [[operation, source], ...],
    "normal_concat": [...], "reduce": ..., "reduce_concat": ...}`. That says cells of two inputs
    and two edges a node; any other is `{"cell": {"inputs": 1, "nodes": [[[operation, source],
    ...], ...], "concat": [...]}}`.
    """

    cells: tuple[CellGenotype, ...]

    def __post_init__(self) -> None:
        kinds = [cell.kind for cell in self.cells]
        if not kinds or len(set(kinds)) != len(kinds):
            raise ValueError(f"genotype with cells {kinds}: give each kind once, at least one.")

    def __repr__(self) -> str:
        cells = []
        for cell in self.cells:
            tally = Counter(operation for operation, _ in cell.edges).most_common()
            cells.append(f"{cell.kind}: " + ", ".join(f"{n} {name}" for name, n in tally))
        return f"Genotype({'; '.join(cells)})"

    def _repr_html_(self) -> str:
        # by name: drawings are made where reports are, which know genotypes and not the reverse
        drawn: str = import_module("darts.reports.picture").genotype_svg(self)
        return drawn

    def __getitem__(self, kind: str) -> CellGenotype:
        for cell in self.cells:
            if cell.kind == kind:
                return cell
        raise KeyError(f"genotype has cells {[cell.kind for cell in self.cells]}, not {kind!r}.")

    def to_dict(self) -> dict[str, Any]:
        content: dict[str, Any] = {}
        for cell in self.cells:
            if cell.counts is None and cell.first == 2:
                content[cell.kind] = [list(edge) for edge in cell.edges]
                content[f"{cell.kind}_concat"] = list(cell.concat)
            else:
                nodes = [[list(edge) for edge in cell.inputs(node)] for node in range(cell.nodes)]
                content[cell.kind] = {
                    "inputs": cell.first,
                    "nodes": nodes,
                    "concat": list(cell.concat),
                }
        return content

    def to_json(self) -> str:
        return json.dumps(self.to_dict())

    @staticmethod
    def from_dict(content: object, space: Space | None = None) -> "Genotype":
        """The genotype in `content`, checked against `space` where one is given.

        Raises:
            ValueError: it is malformed, or not a genotype of `space`.
        """
        if not isinstance(content, dict):
            raise ValueError(
                f"a genotype is a JSON object with cells and their concat; found "
                f"{type(content).__name__}."
            )
        kinds = [key for key in content if not key.endswith("_concat")]
        paired = [kind for kind in kinds if not isinstance(content[kind], dict)]
        expected = {*kinds, *(f"{kind}_concat" for kind in paired)}
        if not kinds or set(content) != expected:
            raise ValueError(
                f"a genotype has for each kind of cell two entries, as 'normal' and "
                f"'normal_concat'; found {', '.join(map(repr, content)) or 'none'}."
            )
        genotype = Genotype(
            tuple(
                CellGenotype(
                    kind, _edges(kind, content[kind]), _concat(kind, content[f"{kind}_concat"])
                )
                if kind in paired
                else _cell(kind, content[kind])
                for kind in kinds
            )
        )
        if space is not None:
            genotype.require(space)
        return genotype

    @staticmethod
    def from_json(text: str, space: Space | None = None) -> "Genotype":
        """The genotype that `text` holds; see `from_dict`."""
        try:
            content = json.loads(text)
        except json.JSONDecodeError as error:
            raise ValueError(
                f"a genotype file must hold JSON; this one fails at line {error.lineno}, column "
                f"{error.colno}: {error.msg}. It begins {text[:40]!r}."
            ) from error
        except ValueError as error:  # Python reads no number of more than 4,300 digits
            raise ValueError(
                f"a genotype file holds numbers of a few digits; this one fails: {error}."
            ) from error
        except RecursionError as error:
            raise ValueError("a genotype file must not nest as deeply as this one.") from error
        return Genotype.from_dict(content, space)

    def fits(self, space: Space) -> bool:
        """Whether this is a genotype of `space`."""
        try:
            self.require(space)
        except ValueError:
            return False
        return True

    def require(self, space: Space) -> None:
        """Raise ValueError unless this is a genotype of `space`."""
        kinds = tuple(cell.kind for cell in self.cells)
        if sorted(kinds) != sorted(space.cell_kinds):
            raise ValueError(
                f"genotype has cells {kinds}; space {space.name!r} has {space.cell_kinds}."
            )
        for cell in self.cells:
            _require_cell(cell, space)


def _require_cell(cell: CellGenotype, space: Space) -> None:
    where = f"cell {cell.kind!r} of the genotype"
    if len(cell.edges) != sum(space.kept_inputs):
        raise ValueError(
            f"{where} has {len(cell.edges)} edges; space {space.name!r} keeps "
            f"{sum(space.kept_inputs)} ({space.nodes} nodes)."
        )
    if cell.first != space.inputs:
        raise ValueError(
            f"{where} reads {cell.first} cells before it; in space {space.name!r} it reads "
            f"{space.inputs}."
        )
    if cell.concat != space.output:
        raise ValueError(
            f"{where} concatenates {cell.concat}; cells of space {space.name!r} concatenate "
            f"{space.output}."
        )
    for node, (target, kept) in enumerate(zip(space.targets, space.kept_inputs, strict=True)):
        edges = cell.inputs(node)
        if len(edges) != kept:
            raise ValueError(
                f"{where}: state {target} takes {len(edges)} edges; in space {space.name!r} it "
                f"takes {kept}."
            )
        for operation, source in edges:
            if (source, target) not in space.edges:
                raise ValueError(
                    f"{where}: space {space.name!r} has no edge {source} → {target}; state "
                    f"{target} takes {[space.edges[row][0] for row in space.incoming(target)]}."
                )
            candidates = space.candidates_of(cell.kind, space.edges.index((source, target)))
            if operation not in candidates:
                hint = " (“none” is never chosen)" if operation == NONE else ""
                raise ValueError(
                    f"{where}, edge {source} → {target}: {operation!r} is no choice of space "
                    f"{space.name!r}{hint}, which has {', '.join(candidates)}."
                )
        if len({source for _, source in edges}) != len(edges):
            raise ValueError(
                f"{where}: state {target} takes state {edges[0][1]} twice; in space "
                f"{space.name!r} its inputs differ."
            )


def _cell(kind: str, content: dict[str, Any]) -> CellGenotype:
    nodes = content.get("nodes")
    if set(content) != {"inputs", "nodes", "concat"} or not isinstance(nodes, list) or not nodes:
        raise ValueError(
            f"cell {kind!r} of the genotype has, as an object, inputs, nodes and concat, and nodes "
            f"is a list of lists of [operation, source] pairs; found {str(content)[:80]}."
        )
    if type(content["inputs"]) is not int:
        raise ValueError(
            f"cell {kind!r} of the genotype: inputs must be a number; found {content['inputs']!r}."
        )
    edges = [_edges(kind, node) for node in nodes]
    return CellGenotype(
        kind,
        tuple(edge for node in edges for edge in node),
        _concat(kind, content["concat"]),
        tuple(len(node) for node in edges),
        content["inputs"],
    )


def _edges(kind: str, content: object) -> tuple[Edge, ...]:
    if not isinstance(content, list):
        raise ValueError(
            f"cell {kind!r} of the genotype must be a list of [operation, source] pairs; found "
            f"{str(content)[:80]}."
        )
    edges = []
    for position, pair in enumerate(content):
        match pair:
            case [str() as operation, int() as source] if not isinstance(source, bool):
                edges.append((operation, source))
            case _:
                raise ValueError(
                    f"cell {kind!r} of the genotype, edge {position}: expected [operation, "
                    f"source], a name and a state's number; found {pair!r}."
                )
    return tuple(edges)


def _concat(kind: str, content: object) -> tuple[int, ...]:
    if not isinstance(content, list) or not all(type(state) is int for state in content):
        raise ValueError(
            f"'{kind}_concat' of the genotype must be a list of states' numbers; found {content!r}."
        )
    return tuple(content)
