"""Cells whose activations are computed again when a gradient needs them, instead of kept."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import optree
import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.utils.checkpoint import checkpoint

from darts.kernels import unpacked
from darts.networks.cells import CellMixingWeights
from darts.spaces.feature_map import Activation, FeatureMap


def recomputed(
    cell: nn.Module, states: Sequence[FeatureMap], mixing: CellMixingWeights, activation: Activation
) -> FeatureMap:
    """`cell(states, mixing)`, keeping nothing of it but what it reads.

    One more evaluation of the cell for each gradient. The parameters are those that the module
    has now: under `functional_call`, which is gone by the time of the gradient, they would
    otherwise be others. So are tangents in forward mode, whose level is gone too: they are kept
    beside what they belong to. As often differentiable as the cell; see `Supernet.recompute` on
    what a second derivative keeps.
    """
    read: Any = (
        [state.raw for state in states],
        dict(cell.named_parameters()),
        dict(cell.named_buffers()),
        (mixing.operations, mixing.edges),
    )
    given, structure = optree.tree_flatten(read)
    pairs = [unpacked(x) if isinstance(x, Tensor) else (x, None) for x in given]
    forward_mode = forward_ad._current_level >= 0

    def run() -> tuple[Tensor, Tensor | None]:
        with _dual_level() if forward_mode else nullcontext():
            fresh = [
                x if t is None else forward_ad.make_dual(x, t)  # type: ignore[no-untyped-call]
                for x, t in pairs
            ]
            tree: Any = optree.tree_unflatten(structure, fresh)
            raw, parameters, buffers, (operations, edges) = tree
            output: FeatureMap = torch.func.functional_call(
                cell,
                (parameters, buffers),
                (
                    [FeatureMap(x, activation) for x in raw],
                    replace(mixing, operations=operations, edges=edges),
                ),
                strict=True,
            )
            return unpacked(output.raw)

    raw, tangent = checkpoint(run, use_reentrant=False)
    if tangent is not None:
        raw = forward_ad.make_dual(raw, tangent)  # type: ignore[no-untyped-call]
    return FeatureMap(raw, activation)


def _dual_level() -> AbstractContextManager[object]:
    """A level of forward mode, where there is none: they do not nest."""
    if forward_ad._current_level >= 0:
        return nullcontext()
    level: AbstractContextManager[object] = forward_ad.dual_level()
    return level
