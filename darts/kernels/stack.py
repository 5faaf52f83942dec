"""Σ weight · norm(map) of maps on one stack: a node of a cell in few, large operations of PyTorch.

On a GPU a supernet is bound by the number of kernels that it starts. One by one, norms, products
with weights and sums grow with the number of a node's terms; on a stack their number is fixed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.autograd.function import Function, once_differentiable

from darts.kernels import fused
from darts.kernels.functions import unpacked


def stackable(x: Tensor) -> bool:
    """Whether maps like x are summed on a stack: on a GPU, channels last, float32 or float64.

    Within a transform of `torch.func`, under tracing and autocast each term is taken by itself.
    """
    return x.is_cuda and plain(x)


def plain(x: Tensor) -> bool:
    """The same without regard to the device."""
    return (
        x.dtype in (torch.float32, torch.float64)
        and x.is_contiguous(memory_format=torch.channels_last)
        and not torch.is_autocast_enabled(x.device.type)
        and not torch.compiler.is_compiling()
        and torch._C._functorch.peek_interpreter_stack() is None
    )


def sum_of_norms(weights: Tensor, maps: Sequence[Tensor], eps: float) -> Tensor:
    """Σ_t weights[t] · (maps[t] − mean)/√(variance + eps), statistics over the batch.

    Twice differentiable backwards; and once backwards within a dual level. One map is kept for
    each term.

    Args:
        weights: [t].
        maps: t maps [b c h w] of one shape, quickest with channels last.
        eps: added to the variances.

    Returns:
        [b c h w], channels last.
    """
    pairs = [unpacked(x) for x in (weights, *maps)]
    (w, *ys), tangents = (x for x, _ in pairs), [t for _, t in pairs]
    if all(tangent is None for tangent in tangents):
        z = _Sum.apply(w, stacked(ys), eps)
    else:
        wt, *yts = (
            torch.zeros_like(x) if t is None else t for x, t in zip((w, *ys), tangents, strict=True)
        )
        found = _DualSum.apply(w, stacked(ys), wt, stacked(yts), eps)
        z = forward_ad.make_dual(*found)  # type: ignore[no-untyped-call]
    return as_map(z, maps[0])


def as_map(pixels: Tensor, like: Tensor) -> Tensor:
    """Pixels [n c] as a map of the shape of one [b c h w], channels last."""
    batch, channels, height, width = like.shape
    return pixels.view(batch, height, width, channels).permute(0, 3, 1, 2)


def stacked(maps: Sequence[Tensor]) -> Tensor:
    """Maps [b c h w] as [t n c], n the pixels of a batch."""
    return torch.stack([x.permute(0, 2, 3, 1).reshape(-1, x.shape[1]) for x in maps])


class _Sum(Function):
    """(w, y) ↦ Σ_t w s (y − m(y)), s = 1/√(variance + eps)."""

    @staticmethod
    def forward(ctx: Any, w: Tensor, y: Tensor, eps: float) -> Tensor:
        z, *statistics = fused.fused(PLAIN, y).values(w, y, eps)
        ctx.eps = eps
        ctx.save_for_backward(w, y, *statistics)
        return z

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, Tensor, None]:
        w, y, mean, s = ctx.saved_tensors
        if torch.is_grad_enabled():  # the gradient as a function of y, and so of its statistics
            return *adjoints(g, w, y, *_statistics(y, ctx.eps)), None
        to_w, to_y = fused.fused(PLAIN, y).adjoints(g, w, y, mean, s)
        return to_w, to_y, None


class _DualSum(Function):
    """(w, y, ẇ, ẏ) ↦ the sum and its tangent. The tangent of w is a given direction."""

    @staticmethod
    def forward(
        ctx: Any, w: Tensor, y: Tensor, wt: Tensor, yt: Tensor, eps: float
    ) -> tuple[Tensor, Tensor]:
        z, zt, *statistics = fused.fused(DUAL, y).values(w, y, wt, yt, eps)
        ctx.save_for_backward(w, y, wt, yt, *statistics)
        return z, zt

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor, p: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, None]:
        y = ctx.saved_tensors[1]
        to_w, to_y, to_wt, to_yt = fused.fused(DUAL, y).adjoints(g, p, *ctx.saved_tensors)
        return to_w, to_y, to_wt, to_yt, None


def _statistics(y: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """Mean and 1/√(variance + eps) of each term and channel, [t 1 c]."""
    variance, mean = torch.var_mean(y, 1, correction=0, keepdim=True)
    return mean, (variance + eps).rsqrt()


def values(w: Tensor, y: Tensor, eps: float) -> tuple[Tensor, ...]:
    """The sum, means and scales."""
    mean, s = _statistics(y, eps)
    return ((y - mean) * (w[:, None, None] * s)).sum(0), mean, s


def adjoints(g: Tensor, w: Tensor, y: Tensor, mean: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
    """From the adjoint g of the sum to those of w and y.

    With g and y less their means, and m a mean over the batch, y gets w s (g − s² m(g y) y).
    """
    g, y = g - g.mean(0), y - mean
    mgy = (g * y).mean(1, keepdim=True)
    ws = w[:, None, None] * s
    to_w = len(g) * (s * mgy).sum((1, 2))
    return to_w, torch.addcmul(y * (-ws * s * s * mgy), g, ws)


def dual_values(w: Tensor, y: Tensor, wt: Tensor, yt: Tensor, eps: float) -> tuple[Tensor, ...]:
    """The sum, its tangent, and the numbers a channel m(y), s, m(ẏ) and c = m(n ẏ).

    With n = s y and y and ẏ less their means, ṅ = s (ẏ − c n).
    """
    mean, s = _statistics(y, eps)
    mean_t = yt.mean(1, keepdim=True)
    y, yt = y - mean, yt - mean_t
    c = s * (y * yt).mean(1, keepdim=True)
    ws = w[:, None, None] * s
    on_y = wt[:, None, None] * s - ws * s * c
    return (y * ws).sum(0), torch.addcmul(y * on_y, yt, ws).sum(0), mean, s, mean_t, c


def dual_adjoints(
    g: Tensor,
    p: Tensor,
    w: Tensor,
    y: Tensor,
    wt: Tensor,
    yt: Tensor,
    mean: Tensor,
    s: Tensor,
    mean_t: Tensor,
    c: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """From the adjoints g of the sum and p of its tangent to those of w, y, ẇ and ẏ.

    All maps less their means, and a = m(p y), b = m(p ẏ) − s c a. ẏ, in which ṅ is linear by a
    symmetric map, gets w s (p − s² a y). y, through n and through s, gets
    w s (g − s c p − s² a ẏ) + ẇ s p − s³ (w (m(g y) + b − 2 s c a) + ẇ a) y.
    """
    g, p, y, yt = g - g.mean(0), p - p.mean(0), y - mean, yt - mean_t
    mgy = (g * y).mean(1, keepdim=True)
    a = (p * y).mean(1, keepdim=True)
    b = (p * yt).mean(1, keepdim=True) - s * c * a
    w, wt = w[:, None, None], wt[:, None, None]
    ws, cube = w * s, s * s * s
    to_w = len(g) * (s * (mgy + b)).sum((1, 2))
    to_wt = len(g) * (s * a).sum((1, 2))
    to_yt = torch.addcmul(y * (-w * cube * a), p, ws)
    to_y = y * (-cube * (w * (mgy + b - 2 * s * c * a) + wt * a))
    to_y = to_y.addcmul(yt, -w * cube * a).addcmul(g, ws).addcmul(p, (wt - ws * c) * s)
    return to_w, to_y, to_wt, to_yt


def _tried(values: fused.Function, adjoints: fused.Function, x: Tensor) -> None:
    w, y = x[0, 0, 0], stacked([x, 2 * x, x])
    z, *rest = values(w, y, 1e-5)
    adjoints(z, w, y, *rest)


def _dual_tried(values: fused.Function, adjoints: fused.Function, x: Tensor) -> None:
    w, y = x[0, 0, 0], stacked([x, 2 * x, x])
    z, zt, *rest = values(w, y, w, y, 1e-5)
    adjoints(z, zt, w, y, w, y, *rest)


PLAIN = fused.Pair(values, adjoints, _tried)
DUAL = fused.Pair(dual_values, dual_adjoints, _dual_tried)
