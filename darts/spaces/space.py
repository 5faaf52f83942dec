"""A search space: the graph of a cell, and the operations that an edge can be."""

import sys
from dataclasses import dataclass, field
from functools import reduce

from darts.spaces.macro_architecture import MacroArchitecture, TwoKinds

NONE, SKIP = "none", "skip_connect"
"""Operations that methods and reports know by their names."""


@dataclass(frozen=True)
class Space:
    """Cells of `nodes` nodes, each the sum of its edges; every edge is one of its operations.

    A cell's states are numbered: first its inputs, then its nodes. In DARTS 0 and 1 are the
    outputs of the two cells before it, and the output concatenates all nodes. Every kind of cell
    has the same edges and its own choice on each.

    Args:
        name: name of the space in configs and errors.
        operations: the candidates, in the order of α's columns.
        nodes: intermediate nodes of a cell.
        edges: (source, target) states of each edge, in the order of α's rows.
        keep_edges: inputs that a node keeps in the end; None when all edges are fixed.
        macro_architecture: the way cells make a network, and with it the kinds of cell.
        edge_operations: where edges differ, the operations of each: `[kind][edge]`, some of
            `operations` in that order. None: every edge has all of them.
        keeps_none: whether `none` can be chosen in the end: in NAS-Bench-201 yes, in DARTS no.

    Raises:
        ValueError: an edge does not run forward, a node has too few inputs, or no operation
            that can be chosen is left on an edge.
    """

    name: str
    operations: tuple[str, ...]
    nodes: int
    edges: tuple[tuple[int, int], ...]
    keep_edges: int | None
    macro_architecture: MacroArchitecture = field(default=TwoKinds())
    edge_operations: tuple[tuple[tuple[str, ...], ...], ...] | None = None
    keeps_none: bool = False

    def __post_init__(self) -> None:
        if len(set(self.operations)) != len(self.operations) or not self.candidates:
            raise ValueError(
                f"space {self.name!r}: operations are {self.operations}; name each once, and at "
                f"least one besides {NONE!r}."
            )
        if self.nodes < 1:
            raise ValueError(f"space {self.name!r} has {self.nodes} nodes; a cell needs one.")
        if len(set(self.edges)) != len(self.edges):
            raise ValueError(f"space {self.name!r}: an edge is listed twice in {self.edges}.")
        first, last = self.targets[0], self.targets[-1]
        for source, target in self.edges:
            if not (first <= target <= last and 0 <= source < target):
                raise ValueError(
                    f"space {self.name!r}: edge {source} → {target} does not run forward into one "
                    f"of the nodes {first} to {last}."
                )
        for target in self.targets:
            inputs = len(self.incoming(target))
            if inputs < (self.keep_edges or 1):
                raise ValueError(
                    f"space {self.name!r}: node {target} has {inputs} incoming edges; it needs "
                    f"{self.keep_edges or 1}."
                )
        if self.edge_operations is not None:
            self._require_edge_operations(self.edge_operations)

    @property
    def cell_kinds(self) -> tuple[str, ...]:
        """The kinds of cell, each with its own α."""
        return self.macro_architecture.kinds

    @property
    def inputs(self) -> int:
        """Inputs of a cell; also the state that its first node is."""
        return self.macro_architecture.inputs

    @property
    def candidates(self) -> tuple[str, ...]:
        """The operations that a genotype can hold: without `none`, unless it is kept."""
        return tuple(name for name in self.operations if self.keeps_none or name != NONE)

    def choices(self, kind: str) -> tuple[tuple[str, ...], ...]:
        """The operations mixed on each edge of a kind of cell, by row of α."""
        if self.edge_operations is None:
            return (self.operations,) * len(self.edges)
        return self.edge_operations[self.cell_kinds.index(kind)]

    def candidates_of(self, kind: str, row: int) -> tuple[str, ...]:
        """The operations that a genotype can hold on one edge."""
        return tuple(name for name in self.choices(kind)[row] if name in self.candidates)

    @property
    def targets(self) -> range:
        """The states that are nodes."""
        return range(self.inputs, self.inputs + self.nodes)

    @property
    def output(self) -> tuple[int, ...]:
        """The states whose concatenation is a cell's output."""
        return self.macro_architecture.output(self.nodes)

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
        """The number of genotypes, exactly.

        A product over kinds and nodes. A node contributes the sum, over the sets of edges that it
        can keep, of the product of their numbers of operations: C(inputs, kept) · ops^kept where
        all edges have the same number.
        """
        size = 1
        for kind in self.cell_kinds:
            for target, kept in zip(self.targets, self.kept_inputs, strict=True):
                counts = [len(self.candidates_of(kind, row)) for row in self.incoming(target)]
                size *= _elementary_symmetric(counts, kept)
        return size

    def __len__(self) -> int:
        """`size`, where Python's `len` can hold it.

        Raises:
            OverflowError: it cannot; `size` can.
        """
        if self.size > sys.maxsize:
            raise OverflowError(
                f"space {self.name!r} has {self.size:.2e} genotypes, and len() ends at "
                f"{sys.maxsize:.2e}. Read its `size`, which is exact."
            )
        return self.size

    def __bool__(self) -> bool:
        return True

    def _require_edge_operations(self, table: tuple[tuple[tuple[str, ...], ...], ...]) -> None:
        if len(table) != len(self.cell_kinds) or any(len(r) != len(self.edges) for r in table):
            raise ValueError(
                f"space {self.name!r}: edge_operations are for {[len(rows) for rows in table]} "
                f"edges; give one row for each of {len(self.edges)} edges, for each kind of cell "
                f"{self.cell_kinds}."
            )
        for kind, rows in zip(self.cell_kinds, table, strict=True):
            for row, names in enumerate(rows):
                ordered = tuple(name for name in self.operations if name in names)
                if ordered != names or not self.candidates_of(kind, row):
                    raise ValueError(
                        f"space {self.name!r}, {kind} cell, edge {self.edges[row]}: operations "
                        f"{names} must be some of {self.operations}, in that order, and at least "
                        f"one that can be chosen."
                    )


def _elementary_symmetric(counts: list[int], degree: int) -> int:
    """The sum of the products of every `degree` of the counts."""

    def times(coefficients: list[int], count: int) -> list[int]:
        padded = [0, *coefficients]
        return [a + count * b for a, b in zip([*coefficients, 0], padded, strict=True)]

    start = [1]
    return reduce(times, counts, start)[degree]
