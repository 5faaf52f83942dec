"""The cost of each operation in the network to be retrained, and its expectation under α."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

from darts.networks.blueprint import Blueprint
from darts.networks.cells import DerivedCell, edge_stride
from darts.networks.counting import multiply_adds_of
from darts.networks.width import multiply_adds
from darts.spaces.feature_map import FeatureMap
from darts.spaces.genotype import Genotype
from darts.spaces.incoming import incoming_rows
from darts.spaces.operations import build, derived_recipe
from darts.spaces.space import NONE, Space

MILLION = 1e6


@dataclass(frozen=True)
class Place:
    """The place of an operation: one edge of one cell.

    Args:
        operation: its name.
        channels: number of channels of its input and output.
        stride: 1 or 2.
        height, width: size of its input in pixels.
    """

    operation: str
    channels: int
    stride: int
    height: int
    width: int

    def multiply_adds(self) -> int:
        """The exact number for one image; 0 for `none`."""
        return 0 if self.operation == NONE else _multiply_adds(self)


@dataclass(frozen=True)
class CostTable:
    """The cost of every choice of a space, in a network of one size.

    Attributes:
        space: the space of the choices.
        unit: "M multiply-adds", or "ms".
        fixed: cost of all that no choice changes: stem, preprocessing, classifier.
        operations: by kind of cell, costs [edges, operations] summed over the cells of the kind; 0
            where an edge does not have the operation.
    """

    space: Space
    unit: str
    fixed: float
    operations: Mapping[str, Float[Tensor, "edges operations"]]

    def of(self, genotype: Genotype) -> float:
        """The cost of a genotype's network: exact for multiply-adds."""
        total = self.fixed
        for cell in genotype.cells:
            costs = self.operations[cell.kind]
            for ends, name in cell.by_ends.items():
                row = self.space.edges.index(ends)
                total += float(costs[row, self.space.operations.index(name)])
        return total

    @property
    def least(self) -> float:
        """The cost of the cheapest network of the space: on each node its cheapest edges."""
        total = self.fixed
        for kind, costs in self.operations.items():
            allowed = _candidates(self.space, kind, costs.device)
            cheapest = costs.masked_fill(~allowed, float("inf")).amin(1)
            for target, kept in zip(self.space.targets, self.space.kept_inputs, strict=True):
                into = cheapest[list(self.space.incoming(target))]
                total += float(into.sort().values[:kept].sum())
        return total

    def expected(
        self,
        space: Space,
        weights: Mapping[str, Tensor],
        drawn: Mapping[str, Tensor] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """The expected cost under mixing weights, and that of the genotype they stand for.

        Each node keeps the edges that the genotype keeps, and each of these draws a candidate by
        its weight among the candidates. The expected cost is a differentiable function of the
        weights where no two edges are equally strong, and where each kept edge has one candidate
        it is the cost of that genotype's network. No number is read from a device.

        Args:
            space: `self.space`, or one with fewer operations on its edges.
            weights: [edges, operations] by kind of cell.
            drawn: the weights of a step, by which costs are added up instead; `none` costs nothing.
        """
        expected = found = None
        for kind in space.cell_kinds:
            given = weights[kind]
            costs = _on(self.operations[kind], given)
            allowed = _candidates(space, kind, given.device)
            candidates = torch.where(allowed, given, torch.zeros_like(given))
            kept = _kept(space, candidates.detach())
            total = candidates.sum(1).clamp(min=torch.finfo(given.dtype).tiny)
            mean = (candidates * costs).sum(1) / total
            if drawn is not None:
                mean = (drawn[kind] * costs).sum(1)
            strongest = candidates.detach().masked_fill(~allowed, -1.0).argmax(1)
            one = costs.gather(1, strongest[:, None]).squeeze(1)
            expected = (kept * mean).sum() + (0.0 if expected is None else expected)
            found = (kept * one).sum() + (0.0 if found is None else found)
        assert expected is not None
        assert found is not None
        return expected + self.fixed, found + self.fixed


def multiply_add_table(space: Space, blueprint: Blueprint, image: tuple[int, int]) -> CostTable:
    """The multiply-adds of every choice, in millions, in the network of a blueprint.

    Each distinct place is counted once, on shapes alone.

    Args:
        space: the space of the choices.
        blueprint: the sizes of the network; its genotype is any of the space.
        image: (height, width) of an image.
    """
    operations = operation_costs(space, blueprint, image, Place.multiply_adds)
    table = CostTable(space, "M multiply-adds", 0.0, operations)
    chosen = round(table.of(blueprint.genotype))
    fixed = (multiply_adds(blueprint, image) - chosen) / MILLION
    millions = {kind: costs / MILLION for kind, costs in operations.items()}
    return CostTable(space, table.unit, fixed, millions)


def operation_costs(
    space: Space,
    blueprint: Blueprint,
    image: tuple[int, int],
    cost: Callable[[Place], float],
) -> dict[str, Tensor]:
    """[edges, operations] by kind of cell: `cost` summed over the places of each choice."""
    costs = {
        kind: torch.zeros(len(space.edges), len(space.operations), dtype=torch.float64)
        for kind in space.cell_kinds
    }
    for (kind, row, name), places in places_of(space, blueprint, image).items():
        costs[kind][row, space.operations.index(name)] = sum(map(cost, places))
    return costs


def places_of(
    space: Space, blueprint: Blueprint, image: tuple[int, int]
) -> dict[tuple[str, int, str], list[Place]]:
    """The places of every choice (kind of cell, row of α, operation) in a blueprint's network."""
    found: dict[tuple[str, int, str], list[Place]] = {}
    for kind, reduction, channels, sides, inner in _cells(space, blueprint, image):
        for row, (source, _) in enumerate(space.edges):
            stride = edge_stride(source, space.inputs, reduction)
            height, width = sides if source < space.inputs else inner
            for name in space.choices(kind)[row]:
                place = Place(name, channels, stride, height, width)
                found.setdefault((kind, row, name), []).append(place)
    return found


def _cells(
    space: Space, blueprint: Blueprint, image: tuple[int, int]
) -> list[tuple[str, bool, int, tuple[int, int], tuple[int, int]]]:
    """Of every cell: kind, whether it reduces, channels, sides of its inputs and of its nodes.

    Inputs are meant as operations see them, after preprocessing. Seen in a network of shapes.
    """
    with torch.device("meta"):
        network = blueprint.build().eval()
        images = torch.zeros(1, blueprint.in_channels, *image)
    seen: list[tuple[tuple[int, ...], tuple[int, ...]]] = []
    for cell in network.cells:
        assert isinstance(cell, DerivedCell)
        first = cell.preprocess[-1]
        shape: list[tuple[int, ...]] = []
        first.register_forward_hook(lambda m, i, output, s=shape: s.append(tuple(output.shape)))
        cell.register_forward_hook(
            lambda m, i, output, s=shape: seen.append((s[-1], tuple(output.raw.shape)))
        )
    with torch.no_grad():
        network(images)
    places = space.macro_architecture.places(blueprint.cells)
    return [
        (place.kind, place.reduction, into[1], (into[2], into[3]), (out[2], out[3]))
        for place, (into, out) in zip(places, seen, strict=True)
    ]


@lru_cache(maxsize=4096)
def _multiply_adds(place: Place) -> int:
    with torch.device("meta"), torch.no_grad():
        recipe = derived_recipe()
        operation = build(place.operation, place.channels, place.stride, recipe)
        operation.eval()
        image = torch.zeros(1, place.channels, place.height, place.width)
        evaluate: Callable[[FeatureMap], Tensor] = operation.__call__
        return multiply_adds_of(lambda: evaluate(FeatureMap(image, recipe.activation)))


def _kept(space: Space, candidates: Tensor) -> Tensor:
    """1 for the edges that a genotype keeps, else 0: the strongest into each node."""
    strength = candidates.amax(1)
    if space.keep_edges is None:
        return torch.ones_like(strength)
    kept = torch.zeros_like(strength)
    for rows in incoming_rows(space, candidates.device):
        best = strength.index_select(0, rows).topk(space.keep_edges).indices
        kept = kept.index_fill(0, rows.index_select(0, best), 1.0)
    return kept


@lru_cache(maxsize=64)
def _candidates(space: Space, kind: str, device: torch.device) -> Tensor:
    """Which operations a genotype can hold on each edge."""
    has = [
        [name in space.candidates_of(kind, row) for name in space.operations]
        for row in range(len(space.edges))
    ]
    return torch.tensor(has, device=device)


def _on(costs: Tensor, like: Tensor) -> Tensor:
    return costs.to(like.device, like.dtype)
