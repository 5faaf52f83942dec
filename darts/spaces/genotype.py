"""What a search finds: for every node its inputs, and the operation on each."""

import json
from dataclasses import dataclass
from typing import Any

from darts.spaces.operations import OPERATIONS
from darts.spaces.space import INPUTS, NONE, Space

Edge = tuple[str, int]
"""(operation, source state)"""

EDGES_PER_NODE = 2


@dataclass(frozen=True)
class CellGenotype:
    """One kind of cell. Node j, state j + 2, adds `edges[2j]` and `edges[2j + 1]`.

    Args:
        kind: the kind of cell, "normal" or "reduce".
        edges: (operation, source) pairs, two a node.
        concat: the states whose concatenation is the cell's output.
    """

    kind: str
    edges: tuple[Edge, ...]
    concat: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.edges or len(self.edges) % EDGES_PER_NODE:
            raise ValueError(
                f"cell {self.kind!r} of the genotype has {len(self.edges)} edges; every node "
                f"takes {EDGES_PER_NODE}, so give a positive multiple of {EDGES_PER_NODE}."
            )
        for position, (operation, source) in enumerate(self.edges):
            state = INPUTS + position // EDGES_PER_NODE
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
        states = range(INPUTS, INPUTS + self.nodes)
        if not self.concat or not set(self.concat) <= set(states):
            raise ValueError(
                f"cell {self.kind!r} of the genotype concatenates states {self.concat}; give at "
                f"least one, each from {states[0]} to {states[-1]}."
            )
        if len(set(self.concat)) != len(self.concat):
            raise ValueError(
                f"cell {self.kind!r} of the genotype concatenates {self.concat}: one state twice."
            )

    @property
    def nodes(self) -> int:
        return len(self.edges) // EDGES_PER_NODE

    def inputs(self, node: int) -> tuple[Edge, ...]:
        """The edges that node `node` (from 0) adds."""
        return self.edges[EDGES_PER_NODE * node : EDGES_PER_NODE * (node + 1)]


@dataclass(frozen=True)
class Genotype:
    """The chosen edges of every kind of cell.

    As JSON, the field's customary form: `{"normal": [[operation, source], ...],
    "normal_concat": [...], "reduce": ..., "reduce_concat": ...}`.
    """

    cells: tuple[CellGenotype, ...]

    def __post_init__(self) -> None:
        kinds = [cell.kind for cell in self.cells]
        if not kinds or len(set(kinds)) != len(kinds):
            raise ValueError(f"genotype with cells {kinds}: give each kind once, at least one.")

    def __getitem__(self, kind: str) -> CellGenotype:
        for cell in self.cells:
            if cell.kind == kind:
                return cell
        raise KeyError(f"genotype has cells {[cell.kind for cell in self.cells]}, not {kind!r}.")

    def to_dict(self) -> dict[str, list[Any]]:
        content: dict[str, list[Any]] = {}
        for cell in self.cells:
            content[cell.kind] = [list(edge) for edge in cell.edges]
            content[f"{cell.kind}_concat"] = list(cell.concat)
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
        expected = {*kinds, *(f"{kind}_concat" for kind in kinds)}
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
        return Genotype.from_dict(content, space)

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
    if cell.concat != tuple(space.targets):
        raise ValueError(
            f"{where} concatenates {cell.concat}; cells of space {space.name!r} concatenate all "
            f"their nodes, {tuple(space.targets)}."
        )
    for node, target in enumerate(space.targets):
        edges = cell.inputs(node)
        for operation, source in edges:
            if operation not in space.candidates:
                hint = " (none is never chosen)" if operation == NONE else ""
                raise ValueError(
                    f"{where}: {operation!r} is no choice of space {space.name!r}{hint}, which "
                    f"has {', '.join(space.candidates)}."
                )
            if (source, target) not in space.edges:
                raise ValueError(
                    f"{where}: space {space.name!r} has no edge {source} → {target}; state "
                    f"{target} takes {[space.edges[row][0] for row in space.incoming(target)]}."
                )
        if len({source for _, source in edges}) != len(edges):
            raise ValueError(
                f"{where}: state {target} takes state {edges[0][1]} twice; in space "
                f"{space.name!r} its inputs differ."
            )


def _edges(kind: str, content: object) -> tuple[Edge, ...]:
    if not isinstance(content, list):
        raise ValueError(
            f"cell {kind!r} of the genotype must be a list of [operation, source] pairs; found "
            f"{type(content).__name__}."
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
