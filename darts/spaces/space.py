"""What can be searched: a cell's graph, and the operations an edge can be."""

from dataclasses import dataclass
from math import comb, prod

NONE = "none"
INPUTS = 2
"""A cell reads the outputs of the two cells before it: its states 0 and 1."""


@dataclass(frozen=True)
class Space:
    """Cells of `nodes` nodes, each the sum of its edges; every edge is one of `operations`.

    A cell's states are numbered: 0 and 1 are its inputs, 2, 3, ... its nodes. Its output
    concatenates the nodes. Every kind of cell has the same edges and its own choice on each.

    Args:
        name: how configurations and errors call the space.
        operations: the candidates on every edge, in the order of α's columns.
        nodes: intermediate nodes of a cell.
        edges: (source, target) states of each edge, in the order of α's rows.
        keep_edges: inputs that a node keeps in the end; None when all edges are fixed.
        cell_kinds: the kinds of cell, each with its own α.

    Raises:
        ValueError: an edge does not run forward, a node has too few inputs, or no operation
            but none is left.
    """

    name: str
    operations: tuple[str, ...]
    nodes: int
    edges: tuple[tuple[int, int], ...]
    keep_edges: int | None
    cell_kinds: tuple[str, ...] = ("normal", "reduce")

    def __post_init__(self) -> None:
        if len(set(self.operations)) != len(self.operations) or not self.candidates:
            raise ValueError(
                f"space {self.name!r}: operations are {self.operations}; name each once, and at "
                f"least one besides {NONE!r}."
            )
        if len(set(self.edges)) != len(self.edges):
            raise ValueError(f"space {self.name!r}: an edge is listed twice in {self.edges}.")
        for source, target in self.edges:
            if not (INPUTS <= target < INPUTS + self.nodes and 0 <= source < target):
                raise ValueError(
                    f"space {self.name!r}: edge {source} → {target} does not run forward into one "
                    f"of the nodes {INPUTS} to {INPUTS + self.nodes - 1}."
                )
        for target in self.targets:
            inputs = len(self.incoming(target))
            if inputs < (self.keep_edges or 1):
                raise ValueError(
                    f"space {self.name!r}: node {target} has {inputs} incoming edges; it needs "
                    f"{self.keep_edges or 1}."
                )

    @property
    def candidates(self) -> tuple[str, ...]:
        """The operations that a genotype can hold: all but none."""
        return tuple(name for name in self.operations if name != NONE)

    @property
    def targets(self) -> range:
        """The states that are nodes."""
        return range(INPUTS, INPUTS + self.nodes)

    def incoming(self, target: int) -> tuple[int, ...]:
        """Rows of α: the edges that end in `target`."""
        return tuple(row for row, edge in enumerate(self.edges) if edge[1] == target)

    @property
    def kept_inputs(self) -> tuple[int, ...]:
        """Inputs that each node has in a genotype."""
        return tuple(
            self.keep_edges if self.keep_edges is not None else len(self.incoming(target))
            for target in self.targets
        )

    @property
    def size(self) -> int:
        """The number of genotypes, exactly: ∏ over kinds and nodes of C(inputs, kept)·ops^kept."""
        choices: int = prod(
            comb(len(self.incoming(target)), kept) * len(self.candidates) ** kept
            for target, kept in zip(self.targets, self.kept_inputs, strict=True)
        )
        return int(choices ** len(self.cell_kinds))
