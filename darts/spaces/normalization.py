"""Batch norm for a network that is evaluated at many points of one step, by many processes."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.nn import functional as F

from darts.spaces.dual_norm import dual_norm
from darts.spaces.joint_norm import Gather, joint_norm, scaled

EPS = 1e-5
"""Added to every variance."""


class BatchNorm(nn.Module):
    """Batch norm that leaves its running statistics alone until it is told to write them.

    In training mode it normalises by the batch and writes nothing, so a loss is a function of
    weights and architecture alone. In evaluation mode it normalises by the running statistics.
    `momentum` is the share of the newest batch in the running statistics; None, the default,
    keeps them as they are. `gather` makes the batch the one of all processes.

    Args:
        channels: channels of the input.
        affine: learn a scale and a shift. DARTS does not, in search cells: an edge's scale
            would otherwise undo its mixing weight.
        eps: added to the variance.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, *, affine: bool, eps: float = EPS) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels)) if affine else None
        self.bias = nn.Parameter(torch.zeros(channels)) if affine else None
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.eps = eps
        self.momentum: float | None = None
        self.gather: Gather | None = None

    def reset_statistics(self) -> None:
        """Forget what the running statistics hold, NaN included."""
        self.running_mean.zero_()
        self.running_var.fill_(1)

    def forward(self, x: Tensor) -> Tensor:
        if self.training and self.gather is not None:
            y, mean, variance = joint_norm(x, self.eps, self.gather)
            if self.momentum is not None:
                self.running_mean.lerp_(mean, self.momentum)
                self.running_var.lerp_(variance, self.momentum)
            return scaled(y, self.weight, self.bias)
        if not self.training:
            return F.batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        if self.momentum is None and forward_ad._current_level >= 0:
            return self._dual(x)
        if self.momentum is None:
            return F.batch_norm(x, None, None, self.weight, self.bias, True, 0.0, self.eps)
        return F.batch_norm(
            x,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            True,
            self.momentum,
            self.eps,
        )

    def _dual(self, x: Tensor) -> Tensor:
        """The same in forward mode.

        PyTorch's forward mode of batch norm takes mean and variance for constants when it is
        itself differentiated, so that second derivatives come out wrong, without a word.
        """
        if x.numel() == x.shape[1]:  # as in PyTorch's own
            raise ValueError(
                f"a norm by the batch needs two values per channel or more; found maps "
                f"{tuple(x.shape)}. Take larger batches or larger images."
            )
        if torch._C._functorch.is_functorch_wrapped_tensor(x):  # which takes no `dual_norm`
            centred = x - x.mean(dim=(0, 2, 3), keepdim=True)
            variance = centred.square().mean(dim=(0, 2, 3), keepdim=True)
            output = centred * (variance + self.eps).rsqrt()
        else:
            output = dual_norm(x, self.eps)
        if self.weight is None or self.bias is None:
            return output
        return output * self.weight[:, None, None] + self.bias[:, None, None]


@dataclass(frozen=True)
class Norming:
    """How a norm (x − mean)/√(var + EPS) comes by its numbers.

    Attributes:
        running: they are the running statistics, or are written to these.
        share: of the batch in running statistics that are written; None if they are read.
    """

    running: bool
    share: float | None = None


BY_BATCH = Norming(running=False)
RUNNING = Norming(running=True)


def norming(norm: nn.Module) -> Norming | None:
    """How a norm comes by its numbers, for those who would take it.

    None for one with a scale, an eps of its own or other processes' batches; and for one that
    has to do with running statistics where derivatives are wanted, which is rare.
    """
    if not isinstance(norm, BatchNorm) or norm.weight is not None or norm.eps != EPS:
        return None
    if norm.training and norm.gather is not None:
        return None
    if norm.training and norm.momentum is None:
        return BY_BATCH
    if torch.is_grad_enabled() or forward_ad._current_level >= 0:
        return None
    return Norming(running=True, share=norm.momentum) if norm.training else RUNNING


def by_batch(norm: nn.Module) -> bool:
    """Whether a norm is (x − mean)/√(var + EPS) by the batch at hand, and nothing more."""
    return norming(norm) == BY_BATCH
