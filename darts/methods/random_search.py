"""Random search: genotypes drawn from a space, without a supernet."""

from dataclasses import dataclass

import torch

from darts.spaces.genotype import CellGenotype, Edge, Genotype
from darts.spaces.space import NONE, SKIP, Space


@dataclass(frozen=True)
class RandomSearch:
    """Random search as the paper does it (§4.1.3): train 20 samples shortly, keep the best two.

    Args:
        samples: genotypes drawn.
        keep: of them, the best by validation accuracy; each is then retrained.
    """

    samples: int = 20
    keep: int = 2

    def __post_init__(self) -> None:
        if not 1 <= self.keep <= self.samples:
            raise ValueError(
                f"RandomSearch(samples={self.samples}, keep={self.keep}): keep at least one and "
                "at most all of the samples."
            )


def random_genotype(space: Space, seed: int) -> Genotype:
    """One genotype of `space`, every one equally probable. Equal seeds give equal genotypes."""
    generator = torch.Generator().manual_seed(seed)
    return Genotype(tuple(_random_cell(space, kind, generator) for kind in space.cell_kinds))


def lightest_genotype(space: Space) -> Genotype:
    """A genotype of few weights: skips where there are any, then pools."""
    light = (NONE, SKIP, "max_pool_3x3", "avg_pool_3x3")

    def cell(kind: str) -> CellGenotype:
        edges = []
        for target, kept in zip(space.targets, space.kept_inputs, strict=True):
            for row in space.incoming(target)[:kept]:
                names = space.candidates_of(kind, row)
                chosen = next((name for name in light if name in names), names[0])
                edges.append((chosen, space.edges[row][0]))
        return CellGenotype.of(space, kind, edges)

    return Genotype(tuple(map(cell, space.cell_kinds)))


def _random_cell(space: Space, kind: str, generator: torch.Generator) -> CellGenotype:
    """Uniform over the cell's choices: on uneven edges, draws are rejected in proportion."""
    edges: list[Edge] = []
    for target, kept in zip(space.targets, space.kept_inputs, strict=True):
        rows = space.incoming(target)
        counts = {row: len(space.candidates_of(kind, row)) for row in rows}
        most = max(counts.values())
        while True:
            order = torch.randperm(len(rows), generator=generator)[:kept]
            chosen = sorted(rows[int(position)] for position in order)
            # each edge set has weight ∏ counts: take an index of `most`, and reject the absent
            picks = [int(torch.randint(most, (1,), generator=generator)) for _ in chosen]
            if all(pick < counts[row] for pick, row in zip(picks, chosen, strict=True)):
                break
        edges += [
            (space.candidates_of(kind, row)[pick], space.edges[row][0])
            for row, pick in zip(chosen, picks, strict=True)
        ]
    return CellGenotype.of(space, kind, edges)
