"""A problem in float64, whatever it was written in, where differences are precise enough."""

from __future__ import annotations

from typing import Any

import optree
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from bilevel.losses import Loss, like
from bilevel.problem import BilevelProblem
from bilevel.vector import Tree, Vector

_LOW = (torch.float32, torch.float16, torch.bfloat16)
_DTYPE: Any = Tensor.dtype.__get__  # type: ignore[attr-defined]


def in_double(problem: BilevelProblem) -> BilevelProblem:
    """The problem with every operation of its losses taken in float64, for ω and α in float64.

    Tensors that the losses close over are converted as they are used, and so is what they make.
    Kernels that get their tensors past torch's functions are not reached: they may raise.
    """

    def widened(loss: Loss) -> Loss:
        @like(loss)
        def evaluate(omega: Tree, *others: Any) -> Tensor:
            with _Widening():
                return loss(omega, *others)

        return evaluate

    return BilevelProblem(widened(problem.inner), widened(problem.outer))


def doubled(point: Vector) -> Vector:
    """The same point in float64."""
    return Vector(tuple(leaf.detach().double() for leaf in point.leaves), point.treespec)


class _Widening(TorchFunctionMode):
    """Every tensor of less precision becomes float64 before and after each function of torch."""

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func in (Tensor.float, Tensor.half, Tensor.bfloat16):
            func = Tensor.double
        if func == _DTYPE:  # layers compare it with that of their weights
            return _wide(func(*args))
        if getattr(func, "__name__", "") in ("__get__", "__set__"):  # attributes: no arithmetic
            return func(*args, **(kwargs or {}))
        given: Any = (args, kwargs or {})
        wide_args, wide_kwargs = optree.tree_map(_wide, given, none_is_leaf=True)
        return optree.tree_map(_wide, func(*wide_args, **wide_kwargs), none_is_leaf=True)


def _wide(value: Any) -> Any:
    if isinstance(value, torch.dtype):
        return torch.float64 if value in _LOW else value
    if isinstance(value, Tensor) and value.dtype in _LOW:
        return value.to(torch.float64)
    return value
