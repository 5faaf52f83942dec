"""A node as autograd sees it: differentiable twice, backwards, or once forwards and then back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.autograd.function import Function, once_differentiable

from darts.kernels import native
from darts.kernels.library import kernels
from darts.kernels.native import Given, Gradients, Running
from darts.kernels.plan import NodeSpec


def usable(x: Tensor) -> bool:
    """Whether native kernels can take x: on the CPU, float32 or float64, a plain tensor.

    Within a transform of `torch.func`, under tracing and autocast the same network runs in
    PyTorch's own operations.
    """
    return (
        x.device.type == "cpu"
        and x.dtype in (torch.float32, torch.float64)
        and not torch.is_autocast_enabled("cpu")
        and torch._C._functorch.peek_interpreter_stack() is None
        and torch.utils._python_dispatch._get_current_dispatch_mode() is None
        and kernels().library is not None
    )


def node(
    spec: NodeSpec, sources: Sequence[Tensor], weights: Tensor, parameters: Sequence[Tensor]
) -> Tensor:
    """Σ of the terms of `spec`.

    Args:
        spec: the terms, and the eps of their norms.
        sources: feature maps [b, c, h, w], each of which a term reads.
        weights: one a term.
        parameters: of the units, in the order of the terms.
    """
    given = [*map(_dense, sources), weights, *(x.contiguous() for x in parameters)]
    pairs = [unpacked(x) for x in given]
    primals = [primal for primal, _ in pairs]
    if all(tangent is None for _, tangent in pairs):
        result: Tensor = _Node.apply(spec, len(sources), *primals)
        return result
    tangents = [torch.zeros_like(x) if t is None else _as(t, x) for x, t in pairs]
    z, zt = _Tangent.apply(spec, len(sources), *primals, *tangents)
    dual: Tensor = forward_ad.make_dual(z, zt)  # type: ignore[no-untyped-call]
    return dual


def evaluated(
    spec: NodeSpec,
    sources: Sequence[Tensor],
    weights: Tensor,
    parameters: Sequence[Tensor],
    running: Running,
) -> Tensor:
    """The value of `node`, without derivatives, with norms by running statistics or with these
    moved towards those of the batch."""
    given = Given(spec, [*map(_dense, sources)], weights, [x.contiguous() for x in parameters])
    return native.forward(given, running)[0]


def unpacked(x: Tensor) -> tuple[Tensor, Tensor | None]:
    """x and its tangent in forward mode, if there is one."""
    if forward_ad._current_level < 0:
        return x, None
    return tuple(forward_ad.unpack_dual(x))  # type: ignore[no-untyped-call]


def _dense(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)


def _as(x: Tensor, like: Tensor) -> Tensor:
    last = like.dim() == 4 and not like.is_contiguous()
    return x.contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)


class _Node(Function):
    """(sources, weights, parameters) ↦ z."""

    @staticmethod
    def forward(ctx: Any, spec: NodeSpec, count: int, *inputs: Tensor) -> Tensor:
        z, _, *kept = native.forward(Given(spec, *_split(inputs, count)))
        ctx.spec, ctx.count = spec, count
        ctx.save_for_backward(*inputs, *kept)
        return z

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        wanted = any(ctx.needs_input_grad[2 + ctx.count + 1 :])
        arguments = ctx.spec, ctx.count, wanted, g, *ctx.saved_tensors
        if torch.is_grad_enabled():
            return None, None, *_Gradient.apply(*arguments)
        return None, None, *_gradient(*arguments)


def _split(
    given: Sequence[Tensor], count: int
) -> tuple[Sequence[Tensor], Tensor, Sequence[Tensor]]:
    """Sources, weights, parameters."""
    return given[:count], given[count], given[count + 1 :]


def _gradient(
    spec: NodeSpec, count: int, wanted: bool, g: Tensor, *saved: Tensor
) -> tuple[Tensor | None, ...]:
    """The gradients of ⟨g, z⟩ in (sources, weights, parameters)."""
    *inputs, outputs, norms = saved
    given = Given(spec, *_split(inputs, count))
    return _all(Gradients(given, (outputs, norms), _dense(g), with_parameters=wanted, full=False))


def _all(found: Gradients) -> tuple[Tensor | None, ...]:
    return *found.sources, found.weights, *found.parameters


class _Gradient(Function):
    """(g, sources, weights, parameters) ↦ the gradients of ⟨g, z⟩; itself differentiable."""

    @staticmethod
    def forward(
        ctx: Any, spec: NodeSpec, count: int, wanted: bool, g: Tensor, *saved: Tensor
    ) -> tuple[Tensor | None, ...]:
        ctx.spec, ctx.count = spec, count
        ctx.save_for_backward(g, *saved[:-2])
        return _gradient(spec, count, wanted, g, *saved)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *directions: Tensor | None) -> Any:
        # ⟨gradients, directions⟩ = ⟨g, the tangent of z in these directions⟩: its derivatives are
        # that tangent, and what the backward of the tangent says
        g, *inputs = ctx.saved_tensors
        tangents = [
            torch.zeros_like(x) if d is None else _as(d, x)
            for d, x in zip(directions, inputs, strict=True)
        ]
        given = Given(ctx.spec, *_split(inputs, ctx.count), _split(tangents, ctx.count))
        _, zt, outputs, norms = native.forward(given)
        wanted = any(ctx.needs_input_grad[4 + ctx.count + 1 :])
        found = Gradients(
            given, (outputs, norms), None, _dense(g), with_parameters=wanted, full=False
        )
        return None, None, None, zt, *_all(found), None, None


class _Tangent(Function):
    """(sources, weights, parameters, a tangent of each) ↦ z and its tangent."""

    @staticmethod
    def forward(ctx: Any, spec: NodeSpec, count: int, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        half = len(inputs) // 2
        given = Given(spec, *_split(inputs[:half], count), _split(inputs[half:], count))
        z, zt, *kept = native.forward(given)
        assert zt is not None
        ctx.spec, ctx.count, ctx.half = spec, count, half
        ctx.save_for_backward(*inputs, *kept)
        return z, zt

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor, p: Tensor) -> Any:
        count, half = ctx.count, ctx.half
        *inputs, outputs, norms = ctx.saved_tensors  # once: recomputed activations are given once
        given = Given(ctx.spec, *_split(inputs[:half], count), _split(inputs[half:], count))
        found = Gradients(
            given,
            (outputs, norms),
            _dense(g),
            _dense(p),
            with_parameters=any(ctx.needs_input_grad[2 + count + 1 : 2 + half]),
            full=any(ctx.needs_input_grad[2 + half : 2 + half + count]),
        )
        # tangents of weights and parameters are given directions, not functions of anything
        return None, None, *_all(found), *found.sources_t, *[None] * (half - count)
