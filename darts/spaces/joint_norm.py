"""Batch norm over the batch of several processes, each with its shard of it."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

Gather = Callable[[Tensor], Tensor]
"""The tensors of all processes that share a batch, stacked: [...] → [processes, ...]."""


def joint_norm(
    x: Float[Tensor, "b c h w"], eps: float, gather: Gather
) -> tuple[Float[Tensor, "b c h w"], Float[Tensor, " c"], Float[Tensor, " c"]]:
    """x normalised by the mean and variance of the batch of all processes; those two as well.

    Every process holds its shard of the batch. The variance is the unbiased one, for running
    statistics; x is normalised by the biased one, as in `F.batch_norm`. Means and spreads are
    combined after Chan, Golub and LeVeque (1979), so that nothing cancels. One collective. As
    often differentiable as `gather` is.
    """
    wide = x if x.dtype == torch.float64 else x.float()
    own_mean = wide.mean(dim=(0, 2, 3))
    own_spread = (wide - own_mean[:, None, None]).square().sum(dim=(0, 2, 3))
    own_count = torch.full_like(own_mean, x.numel() // x.shape[1])
    counts, means, spreads = gather(torch.stack([own_count, own_mean, own_spread])).unbind(1)
    count = counts.sum(dim=0)
    mean = (counts * means).sum(dim=0) / count
    spread = (spreads + counts * (means - mean).square()).sum(dim=0)
    scale = (spread / count + eps).rsqrt()
    normalised = (wide - mean[:, None, None]) * scale[:, None, None]
    return normalised.to(x.dtype), mean.detach(), (spread / (count - 1)).detach()


def scaled(y: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    """y, times the weight and plus the bias of each channel where there are any."""
    if weight is None or bias is None:
        return y
    return (y * weight[:, None, None] + bias[:, None, None]).to(y.dtype)
