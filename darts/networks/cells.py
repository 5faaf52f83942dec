"""Cells: the searched one, whose edges mix all operations, and the derived one."""

from typing import cast

import torch
from torch import Tensor, nn

from darts.spaces.genotype import CellGenotype
from darts.spaces.operations import (
    ConvNorm,
    FactorizedReduce,
    FeatureMap,
    Identity,
    Operation,
    Recipe,
    build,
)
from darts.spaces.space import INPUTS, NONE, Space


def preprocessing(channels_in: int, channels: int, halve: bool, recipe: Recipe) -> Operation:
    """What brings a cell's input to the cell's channels and, where `halve`, to its resolution."""
    if halve:
        return FactorizedReduce(channels_in, channels, recipe)
    return ConvNorm(channels_in, channels, 1, recipe)


def edge_stride(source: int, reduction: bool) -> int:
    """Edges from the inputs of a reduction cell halve the resolution."""
    return 2 if reduction and source < INPUTS else 1


class SearchCell(nn.Module):
    """Every node is Σ over its edges and operations of weight · operation(source).

    Built for speed where the arithmetic allows it. none is left out: it adds zero, and acts only
    through the softmax that made the weights. Operations without weights of their own (pools with
    their norm, the identity) give the same on every edge from one state, and are computed once a
    state; so is the activation that the others begin with. An edge is added to its node as soon
    as it is there, so nothing is stacked.

    Args:
        space: the edges and operations.
        preprocess: what the two inputs go through first.
        channels: channels of every state.
        reduction: halve the resolution.
        recipe: norms and activation.
    """

    def __init__(
        self,
        space: Space,
        preprocess: tuple[Operation, Operation],
        channels: int,
        reduction: bool,
        recipe: Recipe,
    ) -> None:
        super().__init__()
        self.space = space
        self.recipe = recipe
        self.preprocess = nn.ModuleList(preprocess)
        shared = [nn.ModuleDict() for _ in range(INPUTS + space.nodes - 1)]
        edges = [nn.ModuleDict() for _ in space.edges]
        for row, (source, _) in enumerate(space.edges):
            for name in space.candidates:
                operation = build(name, channels, edge_stride(source, reduction), recipe)
                has_weights = next(operation.parameters(), None) is not None
                home = edges[row] if has_weights else shared[source]
                home[name] = operation
        self.shared = nn.ModuleList(shared)
        self.edges = nn.ModuleList(edges)

    def forward(
        self, before_last: FeatureMap, last: FeatureMap, weights: list[tuple[Tensor, ...]]
    ) -> FeatureMap:
        """The cell's output; `weights[edge][operation]` are 0-d."""
        states = [
            self._state(process(x))
            for process, x in zip(self.preprocess, (before_last, last), strict=True)
        ]
        common: list[dict[str, Tensor]] = []
        for target in self.space.targets:
            while len(common) < len(states):
                shared = cast(nn.ModuleDict, self.shared[len(common)])
                state = states[len(common)]
                common.append({name: operation(state) for name, operation in shared.items()})
            total: Tensor | None = None
            for row in self.space.incoming(target):
                source = self.space.edges[row][0]
                own = cast(nn.ModuleDict, self.edges[row])
                for name, weight in zip(self.space.operations, weights[row], strict=True):
                    if name == NONE:
                        continue
                    output = own[name](states[source]) if name in own else common[source][name]
                    total = weight * output if total is None else total + weight * output
            assert total is not None  # Space gives every node an edge
            states.append(self._state(total))
        return self._state(torch.cat([state.raw for state in states[INPUTS:]], dim=1))

    def _state(self, x: Tensor) -> FeatureMap:
        return FeatureMap(x, self.recipe.activation)


class DerivedCell(nn.Module):
    """A cell of a genotype: every node adds its two edges.

    Args:
        genotype: the cell's edges.
        preprocess: what the two inputs go through first.
        channels: channels of every state.
        reduction: halve the resolution.
        recipe: norms and activation.
    """

    def __init__(
        self,
        genotype: CellGenotype,
        preprocess: tuple[Operation, Operation],
        channels: int,
        reduction: bool,
        recipe: Recipe,
    ) -> None:
        super().__init__()
        self.genotype = genotype
        self.recipe = recipe
        self.preprocess = nn.ModuleList(preprocess)
        self.operations = nn.ModuleList(
            build(name, channels, edge_stride(source, reduction), recipe)
            for name, source in genotype.edges
        )

    def forward(self, before_last: FeatureMap, last: FeatureMap, drop_path: float) -> FeatureMap:
        states = [
            self._state(process(x))
            for process, x in zip(self.preprocess, (before_last, last), strict=True)
        ]
        operations = iter(self.operations)
        for node in range(self.genotype.nodes):
            total: Tensor | None = None
            for _, source in self.genotype.inputs(node):
                operation = next(operations)
                output = operation(states[source])
                if self.training and drop_path > 0 and not isinstance(operation, Identity):
                    output = dropped(output, drop_path)
                total = output if total is None else total + output
            assert total is not None  # every node has two edges
            states.append(self._state(total))
        return self._state(torch.cat([states[i].raw for i in self.genotype.concat], dim=1))

    def _state(self, x: Tensor) -> FeatureMap:
        return FeatureMap(x, self.recipe.activation)


def dropped(x: Tensor, probability: float) -> Tensor:
    """Drop-path: each sample zero with `probability`, or scaled so that the mean stays."""
    keep = 1 - probability
    mask = torch.full((x.shape[0], 1, 1, 1), keep, dtype=x.dtype, device=x.device).bernoulli()
    return x * (mask / keep)
