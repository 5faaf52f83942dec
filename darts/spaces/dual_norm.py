"""The norm over the batch together with its derivative along a tangent, and the adjoint of both.

With norms spelled out by elementary operations an amended step of S1 took 204,000 kernels on a GPU
(docs/CARD.md). In closed form it is two passes over its maps forwards and two backwards; with
Triton at hand PyTorch's compiler makes them a few kernels.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.autograd.function import Function, once_differentiable

from darts.kernels import fused

Axes = tuple[int, ...]
OVER: Axes = (0, 2, 3)
"""The axes of a batch's pixels in [b c h w]."""


def dual_norm(x: Tensor, eps: float, over: Axes = OVER) -> Tensor:
    """(x − mean)/√(variance + eps) over the batch, within a dual level.

    Its value and its tangent can be differentiated backwards, once.

    Args:
        x: [b c h w], with a tangent or without; or any shape whose pixels are along `over`.
        eps: added to the variance.
        over: the axes of a mean.
    """
    value, tangent = forward_ad.unpack_dual(x)  # type: ignore[no-untyped-call]
    if tangent is None:
        tangent = torch.zeros_like(value)
    found = _DualNorm.apply(value, tangent, eps, over)
    dual: Tensor = forward_ad.make_dual(*found)  # type: ignore[no-untyped-call]
    return dual


class _DualNorm(Function):
    """(x, ẋ) ↦ (n, ṅ)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, xt: Tensor, eps: float, over: Axes) -> tuple[Tensor, Tensor]:
        n, nt, *statistics = fused.fused(PLAIN, x).values(x, xt, eps, over)
        ctx.over = over
        ctx.save_for_backward(n, xt, *statistics)
        return n, nt

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor, p: Tensor) -> tuple[Tensor, Tensor, None, None]:
        to_x, to_xt = fused.fused(PLAIN, g).adjoints(g, p, *ctx.saved_tensors, ctx.over)
        return to_x, to_xt, None, None


def values(x: Tensor, xt: Tensor, eps: float, over: Axes) -> tuple[Tensor, ...]:
    """n = s (x − m(x)), ṅ = s (ẋ − m(ẋ) − c n), and the numbers a channel s, m(ẋ) and c.

    m is a mean over the batch, s = 1/√(variance + eps) and c = m(n ẋ).
    """
    variance, mean = torch.var_mean(x, over, correction=0, keepdim=True)
    s = (variance + eps).rsqrt()
    n = (x - mean) * s
    mt = xt.mean(over, keepdim=True)
    c = (n * xt).mean(over, keepdim=True)
    return n, s * (xt - mt - c * n), s, mt, c


def adjoints(
    g: Tensor, p: Tensor, n: Tensor, xt: Tensor, s: Tensor, mt: Tensor, c: Tensor, over: Axes
) -> tuple[Tensor, Tensor]:
    """From the adjoints g of n and p of ṅ to those of x and ẋ.

    ẋ, in which ṅ is linear by a symmetric map, gets s (p − m(p) − n m(p n)). x, through n and
    through s, gets s (u − m(u) − n m(u n)) − s² ρ n, where u = g − s (c p + m(p n) ẋ) and
    ρ = m(p ẋ) − m(p) m(ẋ) − c m(p n).
    """
    mg, mgn = g.mean(over, keepdim=True), (g * n).mean(over, keepdim=True)
    mp, mpn = p.mean(over, keepdim=True), (p * n).mean(over, keepdim=True)
    mpt = (p * xt).mean(over, keepdim=True)
    mu = mg - s * (c * mp + mpn * mt)
    mun = mgn - 2 * s * c * mpn
    rho = mpt - mp * mt - c * mpn
    to_x = s * (g - mu - s * (c * p + mpn * xt) - n * (mun + s * rho))
    return to_x, s * (p - mp - n * mpn)


def _tried(values: fused.Function, adjoints: fused.Function, x: Tensor) -> None:
    n, _, *rest = values(x, x, 1e-5, OVER)
    adjoints(x, x, n, x, *rest, OVER)


PLAIN = fused.Pair(values, adjoints, _tried)
