"""Σ weight · operation(state), what a node of a supernet is: in PyTorch or by native kernels."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from darts.kernels import NodeSpec, Term, node, usable
from darts.spaces.feature_map import FeatureMap
from darts.spaces.normalization import by_batch
from darts.spaces.operations import (
    Identity,
    Operation,
    Pool,
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


class NativeSum(WeightedSum):
    """All operations in one node of `darts.kernels`.

    Chains of convolutions and norms go in as they are, with nothing kept but what each
    convolution gives; so do pools with a norm, and the identity. Others are evaluated first.
    """

    def __init__(self) -> None:
        self._sources: list[Tensor] = []
        self._terms: list[Term] = []
        self._weights: list[Tensor | float] = []
        self._parameters: list[Tensor] = []

    def add(self, weight: Tensor | float, operation: Operation, state: FeatureMap) -> None:
        if operation.units:
            self._add(weight, state.raw, normed=True, operation=operation)
        elif isinstance(operation, Pool) and by_batch(operation.norm):
            self._add(weight, state.pooled(operation.pool), normed=True)
        elif isinstance(operation, Identity):
            self.add_output(weight, state.raw)
        else:
            self.add_output(weight, state.of(operation))

    def add_output(self, weight: Tensor | float, output: Tensor) -> None:
        self._add(weight, output, normed=False)

    def total(self) -> Tensor | None:
        if not self._terms:
            return None
        like = self._sources[0]
        weights = [
            w if isinstance(w, Tensor) else torch.tensor(w, dtype=like.dtype) for w in self._weights
        ]
        spec = NodeSpec(tuple(self._terms))
        return node(spec, self._sources, torch.stack(weights), self._parameters)

    def _add(
        self, weight: Tensor | float, x: Tensor, *, normed: bool, operation: Operation | None = None
    ) -> None:
        places = [i for i, known in enumerate(self._sources) if known is x]
        if not places:
            places = [len(self._sources)]
            self._sources.append(x)
        units = () if operation is None else operation.units
        self._terms.append(Term(places[0], normed, units))
        self._weights.append(weight)
        self._parameters += [] if operation is None else operation.parameters()


def weighted_sum(like: FeatureMap, training: bool) -> WeightedSum:
    """The faster kind of sum that can take feature maps like this one."""
    if training and like.activation is torch.relu and usable(like.raw):
        return NativeSum()
    return PlainSum()
