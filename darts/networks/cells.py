"""Cells: the searched one, whose edges mix all operations, and the derived one."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from darts.methods.mixing_weights import MixingWeights
from darts.methods.partial_channels import PartialChannels, passed_by, shuffled
from darts.networks.weighted_sum import weighted_sum
from darts.spaces.feature_map import Activation, FeatureMap
from darts.spaces.genotype import CellGenotype
from darts.spaces.joint_draws import WHOLE, Drawing, Shard
from darts.spaces.macro_architecture import MacroArchitecture, Place
from darts.spaces.operations import (
    ConvNorm,
    FactorizedReduce,
    Identity,
    Operation,
    Recipe,
    build,
)
from darts.spaces.space import NONE, SKIP, Space

Norm = Callable[[int], nn.Module]


def preprocessing(channels_in: int, channels: int, halve: bool, recipe: Recipe) -> Operation:
    """Preprocessing of a cell's input: to the cell's channels and, if `halve`, its resolution."""
    if halve:
        return FactorizedReduce(channels_in, channels, recipe)
    return ConvNorm(channels_in, channels, 1, recipe)


class Stack:
    """The widths along a network's cells, and what each cell needs to be built.

    Args:
        macro: the macro-architecture, which gives each cell its place.
        cells: number of cells.
        channels: channels of the first cells' states.
        stem_channels: channels of the stem's outputs.
        halved: the stem's last output has half the resolution of the one before.
    """

    def __init__(
        self,
        macro: MacroArchitecture,
        cells: int,
        channels: int,
        stem_channels: int,
        halved: bool = False,
    ) -> None:
        self.inputs = macro.inputs
        self.places = macro.places(cells)
        self.channels = channels
        self.widths = (stem_channels, stem_channels)
        self.halved = halved

    def __iter__(self) -> Iterator[tuple[Place, int]]:
        """Each place with the channels of its states; call `add` before going on to the next."""
        for place in self.places:
            if place.reduction or place.block:
                self.channels *= 2
            yield place, self.channels

    def preprocess(self, recipe: Recipe) -> list[Operation]:
        """Preprocessing of the current cell's inputs; none where a cell has one input."""
        if self.inputs == 1:
            return [Identity()]
        before_last, last = self.widths
        return [
            preprocessing(before_last, self.channels, self.halved, recipe),
            preprocessing(last, self.channels, False, recipe),
        ]

    def add(self, place: Place, outputs: int) -> None:
        """The cell at hand has an output of `outputs` states."""
        self.widths = (self.widths[1], outputs * self.channels)
        self.halved = place.reduction


def edge_stride(source: int, inputs: int, reduction: bool) -> int:
    """Edges from the inputs of a reduction cell halve the resolution."""
    return 2 if reduction and source < inputs else 1


class ResidualBlock(nn.Module):
    """The block between the stages of NAS-Bench-201, which halves the resolution.

    Two 3×3 convolutions, each activation, convolution, norm, the first of stride 2, beside a 2×2
    average pool with a 1×1 convolution (Dong & Yang 2020, §2.1).
    """

    def __init__(self, channels_in: int, channels: int, norm: Norm, activation: Activation) -> None:
        super().__init__()
        self.activation = activation
        self.halving = nn.Conv2d(channels_in, channels, 3, stride=2, padding=1, bias=False)
        self.norm_first = norm(channels)
        self.convolution = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = norm(channels)
        self.shortcut = nn.Conv2d(channels_in, channels, 1, bias=False)

    def forward(self, x: FeatureMap) -> FeatureMap:
        first = self.norm_first(self.halving(x.activated))
        # ceil_mode, so that odd sides come out as those of the strided convolution do
        pooled = F.avg_pool2d(x.raw, 2, ceil_mode=True)
        total = self.norm(self.convolution(self.activation(first))) + self.shortcut(pooled)
        return FeatureMap(total, self.activation)


@dataclass(frozen=True)
class CellMixingWeights:
    """The `MixingWeights` of one kind of cell: a 0-d tensor each, None where not active."""

    operations: Sequence[Sequence[Tensor | None]]
    edges: Sequence[Tensor] | None = None
    auxiliary_skip: float = 0.0
    drop_path: float = 0.0
    skip_dropout: float = 0.0

    @staticmethod
    def of(mixing: MixingWeights, kind: str) -> "CellMixingWeights":
        weights = mixing.operations[kind]
        edges = None
        if mixing.edges is not None:
            weights = mixing.edges[kind][:, None] * weights
            edges = mixing.edges[kind].unbind()
        rows: list[list[Tensor | None]] = [list(row.unbind()) for row in weights.unbind()]
        if mixing.active is not None:
            for row, flags in zip(rows, mixing.active[kind].tolist(), strict=True):
                row[:] = [w if flag else None for w, flag in zip(row, flags, strict=True)]
        return CellMixingWeights(
            rows, edges, mixing.auxiliary_skip, mixing.drop_path, mixing.skip_dropout
        )


class SearchCell(Drawing):
    """Every node is Σ over its edges and operations of weight · operation(source).

    Built for speed where the arithmetic allows it. `none` is left out: it adds zero, and acts only
    through the softmax that made the weights. Operations without weights of their own (pools with
    their norm, the identity) give the same on every edge from one state, and are computed once a
    state; so is the activation that the others begin with. `darts.networks.weighted_sum` adds
    them up, natively where it can. What is not active is not computed.

    Args:
        space: the edges and operations.
        kind: the kind of cell.
        preprocess: the layer that each input goes through first.
        channels: channels of every state.
        reduction: halve the resolution.
        recipe: norms and activation.
        partial: operations see a share of the channels.
        auxiliary_skip: whether there is a skip beside every edge.
    """

    def __init__(
        self,
        space: Space,
        kind: str,
        preprocess: Sequence[Operation],
        channels: int,
        reduction: bool,
        recipe: Recipe,
        partial: PartialChannels | None = None,
        auxiliary_skip: bool = False,
    ) -> None:
        super().__init__()
        if partial is not None:
            partial.require(channels)
        self.partial = partial
        channels //= partial.share if partial is not None else 1
        self.seen_channels = channels
        self.space = space
        self.choices = space.choices(kind)
        self.reduction = reduction
        self.recipe = recipe
        self.preprocess = nn.ModuleList(preprocess)
        shared = [nn.ModuleDict() for _ in range(space.inputs + space.nodes - 1)]
        edges = [nn.ModuleDict() for _ in space.edges]
        for row, (source, _) in enumerate(space.edges):
            stride = edge_stride(source, space.inputs, reduction)
            for name in space.choices(kind)[row]:
                if name == NONE:
                    continue
                operation = build(name, channels, stride, recipe)
                has_weights = next(operation.parameters(), None) is not None
                home = edges[row] if has_weights or not operation.shared else shared[source]
                home[name] = operation
        self.shared = nn.ModuleList(shared)
        self.edges = nn.ModuleList(edges)
        self.auxiliary = nn.ModuleDict()
        for row, (source, _) in enumerate(space.edges) if auxiliary_skip else ():
            stride = edge_stride(source, space.inputs, reduction)
            self.auxiliary[str(row)] = build(SKIP, channels, stride, recipe)

    def forward(self, inputs: Sequence[FeatureMap], mixing: CellMixingWeights) -> FeatureMap:
        """The cell's output."""
        states = [
            self._state(process(x)) for process, x in zip(self.preprocess, inputs, strict=True)
        ]
        seen = [self._seen(state) for state in states]
        for target in self.space.targets:
            node = weighted_sum(seen[0], self.training)
            for row in self.space.incoming(target):
                source = self.space.edges[row][0]
                for name, weight in zip(self.space.operations, mixing.operations[row], strict=True):
                    if weight is None or name == NONE or name not in self.choices[row]:
                        continue
                    operation = self._operation(row, source, name)
                    if self._is_dropped(operation, mixing):
                        output = seen[source].of(operation)
                        node.add_output(weight, self._dropped(output, operation, mixing))
                    else:
                        node.add(weight, operation, seen[source])
                if mixing.auxiliary_skip > 0:
                    skip = cast(Operation, self.auxiliary[str(row)])
                    node.add(mixing.auxiliary_skip, skip, seen[source])
            total = node.total()
            if total is None:  # every edge is `none`
                source = self.space.edges[self.space.incoming(target)[0]][0]
                total = torch.zeros_like(self._skipped(seen[source], source))
            states.append(self._state(self._joined(total, target, states, mixing)))
            seen.append(self._seen(states[-1]))
        return self._state(torch.cat([states[i].raw for i in self.space.output], dim=1))

    def _seen(self, state: FeatureMap) -> FeatureMap:
        """The channels of a state that operations see: all, or the first."""
        return state if self.partial is None else self._state(state.raw[:, : self.seen_channels])

    def _joined(
        self, total: Tensor, target: int, states: Sequence[FeatureMap], mixing: CellMixingWeights
    ) -> Tensor:
        """With the channels that went by the operations, edge by edge, and shuffled."""
        if self.partial is None:
            return total
        rest: Tensor | None = None
        for row in self.space.incoming(target):
            source = self.space.edges[row][0]
            stride = edge_stride(source, self.space.inputs, self.reduction)
            part = passed_by(states[source].raw, self.seen_channels, stride)
            part = part if mixing.edges is None else mixing.edges[row] * part
            rest = part if rest is None else rest + part
        assert rest is not None  # Space gives every node an edge
        return shuffled(torch.cat([total, rest], dim=1), self.partial.share)

    def _operation(self, row: int, source: int, name: str) -> Operation:
        own = cast(nn.ModuleDict, self.edges[row])
        shared = cast(nn.ModuleDict, self.shared[source])
        return cast(Operation, own[name] if name in own else shared[name])

    def _is_dropped(self, operation: Operation, mixing: CellMixingWeights) -> bool:
        chance = mixing.skip_dropout if isinstance(operation, Identity) else mixing.drop_path
        return self.training and chance > 0

    def _dropped(self, output: Tensor, operation: nn.Module, mixing: CellMixingWeights) -> Tensor:
        if isinstance(operation, Identity):
            return self.shard.dropout(output, mixing.skip_dropout)
        return dropped(output, mixing.drop_path, self.shard)

    def _skipped(self, state: FeatureMap, source: int) -> Tensor:
        """The pixels of a state that its edges keep."""
        stride = edge_stride(source, self.space.inputs, self.reduction)
        return state.raw[:, :, ::stride, ::stride]

    def _state(self, x: Tensor) -> FeatureMap:
        return FeatureMap(x, self.recipe.activation)


class DerivedCell(Drawing):
    """A cell of a genotype: every node adds its edges.

    Args:
        genotype: the cell's edges.
        preprocess: the layer that each input goes through first.
        channels: channels of every state.
        reduction: halve the resolution.
        recipe: norms and activation.
    """

    def __init__(
        self,
        genotype: CellGenotype,
        preprocess: Sequence[Operation],
        channels: int,
        reduction: bool,
        recipe: Recipe,
    ) -> None:
        super().__init__()
        self.genotype = genotype
        self.recipe = recipe
        self.preprocess = nn.ModuleList(preprocess)
        self.operations = nn.ModuleList(
            build(name, channels, edge_stride(source, genotype.first, reduction), recipe)
            for name, source in genotype.edges
        )

    def forward(self, inputs: Sequence[FeatureMap], drop_path: float) -> FeatureMap:
        states = [
            self._state(process(x)) for process, x in zip(self.preprocess, inputs, strict=True)
        ]
        operations = iter(self.operations)
        for node in range(self.genotype.nodes):
            total: Tensor | None = None
            for _, source in self.genotype.inputs(node):
                operation = next(operations)
                output = operation(states[source])
                if self.training and drop_path > 0 and not isinstance(operation, Identity):
                    output = dropped(output, drop_path, self.shard)
                total = output if total is None else total + output
            assert total is not None  # every node has an edge
            states.append(self._state(total))
        return self._state(torch.cat([states[i].raw for i in self.genotype.concat], dim=1))

    def _state(self, x: Tensor) -> FeatureMap:
        return FeatureMap(x, self.recipe.activation)


def dropped(x: Tensor, probability: float, shard: Shard = WHOLE) -> Tensor:
    """Drop-path: each sample zero with `probability`, or scaled so that the mean stays."""
    keep = 1 - probability

    def mask(shape: tuple[int, ...]) -> Tensor:
        chances = torch.full((shape[0], 1, 1, 1), keep, dtype=x.dtype, device=x.device)
        return chances.bernoulli()

    return x * (shard.drawn(mask, x.shape) / keep)
