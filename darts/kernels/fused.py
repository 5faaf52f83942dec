"""Pairs of functions that PyTorch's compiler makes a few kernels of, on a GPU with Triton."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

Function = Callable[..., tuple[Tensor, ...]]


@dataclass(frozen=True)
class Pair:
    """Values and their adjoints, in operations of PyTorch.

    Args:
        values: the function.
        adjoints: its backward pass.
        tried: calls both, as given, on small maps like its argument [b c h w].
    """

    values: Function
    adjoints: Function
    tried: Callable[[Function, Function, Tensor], object]


def fused(pair: Pair, x: Tensor) -> Pair:
    """The pair for tensors like x: compiled on a GPU with Triton, else as it is."""
    return _compiled(pair) if x.is_cuda else pair


@cache
def _compiled(pair: Pair) -> Pair:
    """Both functions by PyTorch's compiler; as they are, after a warning, where that fails."""
    if importlib.util.find_spec("triton") is None:
        return pair
    try:
        made = Pair(torch.compile(pair.values), torch.compile(pair.adjoints), pair.tried)
        made.tried(made.values, made.adjoints, torch.randn(2, 4, 3, 3, device="cuda"))
    except Exception as error:
        line = next(iter(str(error).strip().splitlines()), type(error).__name__)
        warnings.warn(
            f"The norms of a search on a GPU are not compiled: {line} The steps are slower for it.",
            RuntimeWarning,
            stacklevel=2,
        )
        return pair
    return made
