"""A point (ω, α) at which derivatives can be taken: one dtype, one device, no half precision."""

from __future__ import annotations

import torch
from torch import Tensor
from torch._C._functorch import is_functorch_wrapped_tensor

from bilevel.unsupported import UnsupportedDerivativeError
from bilevel.vector import Tree, Vector

LEAST_PRECISE = 1e-4
"""The largest machine epsilon that second derivatives are taken with: float32 is 1.2e-7."""


def point_of(omega: Tree, alpha: Tree) -> tuple[Vector, Vector]:
    """ω and α as vectors without gradients, checked to go together.

    Tensors made in inference mode are copied, for autograd cannot use them, and so are expanded
    ones, for forward mode cannot.

    Raises:
        TypeError: a leaf is not a floating tensor, or one of them is in half precision.
        ValueError: there is no coordinate, or dtypes or devices differ.
        UnsupportedDerivativeError: a leaf belongs to a transformation of `torch.func`.
    """
    given = Vector.of(omega), Vector.of(alpha)
    if any(is_functorch_wrapped_tensor(leaf) for point in given for leaf in point.leaves):
        raise UnsupportedDerivativeError(
            "ω or α is a tensor of a transformation of torch.func (vmap, grad, jvp, ...), which "
            "cannot pass through what takes derivatives itself. Call it outside: once for each "
            "point in place of vmap."
        )
    at, hyper = map(_plain, given)
    if (at.dtype, at.device) != (hyper.dtype, hyper.device):
        raise ValueError(
            f"ω is {at.dtype} on {at.device}, but α is {hyper.dtype} on {hyper.device}. "
            "Bring both to one dtype and device."
        )
    for symbol, point in (("ω", at), ("α", hyper)):
        if point.numel == 0:
            raise ValueError(
                f"{symbol} has no coordinates: all of its {len(point.leaves)} leaves are empty. "
                "Pass the parameters that there are."
            )
    eps = torch.finfo(at.dtype).eps
    if eps > LEAST_PRECISE:
        raise TypeError(
            f"ω and α are {at.dtype}, with a relative precision of {eps:.0e}: too little for "
            "second derivatives. Pass ω.float() and α.float(), and let the losses use "
            "torch.autocast where half precision is wanted."
        )
    return at, hyper


def _plain(point: Vector) -> Vector:
    leaves = [
        leaf.detach().clone() if leaf.is_inference() or expanded_axes(leaf) else leaf.detach()
        for leaf in point.leaves
    ]
    return Vector(tuple(leaves), point.treespec)


def expanded_axes(leaf: Tensor) -> list[int]:
    """The axes along which one number in memory stands for several coordinates."""
    if leaf.is_contiguous():
        return []
    axes = enumerate(zip(leaf.shape, leaf.stride(), strict=True))
    return [axis for axis, (size, stride) in axes if stride == 0 and size > 1]
