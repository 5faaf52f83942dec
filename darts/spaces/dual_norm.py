"""The norm over the batch together with its derivative along a tangent, and the adjoint of both.

With norms spelled out by elementary operations an amended step of S1 took 204,000 kernels on a GPU
(docs/CARD.md). In closed form it is two passes over its maps forwards and two backwards; with
Triton at hand PyTorch's compiler makes them a few kernels.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.autograd.function import Function, once_differentiable

OVER = (0, 2, 3)


def dual_norm(x: Tensor, eps: float) -> Tensor:
    """(x − mean)/√(variance + eps) over the batch, within a dual level.

    Its value and its tangent can be differentiated backwards, once.

    Args:
        x: [b c h w], with a tangent or without.
        eps: added to the variance.
    """
    value, tangent = forward_ad.unpack_dual(x)  # type: ignore[no-untyped-call]
    if tangent is None:
        tangent = torch.zeros_like(value)
    found = _DualNorm.apply(value, tangent, eps)
    dual: Tensor = forward_ad.make_dual(*found)  # type: ignore[no-untyped-call]
    return dual


class _DualNorm(Function):
    """(x, ẋ) ↦ (n, ṅ)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, xt: Tensor, eps: float) -> tuple[Tensor, Tensor]:
        n, nt, *statistics = _best(x)[0](x, xt, eps)
        ctx.save_for_backward(n, xt, *statistics)
        return n, nt

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor, p: Tensor) -> tuple[Tensor, Tensor, None]:
        return *_best(g)[1](g, p, *ctx.saved_tensors), None


def values(x: Tensor, xt: Tensor, eps: float) -> tuple[Tensor, ...]:
    """n = s (x − m(x)), ṅ = s (ẋ − m(ẋ) − c n), and the numbers a channel s, m(ẋ) and c.

    m is a mean over the batch, s = 1/√(variance + eps) and c = m(n ẋ).
    """
    variance, mean = torch.var_mean(x, OVER, correction=0, keepdim=True)
    s = (variance + eps).rsqrt()
    n = (x - mean) * s
    mt = xt.mean(OVER, keepdim=True)
    c = (n * xt).mean(OVER, keepdim=True)
    return n, s * (xt - mt - c * n), s, mt, c


def adjoints(
    g: Tensor, p: Tensor, n: Tensor, xt: Tensor, s: Tensor, mt: Tensor, c: Tensor
) -> tuple[Tensor, Tensor]:
    """From the adjoints g of n and p of ṅ to those of x and ẋ.

    ẋ, in which ṅ is linear by a symmetric map, gets s (p − m(p) − n m(p n)). x, through n and
    through s, gets s (u − m(u) − n m(u n)) − s² ρ n, where u = g − s (c p + m(p n) ẋ) and
    ρ = m(p ẋ) − m(p) m(ẋ) − c m(p n).
    """
    mg, mgn = g.mean(OVER, keepdim=True), (g * n).mean(OVER, keepdim=True)
    mp, mpn = p.mean(OVER, keepdim=True), (p * n).mean(OVER, keepdim=True)
    mpt = (p * xt).mean(OVER, keepdim=True)
    mu = mg - s * (c * mp + mpn * mt)
    mun = mgn - 2 * s * c * mpn
    rho = mpt - mp * mt - c * mpn
    to_x = s * (g - mu - s * (c * p + mpn * xt) - n * (mun + s * rho))
    return to_x, s * (p - mp - n * mpn)


Functions = tuple[Callable[..., tuple[Tensor, ...]], Callable[..., tuple[Tensor, Tensor]]]
PLAIN: Functions = (values, adjoints)


def _best(x: Tensor) -> Functions:
    """The functions for maps like x: compiled on a GPU with Triton."""
    return _compiled() if x.is_cuda else PLAIN


@cache
def _compiled() -> Functions:
    """Both functions by PyTorch's compiler; as they are, after a warning, where that fails."""
    if importlib.util.find_spec("triton") is None:
        return PLAIN
    try:
        made = torch.compile(values), torch.compile(adjoints)
        x = torch.randn(2, 4, 3, 3, device="cuda")
        n, _, *rest = made[0](x, x, 1e-5)
        made[1](x, x, n, x, *rest)
    except Exception as error:
        line = next(iter(str(error).strip().splitlines()), type(error).__name__)
        warnings.warn(
            f"The norms of a search on a GPU are not compiled: {line} The steps are slower for it.",
            RuntimeWarning,
            stacklevel=2,
        )
        return PLAIN
    return made
