"""Σ weight · operation(state), what a node of a supernet is: in PyTorch or by faster sums."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

from darts.kernels import (
    NodeSpec,
    Term,
    as_map,
    stackable,
    stacked,
    sum_of_norms,
    usable,
)
from darts.spaces.dual_norm import dual_norm
from darts.spaces.feature_map import Activation, FeatureMap
from darts.spaces.native_node import native_node
from darts.spaces.normalization import BY_BATCH, EPS, BatchNorm, Norming, by_batch, norming
from darts.spaces.operations import (
    FactorizedReduce,
    Identity,
    Normed,
    Operation,
    SeparableConvolution,
)


class WeightedSum(ABC):
    """A sum that grows by one operation at a time. Weights are 0-d, or numbers."""

    @abstractmethod
    def add(self, weight: Tensor | float, operation: Operation, state: FeatureMap) -> None:
        """Add weight · operation(state)."""

    @abstractmethod
    def add_output(self, weight: Tensor | float, output: Tensor) -> None:
        """Add weight · output."""

    @abstractmethod
    def total(self) -> Tensor | None:
        """The sum; None if nothing was added."""


class PlainSum(WeightedSum):
    """Every operation by itself, added as soon as it is there: nothing is stacked."""

    def __init__(self) -> None:
        self._total: Tensor | None = None

    def add(self, weight: Tensor | float, operation: Operation, state: FeatureMap) -> None:
        self.add_output(weight, state.of(operation))

    def add_output(self, weight: Tensor | float, output: Tensor) -> None:
        self._total = weight * output if self._total is None else self._total + weight * output

    def total(self) -> Tensor | None:
        return self._total


class StackedSum(PlainSum):
    """All last norms over the batch at once, with their weights, on a stack; the rest as it comes.

    In forward mode the first norms of separable convolutions are taken together too. Else
    PyTorch's own norm takes each in a single pass over its map, which a stack does not.
    """

    def __init__(self) -> None:
        super().__init__()
        self._maps: list[Tensor] = []
        self._weights: list[Tensor | float] = []
        self._separable: list[tuple[Tensor | float, SeparableConvolution, Tensor]] = []
        self._activation: Activation = torch.relu

    def add(self, weight: Tensor | float, operation: Operation, state: FeatureMap) -> None:
        if not isinstance(operation, Normed) or not by_batch(operation.norm):
            super().add(weight, operation, state)
        elif isinstance(operation, SeparableConvolution) and forward_ad._current_level >= 0:
            self._separable.append((weight, operation, operation.first(state)))
            self._activation = state.activation
        else:
            self._maps.append(operation.before_norm(state))
            self._weights.append(weight)

    def total(self) -> Tensor | None:
        rest = super().total()
        if self._separable:
            firsts = [first for _, _, first in self._separable]
            normed = self._activation(dual_norm(stacked(firsts), EPS, over=(1,)))
            for (weight, operation, first), pixels in zip(self._separable, normed, strict=True):
                self._maps.append(operation.second(as_map(pixels, first)))
                self._weights.append(weight)
        if not self._maps:
            return rest
        total = sum_of_norms(_of_weights(self._weights, self._maps[0]), self._maps, EPS)
        return total if rest is None else total + rest


class NativeSum(WeightedSum):
    """All operations in one node of `darts.kernels`.

    Chains of convolutions and norms go in as they are, with nothing kept but what each
    convolution gives; so do the last norms of other operations, and the identity. The rest is
    evaluated first. All of its norms come by their numbers in one way, that of the first.
    """

    def __init__(self) -> None:
        self._how: Norming | None = None
        self._norms: list[BatchNorm | None] = []
        self._sources: list[Tensor] = []
        self._terms: list[Term] = []
        self._weights: list[Tensor | float] = []
        self._parameters: list[Tensor] = []

    def add(self, weight: Tensor | float, operation: Operation, state: FeatureMap) -> None:
        if operation.units and self._takes(operation.norms):
            self._add(weight, state.raw, operation.norms, operation)
        elif isinstance(operation, FactorizedReduce):  # its convolutions are native, norm included
            self.add_output(weight, state.of(operation))
        elif isinstance(operation, Normed) and self._takes(operation.norms[-1:], read=True):
            self._add(weight, operation.before_norm(state), operation.norms[-1:])
        elif isinstance(operation, Identity):
            self.add_output(weight, state.raw)
        else:
            self.add_output(weight, state.of(operation))

    def add_output(self, weight: Tensor | float, output: Tensor) -> None:
        self._add(weight, output)

    def total(self) -> Tensor | None:
        if not self._terms:
            return None
        spec = NodeSpec(tuple(self._terms))
        weights = _of_weights(self._weights, self._sources[0])
        how = self._how or BY_BATCH
        return native_node(spec, self._sources, weights, self._parameters, self._norms, how)

    def _takes(self, norms: Sequence[nn.Module], *, read: bool = False) -> bool:
        """Whether all of these norms come by their numbers as those that are here do.

        With `read` it takes none that writes running statistics: a norm that several edges have
        in common would write them for each.
        """
        ways = [norming(norm) for norm in norms]
        way = ways[0] if self._how is None else self._how
        if way is None or any(other != way for other in ways) or (read and way.share is not None):
            return False
        self._how = way
        return True

    def _add(
        self,
        weight: Tensor | float,
        x: Tensor,
        norms: Sequence[nn.Module] = (),
        operation: Operation | None = None,
    ) -> None:
        places = [i for i, known in enumerate(self._sources) if known is x]
        if not places:
            places = [len(self._sources)]
            self._sources.append(x)
        units = () if operation is None else operation.units
        self._terms.append(Term(places[0], bool(norms), units))
        self._norms += [norm if isinstance(norm, BatchNorm) else None for norm in norms or (None,)]
        self._weights.append(weight)
        self._parameters += [] if operation is None else operation.parameters()


def _of_weights(weights: Sequence[Tensor | float], like: Tensor) -> Tensor:
    """All weights in one tensor; a number is filled in, which a captured step can do."""
    return torch.stack(
        [
            w if isinstance(w, Tensor) else torch.full((), w, dtype=like.dtype, device=like.device)
            for w in weights
        ]
    )


def weighted_sum(like: FeatureMap, training: bool) -> WeightedSum:
    """The fastest kind of sum that can take feature maps like this one."""
    if like.activation is torch.relu and usable(like.raw):
        return NativeSum()
    if training and stackable(like.raw):
        return StackedSum()
    return PlainSum()
