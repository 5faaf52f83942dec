"""Native nodes of a network: by the batch, as norms are trained, or by their running statistics."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from darts.kernels import NodeSpec, Running, Term, Unit, evaluated, node
from darts.spaces.normalization import BY_BATCH, BatchNorm, Norming, norming


def native_node(
    spec: NodeSpec,
    sources: Sequence[Tensor],
    weights: Tensor,
    parameters: Sequence[Tensor],
    norms: Sequence[BatchNorm | None],
    how: Norming,
    part: slice = slice(None),
) -> Tensor:
    """A node, differentiable if its norms are by the batch alone.

    Args:
        spec: the terms.
        sources: feature maps [b, c, h, w], each of which a term reads.
        weights: one a term.
        parameters: of the units, in the order of the terms.
        norms: of the units and of terms without, in their order; None where a term has none.
        how: they are taken.
        part: channels of the norms that are the node's.
    """
    if how == BY_BATCH:
        return node(spec, sources, weights, parameters)
    pairs = [
        None if norm is None else (norm.running_mean[part], norm.running_var[part])
        for norm in norms
    ]
    return evaluated(spec, sources, weights, parameters, Running(pairs, how.share))


def pointwise_norm(x: Tensor, weight: Tensor, norm: nn.Module, part: slice = slice(None)) -> Tensor:
    """The norm of a 1×1 convolution, weight [c_out, c_in, 1, 1], of relu(x).

    Args:
        x: [b, c_in, h, w].
        weight: of the convolution.
        norm: one that `norming` knows.
        part: its channels that are the convolution's.
    """
    spec = NodeSpec((Term(0, True, (Unit(0),)),))
    how = norming(norm)
    assert isinstance(norm, BatchNorm)
    assert how is not None  # `FeatureMap.natively` has asked
    return native_node(spec, [x], torch.ones(1, dtype=x.dtype), [weight], [norm], how, part)
