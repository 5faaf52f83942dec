"""The compiled kernels as functions of tensors. All feature maps are dense, channels last."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from darts.kernels.library import kernels
from darts.kernels.plan import NodeSpec, Plan, Shape, plan

Tangents = tuple[Sequence[Tensor], Tensor, Sequence[Tensor]]
"""Of the sources, of the weights, and of the parameters."""


@dataclass(frozen=True)
class Running:
    """Running statistics of a node's norms.

    Args:
        pairs: mean and variance of each, as `Plan.normed` has them; None where it has none.
        share: with a number norms are by the batch, whose statistics get that share in these; the
            variance is that over the count less one, as PyTorch has it. With None norms are
            taken by these.
    """

    pairs: Sequence[tuple[Tensor, Tensor] | None]
    share: float | None = None

    def addresses(self, channels: Sequence[int], like: Tensor) -> Any:
        """Where they lie, two a norm.

        Raises:
            ValueError: norms of other numbers of channels.
        """
        places: list[int | None] = []
        for pair, width in zip(self.pairs, channels, strict=True):
            if (pair is None) != (width == 0):
                raise ValueError(f"running statistics {pair} for a norm of {width} channels.")
            if pair is None:
                places += [None, None]
            else:
                places += [_address(x, (width,), like, "weights") for x in pair]
        return _array(places)


class Given:
    """What a node is a function of, looked at: sizes, layout, type and device of every tensor.

    Args:
        spec: the terms.
        sources: feature maps [b, c, h, w], channels last.
        weights: one a term.
        parameters: of the units, contiguous.
        tangents: of all three, for a node with its tangent.

    Raises:
        ValueError: native code would read something else than is there.
    """

    def __init__(
        self,
        spec: NodeSpec,
        sources: Sequence[Tensor],
        weights: Tensor,
        parameters: Sequence[Tensor],
        tangents: Tangents | None = None,
    ) -> None:
        shapes = tuple(tuple(x.shape) for x in sources)
        self.plan = plan(spec, shapes, tuple(x.shape[0] for x in parameters))
        self.like, self.has_tangents = sources[0], tangents is not None
        self.held = sources, weights, parameters, tangents  # as long as their addresses are used
        shape = (len(spec.terms),)
        self.arguments = []
        for kind, given, wanted in (
            ("maps", sources, shapes),
            ("maps", None if tangents is None else tangents[0], shapes),
            ("weights", [weights], [shape]),
            ("weights", None if tangents is None else [tangents[1]], [shape]),
            ("weights", parameters, self.plan.parameters),
            ("weights", None if tangents is None else tangents[2], self.plan.parameters),
        ):
            self.arguments.append(self._addresses(kind, given, wanted))
        for place in (2, 3):  # one tensor, and not a list of them
            array = self.arguments[place]
            self.arguments[place] = None if array is None else array[0]

    def _addresses(self, kind: str, given: Sequence[Tensor] | None, shapes: Sequence[Shape]) -> Any:
        if given is None:
            return None
        pairs = zip(given, shapes, strict=True)
        return _array([_address(x, shape, self.like, kind) for x, shape in pairs])

    def call(self, name: str, *arguments: Any) -> None:
        """A function of the library on these tensors and what else it takes."""
        library = kernels().library
        assert library is not None  # asked before a node is built
        suffix = "f32" if self.like.dtype == torch.float32 else "f64"
        getattr(library, f"{name}_{suffix}")(*arguments, torch.get_num_threads())


def forward(
    given: Given, running: Running | None = None
) -> tuple[Tensor, Tensor | None, Tensor, Tensor]:
    """The node, its tangent if there are tangents, what its units give, and its norms.

    Norms are by the batch, unless `running` says otherwise.
    """
    layout, like = given.plan, given.like
    z = torch.empty(layout.out, dtype=like.dtype, memory_format=torch.channels_last)
    zt = torch.empty_like(z) if given.has_tangents else None
    outputs = torch.empty(layout.outputs * (1 + given.has_tangents), dtype=like.dtype)
    norms = torch.empty(layout.norms, dtype=torch.float64)
    made = [None if x is None else x.data_ptr() for x in (outputs, norms, z, zt)]
    images, _, height, width = layout.out
    by_batch = running is None or running.share is not None
    if by_batch and any(layout.normed) and images * height * width < 2:
        raise ValueError(
            f"norms by the batch need two values per channel or more; found maps {layout.out}. "
            "Take larger batches or larger images."
        )
    statistics = None if running is None else running.addresses(layout.normed, like)
    share = -1.0 if running is None or running.share is None else running.share
    arguments = _plan(layout), layout.spec.eps, *given.arguments, *made, statistics, share
    given.call("node_forward", *arguments)
    return z, zt, outputs, norms


class Gradients:
    """Adjoints of a node's inputs; with a tangent also those of the sources' tangents.

    Args:
        given: what the node is a function of.
        kept: what its units gave, and its norms, as `forward` returned them.
        g: adjoint of the node; None for zero, where there is a p.
        p: that of its tangent; None where there are no tangents.
        with_parameters: whether the parameters' gradients are wanted.
        full: whether those of the sources' tangents are.
    """

    def __init__(
        self,
        given: Given,
        kept: tuple[Tensor, Tensor],
        g: Tensor | None,
        p: Tensor | None = None,
        *,
        with_parameters: bool,
        full: bool,
    ) -> None:
        layout, like = given.plan, given.like
        adjoints = [None if x is None else _address(x, layout.out, like, "maps") for x in (g, p)]
        outputs, norms = kept
        sizes = (layout.outputs * (1 + given.has_tangents),), (layout.norms,)
        kept_at = [
            _address(outputs, sizes[0], like, "weights"),
            _address(norms, sizes[1], norms, "weights"),
        ]
        self.sources = [_map(shape, like) for shape in layout.sources]
        self.sources_t: list[Tensor | None] = [None] * len(layout.sources)
        if full:
            self.sources_t = [torch.empty_like(x) for x in self.sources]
        self.weights = torch.empty(len(layout.spec.terms), dtype=like.dtype)
        self.parameters: list[Tensor | None] = [None] * len(layout.parameters)
        if with_parameters:
            self.parameters = [torch.empty(shape, dtype=like.dtype) for shape in layout.parameters]
        given.call(
            "node_backward",
            _plan(layout),
            *given.arguments,
            *kept_at,
            *adjoints,
            _array([x.data_ptr() for x in self.sources]),
            _array([x.data_ptr() for x in self.sources_t if x is not None]) if full else None,
            self.weights.data_ptr(),
            _array([x.data_ptr() for x in self.parameters if x is not None])
            if with_parameters
            else None,
        )


def _plan(layout: Plan) -> int:
    return int(layout.numbers.ctypes.data)


def _map(shape: Shape, like: Tensor) -> Tensor:
    return torch.empty(shape, dtype=like.dtype, memory_format=torch.channels_last)


def _array(places: Sequence[int | None]) -> Any:
    return (ctypes.c_void_p * len(places))(*places)


def _address(x: Tensor, shape: Shape, like: Tensor, kind: str) -> int:
    """Where a tensor lies that is as native code reads it; every given tensor goes through here.

    Args:
        x: the tensor.
        shape: that it must have.
        like: a tensor whose type it must have.
        kind: "maps", dense and channels last, or "weights", contiguous.
    """
    place = x.data_ptr()
    if kind == "maps":
        dense = x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last)
    else:
        dense = x.is_contiguous()
    fits = x.shape == shape and x.dtype == like.dtype and x.device.type == "cpu"
    if fits and dense and place % x.element_size() == 0:
        return place
    layout = "dense, channels last and aligned" if kind == "maps" else "contiguous and aligned"
    raise ValueError(
        f"native kernels read {kind} of {tuple(shape)} and {like.dtype}, {layout}, on the CPU; "
        f"found {tuple(x.shape)} (strides {x.stride()}, {x.dtype}, {x.device}) at {place:#x}."
    )
