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
    given = _map(y, y), _map(yt, y)
    _call("moments", y.dtype, *given, images, height * width, channels, _host(out, out.shape))
    return out


@dataclass
class Sum:
    """out (+)= scales[0] + Σ scales[1 + i] · x[i], scales per channel."""

    out: Tensor
    scales: Array
    add: bool = False


def combine(terms: Sequence[Tensor], whole: Sum, part: Sum | None = None) -> None:
    """Make `whole` of all terms, and `part` of the first of them, reading each once."""
    out, channels, dtype = whole.out, whole.out.shape[1], _numpy_type(whole.out)
    k = np.ascontiguousarray(whole.scales, dtype=dtype)
    at_k = _host(k, (len(terms) + 1, channels))
    arguments: list[Any] = [_maps(terms, out), at_k, _map(out, out), int(whole.add)]
    if part is None:
        arguments += [0, None, None, 0]
    else:
        k2 = np.ascontiguousarray(part.scales, dtype=dtype)
        own = len(k2) - 1
        at_k2 = _host(k2, (min(own, len(terms)) + 1, channels))
        arguments += [own, at_k2, _map(part.out, out), int(part.add)]
    _call("combine", out.dtype, pixels(out), channels, len(terms), *arguments)


def dots(
    g: Tensor, terms: Sequence[Tensor], g_part: Tensor | None = None, part: int = 0
) -> tuple[Array, Array | None]:
    """Per channel: Σ g, and Σ g·x for every x; and the same of `g_part` with the first `part`."""
    count, channels = len(terms), g.shape[1]
    out = np.empty((count + 1 + (0 if g_part is None else part + 1), channels))
    if not 0 <= part <= count:
        raise ValueError(f"dots of the first {part} of {count} maps.")
    given = (_map(g, g), _maps(terms, g), part, _map(g_part, g), _host(out, out.shape))
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
    own = _parameters(unit, x, channels, parameters, parameters_t)
    size = [-(-side // unit.stride) for side in x.shape[2:]]
    shape = (x.shape[0], channels, *size)
    y = torch.empty(shape, dtype=x.dtype, memory_format=torch.channels_last)
    yt = None if xt is None else empty_like(y)
    out = np.empty((4, channels))
    dims = _dims(unit, x, channels)
    before = None if before is None else before.astype(_numpy_type(x))
    given = _host(dims, (8,)), _map(x, x), _map(xt, x), _host(before, (5, x.shape[1]))
    made = _map(y, y), _map(yt, y), _host(out, out.shape)
    _call("unit_forward", x.dtype, *given, *own, *made)
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
    gradients = [torch.empty_like(parameter) for parameter in parameters] if with_parameters else []
    y, channels = outputs[0], outputs[0].shape[1]
    dims = _dims(unit, x, channels)
    k = np.ascontiguousarray(scales, dtype=_numpy_type(x))
    before = None if before is None else before.astype(_numpy_type(x))
    given = _host(dims, (8,)), _map(x, x), _map(xt, x), _host(before, (5, x.shape[1]))
    _call(
        "unit_backward",
        x.dtype,
        *given,
        *_parameters(unit, x, channels, parameters, parameters_t),
        *(_map(each, y) for each in (*adjoints, *outputs)),
        _host(k, (8, channels)),
        *(_map(each, x) for each in into),
        add[0] + 2 * add[1],
        *((_at(gradients[0]), _at(gradients[-1])) if gradients else (None, None)),
        _host(sums, sums.shape),
    )
    return gradients, sums


def _call(name: str, dtype: torch.dtype, *arguments: Any) -> None:
    library = kernels().library
    assert library is not None  # asked before a node is built
    suffix = "f32" if dtype == torch.float32 else "f64"
    getattr(library, f"{name}_{suffix}")(*arguments, torch.get_num_threads())


def _at(x: Tensor | Array | None) -> int | None:
    if x is None:
        return None
    return x.data_ptr() if isinstance(x, Tensor) else x.ctypes.data


# Every pointer that goes into native code comes from the three functions below, or belongs to a
# tensor that was made here like one of theirs: what lies there is as the code reads it.


def _map(x: Tensor | None, like: Tensor) -> int | None:
    """Where a feature map lies that is dense, channels last, of the size and type of `like`."""
    if x is None:
        return None
    if x.shape != like.shape or x.dtype != like.dtype or x.device.type != "cpu":
        raise ValueError(
            f"native kernels add and convolve maps of one size: found {_said(x)} beside "
            f"{_said(like)}."
        )
    place = x.data_ptr()
    dense = x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last)
    if not dense or place % x.element_size():
        raise ValueError(
            f"a map of native kernels is dense, channels last and aligned; found {_said(x)} at "
            f"{place:#x}."
        )
    return place


def require_alike(maps: Sequence[Tensor]) -> None:
    """Raise ValueError unless maps can be added."""
    for x in maps:
        _map(x, maps[0])


def _maps(maps: Sequence[Tensor], like: Tensor) -> Any:
    return (ctypes.c_void_p * len(maps))(*[_map(x, like) for x in maps])


def _host(x: Array | None, shape: tuple[int, ...]) -> int | None:
    """Where an array of that shape lies."""
    if x is None:
        return None
    if x.shape != tuple(shape) or not x.flags.c_contiguous:
        raise ValueError(
            f"native kernels read an array of {tuple(shape)}; found {x.shape}, strides {x.strides}."
        )
    return int(x.ctypes.data)


def _parameters(
    unit: Unit,
    x: Tensor,
    channels: int,
    parameters: Sequence[Tensor],
    tangents: Sequence[Tensor] | None,
) -> list[int | None]:
    """Where the depthwise weights and their tangent lie, the pointwise ones and theirs."""
    width = x.shape[1]
    shapes = [(width, 1, unit.size, unit.size)] if unit.size else []
    shapes.append((channels, width, 1, 1))
    for given in (parameters, *(() if tangents is None else (tangents,))):
        for weight, shape in zip(given, shapes, strict=True):
            fits = tuple(weight.shape) == shape and weight.dtype == x.dtype
            if not fits or weight.device.type != "cpu" or not weight.is_contiguous():
                raise ValueError(
                    f"native kernels read weights of {shape} for a map of {_said(x)}; found "
                    f"{_said(weight)}."
                )
    there = tangents or (None, None)
    return [_at(each) for each in (parameters[0], there[0], parameters[-1], there[-1])]


def _said(x: Tensor) -> str:
    return f"{tuple(x.shape)} (strides {x.stride()}, {x.dtype}, {x.device})"


def _numpy_type(x: Tensor) -> Any:
    return np.float32 if x.dtype == torch.float32 else np.float64


def _dims(unit: Unit, x: Tensor, channels: int) -> Array:
    n, c, h, w = x.shape
    return np.array([n, h, w, c, channels, unit.size, unit.stride, unit.dilation], dtype=np.int64)
