"""A node as autograd sees it: differentiable twice, backwards, or once forwards and then back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.autograd.function import Function, once_differentiable

from darts.kernels.library import kernels
from darts.kernels.native import Unit
from darts.kernels.sums import Gradients, NodeSpec, Tape, Term, backward, forward


def usable(x: Tensor) -> bool:
    """Whether native kernels can take x: on the CPU, float32 or float64, a plain tensor.

    Under vmap, tracing and autocast the same network runs in PyTorch's own operations.
    """
    return (
        x.device.type == "cpu"
        and x.dtype in (torch.float32, torch.float64)
        and not torch.is_autocast_enabled("cpu")
        and not torch._C._functorch.is_functorch_wrapped_tensor(x)
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


def unpacked(x: Tensor) -> tuple[Tensor, Tensor | None]:
    """x and its tangent in forward mode, if there is one."""
    if forward_ad._current_level < 0:
        return x, None
    return tuple(forward_ad.unpack_dual(x))  # type: ignore[no-untyped-call]


def pointwise_norm(x: Tensor, weight: Tensor) -> Tensor:
    """The norm over the batch of a 1×1 convolution, weight [c_out, c_in, 1, 1], of relu(x)."""
    spec = NodeSpec((Term(0, True, (Unit(0),)),))
    return node(spec, [x], torch.ones(1, dtype=x.dtype), [weight])


def _dense(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)


def _as(x: Tensor, like: Tensor) -> Tensor:
    last = like.dim() == 4 and not like.is_contiguous()
    return x.contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)


class _Node(Function):
    """(sources, weights, parameters) ↦ z."""

    @staticmethod
    def forward(ctx: Any, spec: NodeSpec, count: int, *given: Tensor) -> Tensor:
        z, _, tape = forward(spec, given[:count], given[count], given[count + 1 :])
        ctx.count, ctx.inputs, ctx.tape = count, len(given), tape.emptied()
        ctx.save_for_backward(*given, *tape.tensors())
        return z

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        wanted = any(ctx.needs_input_grad[2 + ctx.count + 1 :])
        arguments = ctx.tape, ctx.count, ctx.inputs, wanted, g, *ctx.saved_tensors
        if torch.is_grad_enabled():
            return None, None, *_Gradient.apply(*arguments)
        return None, None, *_gradient(*arguments)


def _gradient(
    tape: Tape, count: int, inputs: int, wanted: bool, g: Tensor, *kept: Tensor
) -> tuple[Tensor | None, ...]:
    """The gradients of ⟨g, z⟩ in (sources, weights, parameters)."""
    given, outputs = kept[:inputs], kept[inputs:]
    tape = tape.refilled(outputs, given[:count], given[count + 1 :])
    found = backward(tape, _dense(g), with_parameters=wanted, full=False)
    return *found.sources, found.weights, *_parameters(found, inputs - count - 1)


def _parameters(found: Gradients, count: int) -> list[Tensor | None]:
    return [*found.parameters] if found.parameters else [None] * count


class _Gradient(Function):
    """(g, sources, weights, parameters) ↦ the gradients of ⟨g, z⟩; itself differentiable."""

    @staticmethod
    def forward(
        ctx: Any, tape: Tape, count: int, inputs: int, wanted: bool, g: Tensor, *kept: Tensor
    ) -> tuple[Tensor | None, ...]:
        ctx.spec, ctx.count, ctx.extra = tape.spec, count, len(kept) - inputs
        ctx.save_for_backward(g, *kept[:inputs])
        return _gradient(tape, count, inputs, wanted, g, *kept)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *directions: Tensor | None) -> Any:
        # ⟨gradients, directions⟩ = ⟨g, the tangent of z in these directions⟩: its derivatives are
        # that tangent, and what the backward of the tangent says
        g, *given = ctx.saved_tensors
        count = ctx.count
        tangents = [
            torch.zeros_like(x) if d is None else _as(d, x)
            for d, x in zip(directions, given, strict=True)
        ]
        split = tangents[:count], tangents[count], tangents[count + 1 :]
        sources, weights, parameters = given[:count], given[count], given[count + 1 :]
        _, zt, tape = forward(ctx.spec, sources, weights, parameters, split)
        wanted = any(ctx.needs_input_grad[5 + count + 1 :])
        found = backward(tape, None, _dense(g), with_parameters=wanted, full=False)
        gradients = *found.sources, found.weights, *_parameters(found, len(parameters))
        return None, None, None, None, zt, *gradients, *[None] * ctx.extra


class _Tangent(Function):
    """(sources, weights, parameters, a tangent of each) ↦ z and its tangent."""

    @staticmethod
    def forward(ctx: Any, spec: NodeSpec, count: int, *given: Tensor) -> tuple[Tensor, Tensor]:
        primals, tangents = given[: len(given) // 2], given[len(given) // 2 :]
        split = tangents[:count], tangents[count], tangents[count + 1 :]
        sources, weights, parameters = primals[:count], primals[count], primals[count + 1 :]
        z, zt, tape = forward(spec, sources, weights, parameters, split)
        assert zt is not None
        ctx.count, ctx.inputs, ctx.tape = count, len(given), tape.emptied()
        ctx.save_for_backward(*given, *tape.tensors())
        return z, zt

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor, p: Tensor) -> Any:
        count, half = ctx.count, ctx.inputs // 2
        kept = ctx.saved_tensors  # once: activations that are computed again are given once
        primals, tangents = kept[:half], kept[half : ctx.inputs]
        tape = ctx.tape.refilled(
            kept[ctx.inputs :],
            primals[:count],
            primals[count + 1 :],
            (tangents[:count], tangents[count + 1 :]),
        )
        wanted = any(ctx.needs_input_grad[2 + count + 1 : 2 + half])
        full = any(ctx.needs_input_grad[2 + half : 2 + half + count])
        found = backward(tape, _dense(g), _dense(p), with_parameters=wanted, full=full)
        gradients = *found.sources, found.weights, *_parameters(found, half - count - 1)
        # tangents of weights and parameters are given directions, not functions of anything
        return None, None, *gradients, *found.sources_t, *[None] * (half - count)
