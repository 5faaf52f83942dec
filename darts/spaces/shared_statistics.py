"""Networks whose batch norms see the batch of all processes."""

import torch
from torch import Tensor, nn

from darts.spaces.joint_norm import Gather, joint_norm, scaled
from darts.spaces.normalization import BatchNorm


class JointBatchNorm2d(nn.BatchNorm2d):
    """PyTorch's batch norm with the statistics of the batch of all processes in training."""

    gather: Gather | None = None

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.gather is None:
            return super().forward(x)
        y, mean, variance = joint_norm(x, self.eps, self.gather)
        with torch.no_grad():
            assert self.running_mean is not None
            assert self.running_var is not None
            assert self.num_batches_tracked is not None
            assert self.momentum is not None
            self.num_batches_tracked.add_(1)
            self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
            self.running_var.lerp_(variance.to(self.running_var.dtype), self.momentum)
        return scaled(y, self.weight, self.bias)


def share_statistics(network: nn.Module, gather: Gather) -> None:
    """Let every batch norm in `network` see the batch of all processes, in place.

    Parameters, buffers and their names stay the same.
    """
    for module in list(network.modules()):
        if isinstance(module, BatchNorm):
            module.gather = gather
        for name, child in module.named_children():
            if type(child) is nn.BatchNorm2d:
                joint = JointBatchNorm2d(child.num_features, child.eps, child.momentum)
                joint.weight, joint.bias = child.weight, child.bias
                joint.running_mean, joint.running_var = child.running_mean, child.running_var
                joint.num_batches_tracked = child.num_batches_tracked
                joint.gather = gather
                joint.train(child.training)
                setattr(module, name, joint)
