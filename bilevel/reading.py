"""Numbers that the host reads off a device, and a way to leave them there.

A read waits for all work that a GPU has been given. A step that decides by no number needs none
before its end, and only a step without any can be captured as a graph.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor

_left: ContextVar[bool] = ContextVar("left on the device", default=False)


@contextmanager
def left_on_device() -> Iterator[None]:
    """In this block `read` gives tensors, and nothing is checked to be finite; check afterwards."""
    token = _left.set(True)
    try:
        yield
    finally:
        _left.reset(token)


def leaving() -> bool:
    """Whether numbers are to be left on the device."""
    return _left.get()


def read(x: Tensor) -> Any:
    """A 0-d tensor as a float; within `left_on_device` as a 0-d tensor in float64.

    Both add, multiply and divide alike, and scale a `Vector` by the same bits on a CPU.
    """
    return x.detach().double() if leaving() else x.item()


def finite(number: Any) -> bool:
    """Whether what `read` gave is finite; True of one that was left on the device."""
    return isinstance(number, Tensor) or math.isfinite(number)


def ratio(numerator: Any, length: Any, otherwise: float) -> Any:
    """numerator/length, and `otherwise` for a length of 0, of what `read` gave."""
    if isinstance(length, Tensor):
        if not isinstance(numerator, Tensor):  # a float would be multiplied by a reciprocal
            numerator = torch.full_like(length, numerator)
        return (numerator / length).masked_fill(length <= 0, otherwise)
    return numerator / length if length > 0 else otherwise


def at_most(number: Any, most: float) -> Any:
    """The smaller of the two, of what `read` gave."""
    return number.clamp(max=most) if isinstance(number, Tensor) else min(number, most)
