"""PC-DARTS: operations see a share of the channels, and edges have weights of their own."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from darts.spaces.incoming import incoming_rows
from darts.spaces.space import Space


@dataclass(frozen=True)
class PartialChannels:
    """PC-DARTS (Xu et al. 2020, §3.2 and §3.3).

    On every edge the operations work on the first 1/K of the channels and the rest goes by, pooled
    2×2 by its maximum where the edge halves the resolution; then the channels are shuffled in K
    groups. Time and memory of the operations fall by about K.

    Edge normalisation weighs the edges into a node by a softmax over one β an edge, so that the
    comparison of edges does not hang on the few channels of a batch.

    Args:
        share: K; their 4 on CIFAR-10, 2 on ImageNet.
        edge_normalisation: learn β along with α.
    """

    share: int = 4
    edge_normalisation: bool = True

    def __post_init__(self) -> None:
        if self.share < 2:
            raise ValueError(
                f"PartialChannels(share={self.share}): operations see 1/share of the channels, so "
                "share must be 2 or more. Leave partial channels out to use them all."
            )

    def require(self, channels: int) -> None:
        """Raise ValueError unless cells of `channels` channels can be divided."""
        if channels % (2 * self.share):
            raise ValueError(
                f"partial channels of 1/{self.share} asked for cells of {channels} channels. "
                f"Set channels to a multiple of {2 * self.share}: the share is halved once more "
                "where an operation halves the resolution."
            )


def edge_shares(space: Space, beta: Float[Tensor, " edges"]) -> Float[Tensor, " edges"]:
    """Softmax of β over the edges into each node."""
    shares = torch.zeros_like(beta)
    for rows in incoming_rows(space, beta.device):
        share = torch.softmax(beta.index_select(0, rows), dim=0)
        shares = shares.index_copy(0, rows, share)
    return shares


def shuffled(x: Tensor, groups: int) -> Tensor:
    """Channels dealt out: the first of each group, then the second of each, and so on."""
    batch, channels, height, width = x.shape
    dealt = x.reshape(batch, groups, channels // groups, height, width).transpose(1, 2)
    return dealt.reshape(batch, channels, height, width)


def passed_by(x: Tensor, channels: int, stride: int) -> Tensor:
    """The channels that operations do not see, at the resolution that they give."""
    rest = x[:, channels:]
    return rest if stride == 1 else F.max_pool2d(rest, stride, ceil_mode=True)
