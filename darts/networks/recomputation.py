"""Cells whose activations are computed again when a gradient needs them, instead of kept."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from darts.spaces.operations import Activation, FeatureMap


def recomputed(
    cell: nn.Module, states: Sequence[FeatureMap], mix: Any, activation: Activation
) -> FeatureMap:
    """`cell(states, mix)`, keeping nothing of it but what it reads.

    One more evaluation of the cell for each gradient. The parameters are those that the module
    has now: under `functional_call`, which is gone by the time of the gradient, they would
    otherwise be others. As often differentiable as the cell; see `Supernet.recompute` on what a
    second derivative keeps.
    """
    own: tuple[dict[str, Tensor], ...] = (
        dict(cell.named_parameters()),
        dict(cell.named_buffers()),
    )

    def run(*raw: Tensor) -> Tensor:
        fresh = [FeatureMap(x, activation) for x in raw]
        output: FeatureMap = torch.func.functional_call(cell, own, (fresh, mix), strict=True)
        return output.raw

    raw = checkpoint(run, *(state.raw for state in states), use_reentrant=False)
    return FeatureMap(raw, activation)
