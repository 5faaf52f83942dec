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


def faithful_in_double(
    problem: BilevelProblem, omega: Vector, alpha: Vector, coarsest: torch.dtype
) -> tuple[BilevelProblem, Vector, Vector] | None:
    """The problem and point in float64, if L_train bears it and has nearly the same values there.

    Two gradients of L_train.

    Args:
        coarsest: the dtype of least precision in the losses.

    Returns:
        None where they do not, and where nothing is of less precision than float64.
    """
    if coarsest == omega.dtype == torch.float64:
        return None
    wide = in_double(problem), doubled(omega), doubled(alpha)
    try:
        value, gradient, _ = wide[0].inner_gradients(*wide[1:])
        lower, single, _ = problem.inner_gradients(omega, alpha)
    except Exception:  # a loss is not bound to work in another precision
        return None
    rounding = max(1e-3, 2 * torch.finfo(coarsest).eps)
    same = abs(value - lower) <= rounding * (abs(value) + abs(lower))
    near = (gradient - doubled(single)).norm() <= 0.1 * gradient.norm() + 1e-4
    return wide if same and bool(near) else None


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
