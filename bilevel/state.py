"""A state as bytes: tensors as safetensors, everything around them as JSON in its header."""

import json
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

State = dict[str, Any]
"""Tensors, numbers, text, None, and dictionaries, lists and tuples of them."""

Content = dict[str, Tensor]


def pack(state: State) -> bytes:
    """The state as one safetensors file. Values, types and memory layout come back by `unpack`.

    The layout matters to the last bit: a momentum buffer in channels-last order is summed in
    another order than a contiguous one.

    Raises:
        TypeError: the state holds something that `State` does not allow.
    """
    tensors: Content = {}
    tree = _describe(state, tensors)
    return safetensors.torch.save(tensors, {"tree": json.dumps(tree, allow_nan=True)})


def unpack(content: bytes) -> State:
    """The inverse of `pack`, on the CPU.

    Raises:
        ValueError: the bytes are no state.
    """
    try:
        tensors = safetensors.torch.load(content)
        length = int.from_bytes(content[:8], "little")
        tree = json.loads(content[8 : 8 + length])["__metadata__"]["tree"]
        state = _rebuild(json.loads(tree), tensors)
    except (safetensors.SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"not a packed state: {type(error).__name__}: {error}") from error
    if not isinstance(state, dict):
        raise ValueError(f"not a packed state: it holds a {type(state).__name__}.")
    return state


def find_non_finite(state: State) -> str | None:
    """The place of the first floating tensor with an infinity or NaN, e.g. "/alpha/normal"."""
    tensors: Content = {}
    _describe(state, tensors)
    for place, value in tensors.items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            return place
    return None


def _describe(value: Any, tensors: Content, place: str = "") -> Any:
    """JSON for `value`; its tensors go to `tensors` under their places."""
    if isinstance(value, Tensor):
        if place in tensors:
            raise TypeError(f"two tensors of a state are both at {place}; rename one")
        stride = value.stride()
        order = sorted(range(value.ndim), key=lambda axis: -stride[axis])
        tensors[place] = value.detach().permute(order).to("cpu", copy=True).contiguous()
        return ["tensor", place, order]
    if isinstance(value, dict):
        return [
            "dict",
            [[key, _describe(item, tensors, f"{place}/{key}")] for key, item in value.items()],
        ]
    if isinstance(value, (list, tuple)):
        kind = "list" if isinstance(value, list) else "tuple"
        return [kind, [_describe(x, tensors, f"{place}/{i}") for i, x in enumerate(value)]]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"A state holds tensors, numbers and text; {place} is a {type(value).__name__}")


def _rebuild(tree: Any, tensors: Content) -> Any:
    match tree:
        case ["tensor", place, order]:
            inverse = [order.index(axis) for axis in range(len(order))]
            return tensors[place].permute(inverse)
        case ["dict", items]:
            return {key: _rebuild(item, tensors) for key, item in items}
        case ["list", items]:
            return [_rebuild(item, tensors) for item in items]
        case ["tuple", items]:
            return tuple(_rebuild(item, tensors) for item in items)
        case None | bool() | int() | float() | str():
            return tree
    raise ValueError(f"unknown node {str(tree)[:60]}")
