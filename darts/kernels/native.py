"""The compiled kernels as functions of tensors. All feature maps are dense, channels last."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from darts.kernels.library import kernels
from darts.kernels.norm import Array


@dataclass(frozen=True)
class Unit:
    """relu, depthwise convolution (size 0: none), pointwise convolution, norm."""

    size: int
    stride: int = 1
    dilation: int = 1

    @property
    def parameters(self) -> int:
        """How many tensors are its own: depthwise if it has one, pointwise."""
        return 2 if self.size else 1


def empty_like(x: Tensor) -> Tensor:
    return torch.empty_like(x, memory_format=torch.channels_last)


def pixels(x: Tensor) -> int:
    return x.shape[0] * x.shape[2] * x.shape[3]


def moments(y: Tensor, yt: Tensor | None) -> Array:
    """Per channel: mean and variance of y, mean of ẏ, covariance of y and ẏ."""
    out = np.empty((4, y.shape[1]))
    images, channels, height, width = y.shape
    _call("moments", y.dtype, _at(y), _at(yt), images, height * width, channels, _at(out))
    return out


@dataclass
class Sum:
    """out (+)= scales[0] + Σ scales[1 + i] · x[i], scales per channel."""

    out: Tensor
    scales: Array
    add: bool = False


def combine(terms: Sequence[Tensor], whole: Sum, part: Sum | None = None) -> None:
    """Make `whole` of all terms, and `part` of the first of them, reading each once."""
    channels, dtype = whole.out.shape[1], _numpy_type(whole.out)
    k = np.ascontiguousarray(whole.scales, dtype=dtype)
    arguments: list[Any] = [_array_of(terms), _at(k), _at(whole.out), int(whole.add)]
    if part is None:
        arguments += [0, None, None, 0]
    else:
        k2 = np.ascontiguousarray(part.scales, dtype=dtype)
        arguments += [len(k2) - 1, _at(k2), _at(part.out), int(part.add)]
    _call("combine", whole.out.dtype, pixels(whole.out), channels, len(terms), *arguments)


def dots(
    g: Tensor, terms: Sequence[Tensor], g_part: Tensor | None = None, part: int = 0
) -> tuple[Array, Array | None]:
    """Per channel: Σ g, and Σ g·x for every x; and the same of `g_part` with the first `part`."""
    count, channels = len(terms), g.shape[1]
    out = np.empty((count + 1 + (0 if g_part is None else part + 1), channels))
    given = (_at(g), _array_of(terms), part, _at(g_part), _at(out))
    _call("dots", g.dtype, pixels(g), channels, count, *given)
    return out[: count + 1], None if g_part is None else out[count + 1 :]


def unit_forward(
    unit: Unit,
    x: Tensor,
    xt: Tensor | None,
    before: Array | None,
    parameters: Sequence[Tensor],
    parameters_t: Sequence[Tensor] | None,
) -> tuple[Tensor, Tensor | None, Array]:
    """A unit without its norm, its tangent if x has one, and `moments` of the two.

    Args:
        unit: the unit.
        x: its input.
        xt: the tangent of x.
        before: [a b r e f] per channel: relu is taken of a·x + b, whose tangent is r·ẋ + e·x + f;
            None where it is taken of x.
        parameters: depthwise [c, 1, k, k] if it has one, pointwise [c_out, c, 1, 1].
        parameters_t: their tangents, where x has one.
    """
    channels = parameters[-1].shape[0]
    size = [-(-side // unit.stride) for side in x.shape[2:]]
    shape = (x.shape[0], channels, *size)
    y = torch.empty(shape, dtype=x.dtype, memory_format=torch.channels_last)
    yt = None if xt is None else empty_like(y)
    out = np.empty((4, channels))
    dims = _dims(unit, x, channels)
    before = None if before is None else before.astype(_numpy_type(x))
    weights = _ends(parameters, parameters_t)
    given = map(_at, (dims, x, xt, before, *weights, y))
    _call("unit_forward", x.dtype, *given, _at(yt), _at(out))
    return y, yt, out


def unit_backward(
    unit: Unit,
    x: Tensor,
    xt: Tensor | None,
    before: Array | None,
    parameters: Sequence[Tensor],
    parameters_t: Sequence[Tensor] | None,
    adjoints: tuple[Tensor | None, Tensor | None],
    outputs: tuple[Tensor, Tensor | None],
    scales: Array,
    into: tuple[Tensor, Tensor | None],
    add: tuple[bool, bool],
    *,
    with_parameters: bool,
) -> tuple[list[Tensor], Array]:
    """Pull back through a unit.

    The adjoint of its output y is k0 + k1·g + k2·p + k3·y + k4·ẏ and that of ẏ, where there is
    one, k5 + k6·p + k7·y, per channel.

    Args:
        unit, x, xt, before, parameters, parameters_t: as in `unit_forward`.
        adjoints: g and p.
        outputs: y and ẏ.
        scales: k, eight rows, of which only 0, 1 and 3 count without a tangent.
        into: where the adjoint t of what relu is taken of goes, and tp, that of its tangent.
        add: whether to add to what is there.
        with_parameters: whether the parameters' gradients are wanted.

    Returns:
        The parameters' gradients, and per channel Σt, Σt·x, Σtp, Σtp·x, Σtp·ẋ.
    """
    sums = np.zeros((5, x.shape[1]))
    slopes = [torch.empty_like(parameter) for parameter in parameters] if with_parameters else []
    dims = _dims(unit, x, outputs[0].shape[1])
    k = np.ascontiguousarray(scales, dtype=_numpy_type(x))
    before = None if before is None else before.astype(_numpy_type(x))
    weights = _ends(parameters, parameters_t)
    _call(
        "unit_backward",
        x.dtype,
        *map(_at, (dims, x, xt, before, *weights, *adjoints, *outputs, k, *into)),
        add[0] + 2 * add[1],
        *((_at(slopes[0]), _at(slopes[-1])) if slopes else (None, None)),
        _at(sums),
    )
    return slopes, sums


def _call(name: str, dtype: torch.dtype, *arguments: Any) -> None:
    library = kernels().library
    assert library is not None  # asked before a node is built
    suffix = "f32" if dtype == torch.float32 else "f64"
    getattr(library, f"{name}_{suffix}")(*arguments, torch.get_num_threads())


def _at(x: Tensor | Array | None) -> int | None:
    if x is None:
        return None
    return x.data_ptr() if isinstance(x, Tensor) else x.ctypes.data


def _array_of(tensors: Sequence[Tensor]) -> Any:
    return (ctypes.c_void_p * len(tensors))(*[x.data_ptr() for x in tensors])


def _numpy_type(x: Tensor) -> Any:
    return np.float32 if x.dtype == torch.float32 else np.float64


def _dims(unit: Unit, x: Tensor, channels: int) -> Array:
    n, c, h, w = x.shape
    return np.array([n, h, w, c, channels, unit.size, unit.stride, unit.dilation], dtype=np.int64)


def _ends(
    parameters: Sequence[Tensor], tangents: Sequence[Tensor] | None
) -> tuple[Tensor | None, ...]:
    """Depthwise and its tangent, pointwise and its tangent."""
    there = tangents or (None, None)
    return parameters[0], there[0], parameters[-1], there[-1]
