"""DARTS-PT: operations are chosen by what the supernet loses without them, and not by α."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from darts.spaces.genotype import CellGenotype, Edge, Genotype
from darts.spaces.space import Space

Decision = dict[str, Any]
"""As records hold it: "kind", and "row" with its "operation", or "node" with its kept "rows"."""


@dataclass(frozen=True)
class Removal:
    """DARTS-PT (Wang et al. 2021, Algorithm 1): a selection after the search.

    The edges of each kind of cell are decided one by one, in random order. On an edge each
    operation is taken away in turn, and the one without which the supernet is least accurate on
    α's half stays, with weight 1. Then nodes, in random order, lose edges: again and again the one
    without which the supernet is most accurate, until as many are left as a genotype keeps. What
    stays is not weighed anew when something is taken away. Between two decisions ω is tuned; α
    stands still.

    One evaluation for each candidate of each edge, and for each edge that a node could lose: 240
    in DARTS's space. Tuning takes `epochs` times the number of decisions less one: 160 epochs of
    steps of ω in DARTS's space. Nothing guarantees that the cell is better than that of α.

    Args:
        epochs: over ω's half between two decisions (theirs: 10).
        rate: first learning rate of the tuning, in units of the search's (theirs: 1/10). It falls
            along half a cosine to the last one of the search.

    Raises:
        ValueError: `epochs` is below 1, or `rate` not in (0, 1].
    """

    epochs: int = 10
    rate: float = 0.1

    def __post_init__(self) -> None:
        if self.epochs < 1 or not 0 < self.rate <= 1:
            raise ValueError(
                f"Removal(epochs={self.epochs}, rate={self.rate}): ω is tuned for 1 or more epochs "
                "between decisions, at a rate above 0 and at most 1 in units of the search's."
            )


def choosing_nodes(space: Space) -> list[int]:
    """The nodes that have more edges than a genotype keeps."""
    return [
        target
        for target, kept in zip(space.targets, space.kept_inputs, strict=True)
        if len(space.incoming(target)) > kept
    ]


@dataclass(frozen=True)
class Masks:
    """What decisions and trials make of mixing weights w: `fixed` + `factor` · w.

    Args:
        factor, fixed: by kind of cell, [edges operations], of zeros and ones.
    """

    factor: Mapping[str, Tensor]
    fixed: Mapping[str, Tensor]

    @staticmethod
    def of(space: Space, decisions: Sequence[Decision], device: torch.device | str) -> "Masks":
        """A decided edge has weight 1 for its operation and 0 for others; a lost one has none."""
        shape = len(space.edges), len(space.operations)
        factor = {kind: torch.ones(shape, device=device) for kind in space.cell_kinds}
        fixed = {kind: torch.zeros(shape, device=device) for kind in space.cell_kinds}
        for decision in decisions:
            kind = decision["kind"]
            if "row" in decision:
                row, column = decision["row"], space.operations.index(decision["operation"])
                factor[kind][row] = 0.0
                fixed[kind][row, column] = 1.0
            else:
                for row in set(space.incoming(decision["node"])) - set(decision["rows"]):
                    fixed[kind][row] = 0.0
        return Masks(factor, fixed)

    def without(self, kind: str, rows: Sequence[int], column: int | None = None) -> "Masks":
        """With one operation of some edges taken away, or all of them."""
        columns = slice(None) if column is None else column
        parts = [dict(self.factor), dict(self.fixed)]
        for part in parts:
            part[kind] = part[kind].clone()
            part[kind][list(rows), columns] = 0.0
        return Masks(*parts)

    def weights(self, kind: str, mixing: Tensor) -> Tensor:
        return self.fixed[kind].to(mixing.dtype) + self.factor[kind].to(mixing.dtype) * mixing

    def active(self, kind: str) -> Tensor:
        """The operations whose weight is not always 0."""
        return (self.fixed[kind] + self.factor[kind]) > 0


def decided_genotype(space: Space, decisions: Sequence[Decision]) -> Genotype:
    """The genotype of decisions on every edge and node; edges in the order of their sources."""
    return Genotype(tuple(_cell(space, kind, decisions) for kind in space.cell_kinds))


def _cell(space: Space, kind: str, decisions: Sequence[Decision]) -> CellGenotype:
    own = [decision for decision in decisions if decision["kind"] == kind]
    operations = {d["row"]: d["operation"] for d in own if "row" in d}
    kept = {d["node"]: d["rows"] for d in own if "node" in d}
    edges: list[Edge] = [
        (operations[row], space.edges[row][0])
        for target in space.targets
        for row in kept.get(target, space.incoming(target))
    ]
    return CellGenotype.of(space, kind, edges)
