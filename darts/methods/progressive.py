"""P-DARTS: the search network deepens in stages, while each edge loses its weakest operations."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import exp

from torch import Tensor

from darts.spaces.discretisation import strongest_cell
from darts.spaces.genotype import CellGenotype, Genotype
from darts.spaces.space import NONE, SKIP, Space


@dataclass(frozen=True)
class Progressive:
    """P-DARTS (Chen et al. 2019, §3.2, §3.3 and §4.2).

    A stage searches with fresh ω and α for an equal part of the epochs. At its end each edge keeps
    its strongest operations for the next. Identities are dropped out at a rate that decays
    within the stage. In the end at most `skips` skip-connects remain in a normal cell.

    Args:
        cells: of the search network in each stage.
        operations: that an edge has in each stage; the first is the space's own number.
        skip_dropout: initial rate in each stage (theirs on CIFAR-10: 0, 0.4, 0.7).
        frozen_epochs: of each stage, in which α is frozen (theirs: 10 of 25).
        decay: of the rate, per epoch once α moves (their code: exp(−0.2) an epoch).
        skips: skip-connects that a normal cell keeps (theirs: 2).
    """

    cells: tuple[int, ...] = (5, 11, 17)
    operations: tuple[int, ...] = (8, 5, 3)
    skip_dropout: tuple[float, ...] = (0.0, 0.4, 0.7)
    frozen_epochs: int = 10
    decay: float = 0.2
    skips: int = 2

    def __post_init__(self) -> None:
        stages = len(self.cells)
        if not stages or len(self.operations) != stages or len(self.skip_dropout) != stages:
            raise ValueError(
                f"Progressive: {stages} depths, {len(self.operations)} numbers of operations and "
                f"{len(self.skip_dropout)} dropout rates. Give one of each for every stage."
            )
        if (
            list(self.operations) != sorted(self.operations, reverse=True)
            or min(self.operations) < 1
        ):
            raise ValueError(
                f"Progressive(operations={self.operations}): operations are dropped, never added; "
                "give numbers that do not grow, at least 1."
            )
        if list(self.cells) != sorted(self.cells) or self.cells[0] < 1:
            raise ValueError(f"Progressive(cells={self.cells}): depths do not shrink.")
        if not all(0 <= rate < 1 for rate in self.skip_dropout):
            raise ValueError(
                f"Progressive(skip_dropout={self.skip_dropout}): rates are probabilities in [0, 1)."
            )
        if self.frozen_epochs < 0 or self.decay < 0 or self.skips < 0:
            raise ValueError(
                f"Progressive(frozen_epochs={self.frozen_epochs}, decay={self.decay}, "
                f"skips={self.skips}): none can be negative."
            )

    @property
    def stages(self) -> int:
        return len(self.cells)

    def require(self, space: Space) -> None:
        """Raise ValueError unless the stages fit `space`."""
        smallest = min(len(names) for kind in space.cell_kinds for names in space.choices(kind))
        if self.operations[0] != smallest or space.edge_operations is not None:
            raise ValueError(
                f"Progressive(operations={self.operations}) in space {space.name!r}, whose edges "
                f"have {smallest} operations: the first stage has all of them. Set operations to "
                f"{(smallest, *self.operations[1:])}."
            )
        if SKIP not in space.operations:
            raise ValueError(
                f"Progressive in space {space.name!r}, which has no {SKIP}, whose number it "
                "limits. Use S1."
            )

    def dropout(self, stage: int, epoch: int, epochs: int) -> float:
        """The rate on identities in `epoch` of the `epochs` of a stage (their code)."""
        initial = self.skip_dropout[stage]
        if epoch < self.frozen_epochs:
            return initial * (epochs - epoch - 1) / epochs
        return initial * exp(-self.decay * (epoch - self.frozen_epochs))

    def narrowed(self, space: Space, mixing: Mapping[str, Tensor], stage: int) -> Space:
        """The space of `stage`: each edge keeps its strongest operations of the stage before.

        `none` competes, as in their code.
        """
        count = self.operations[stage]
        table = []
        for kind in space.cell_kinds:
            rows = []
            for names, weights in zip(space.choices(kind), mixing[kind].tolist(), strict=True):
                weight = dict(zip(space.operations, weights, strict=True))
                by_weight = sorted(names, key=lambda name: -weight[name])
                kept = by_weight[:count]
                if kept == [NONE]:  # an edge has an operation to choose
                    kept = by_weight[1:2]
                rows.append(tuple(name for name in space.operations if name in kept))
            table.append(tuple(rows))
        return replace(space, edge_operations=tuple(table))

    def limited(self, space: Space, mixing: Mapping[str, Tensor], genotype: Genotype) -> Genotype:
        """The genotype with at most `skips` skip-connects in each cell but the reductions.

        While there are more, the weakest loses its weight, and the cell is chosen anew (§3.3).
        """
        from_kind = {
            cell.kind: cell
            if cell.kind == "reduce"
            else _limited(space, cell.kind, mixing[cell.kind], self.skips)
            for cell in genotype.cells
        }
        return Genotype(tuple(from_kind[cell.kind] for cell in genotype.cells))


def _limited(space: Space, kind: str, mixing: Tensor, skips: int) -> CellGenotype:
    weights = mixing.detach().cpu().clone()
    column = space.operations.index(SKIP)
    while True:
        cell = strongest_cell(space, kind, weights)
        kept = [
            space.edges.index(ends) for ends, operation in cell.by_ends.items() if operation == SKIP
        ]
        if len(kept) <= skips:
            return cell
        weakest = min(kept, key=lambda row: float(weights[row, column]))
        if space.candidates_of(kind, weakest) == (SKIP,):
            raise ValueError(
                f"the {kind} cell keeps {len(kept)} skip-connects, and edge "
                f"{space.edges[weakest]} has no other operation left. Keep more operations in the "
                "last stage, or allow more skips."
            )
        weights[weakest, column] = 0.0
