"""What a node of a searched cell is made of, and where its numbers lie in memory.

The native counterpart of what `darts.networks.cells` says in PyTorch. Every convolution of a
search space is a chain of units, relu → depthwise → pointwise → norm. A node keeps what its units
give and their norms: nothing else is as large as a feature map.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

Shape = tuple[int, ...]
NORM_ROWS = 4
"""Numbers that a norm has for a channel, as norm.cpp says."""
ALIGNED = 16
"""Maps begin at multiples of so many elements."""


@dataclass(frozen=True)
class Unit:
    """relu, depthwise convolution (size 0: none), pointwise convolution, norm."""

    size: int
    stride: int = 1
    dilation: int = 1

    @property
    def parameters(self) -> int:
        """How many tensors are its own: depthwise if it has one, pointwise."""
        return 2 if self.size else 1


@dataclass(frozen=True)
class Term:
    """weight · operation(source): a chain of units, or the source itself, or its norm.

    Attributes:
        source: place of its feature map among the node's.
        normed: whether the norm is taken of a source without units; a chain ends in its norm.
        units: the chain.
    """

    source: int
    normed: bool = True
    units: tuple[Unit, ...] = ()


@dataclass(frozen=True)
class NodeSpec:
    """The terms of a node, and what norms add to the variance.

    The parameters of a node are those of its units, in order.
    """

    terms: tuple[Term, ...]
    eps: float = 1e-5


@dataclass(frozen=True)
class Plan:
    """Where the numbers of a node lie, for sources and parameters of given shapes.

    Attributes:
        spec: the terms.
        sources: shapes [b, c, h, w] of the feature maps.
        parameters: shapes that the units' weights have.
        out: shape of the node.
        numbers: the plan as node.cpp reads it.
        outputs: elements of all that units give; tangents, where there are any, take as many more.
        norms: numbers of all norms.
        normed: channels of each norm, in the order of units and of terms without; 0 for a term
            that takes none.
    """

    spec: NodeSpec
    sources: tuple[Shape, ...]
    parameters: tuple[Shape, ...]
    out: Shape
    numbers: np.ndarray[Any, np.dtype[np.int64]]
    outputs: int
    norms: int
    normed: tuple[int, ...]


@lru_cache(maxsize=4096)
def plan(spec: NodeSpec, sources: tuple[Shape, ...], widths: tuple[int, ...]) -> Plan:
    """The plan of a node.

    Args:
        spec: the terms.
        sources: shapes of the feature maps.
        widths: output channels of each parameter, of which depthwise ones count for nothing.

    Raises:
        ValueError: terms of several sizes, or not as many parameters as the units have.
    """
    wanted = sum(unit.parameters for term in spec.terms for unit in term.units)
    if len(widths) != wanted:
        raise ValueError(f"a node's units have {wanted} weights; found {len(widths)}.")
    outputs = norms = most = 0
    weights: list[Shape] = []
    rows: list[int] = []
    shapes: list[Shape] = []
    normed: list[int] = []
    for term in spec.terms:
        shape = sources[term.source]
        own: list[int] = []
        for number, unit in enumerate(term.units):
            images, width, *size = shape
            place, given = len(weights), shape
            weights += [(width, 1, unit.size, unit.size)] if unit.size else []
            channels = widths[len(weights)]
            weights.append((channels, width, 1, 1))
            shape = (images, channels, *(-(-side // unit.stride) for side in size))
            geometry = [images, *size, width, channels, unit.size, unit.stride, unit.dilation]
            own += [*geometry, outputs, norms, place]
            outputs += -(-_count(shape) // ALIGNED) * ALIGNED
            norms += NORM_ROWS * channels
            normed.append(channels)
            most = max(most, _count(given)) if number else most
        if not term.units:
            norms += NORM_ROWS * shape[1]
            normed.append(shape[1] if term.normed else 0)
        shapes.append(shape)
        if shape != shapes[0]:
            raise ValueError(
                f"native kernels add maps of one size: found {shape} beside {shapes[0]}."
            )
        last = norms - NORM_ROWS * shape[1]
        rows += [term.source, int(bool(term.units) or term.normed), last, len(term.units), *own]
    images, channels, height, width = shapes[0]
    head = [images, channels, height, width, outputs, most, len(sources), len(spec.terms)]
    head += [number for _, *chw in sources for number in chw]
    numbers = np.array([*head, *rows], dtype=np.int64)
    return Plan(spec, sources, tuple(weights), shapes[0], numbers, outputs, norms, tuple(normed))


def _count(shape: Shape) -> int:
    return int(np.prod(shape))
