"""The genotype that mixing weights stand for, by the rule of DARTS."""

from jaxtyping import Float
from torch import Tensor

from darts.spaces.genotype import CellGenotype, Edge
from darts.spaces.space import Space


def strongest_cell(
    space: Space, kind: str, mixing: Float[Tensor, "edges operations"]
) -> CellGenotype:
    """The strongest candidate on each edge, and on each node its strongest edges (§2.4 of DARTS).

    An edge is as strong as its strongest candidate. Where the space searches edges, a node keeps
    the `keep_edges` strongest, strongest first; fixed edges stay in their order.
    """
    weights = mixing.tolist()
    edges: list[Edge] = []
    for target in space.targets:
        best: list[tuple[float, Edge]] = []
        for row in space.incoming(target):
            strength = dict(zip(space.operations, weights[row], strict=True))
            name = max(space.candidates_of(kind, row), key=lambda name: strength[name])
            best.append((strength[name], (name, space.edges[row][0])))
        if space.keep_edges is not None:
            best = sorted(best, key=lambda pair: -pair[0])[: space.keep_edges]
        edges += [edge for _, edge in best]
    return CellGenotype.of(space, kind, edges)
