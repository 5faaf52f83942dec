"""Declarations of a config's fields: types, and the ranges of their numbers."""

import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass
from functools import cache
from math import inf
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from typeguard import CollectionCheckStrategy, TypeCheckError, check_type

MOST = 1_000_000
"""Largest whole number in a config, seeds apart: epochs, sizes in images, channels, pixels."""


@dataclass(frozen=True)
class Must:
    """A condition on a field's numbers, in the field's `Annotated` type."""

    be: str
    holds: Callable[[float], bool]


def at_most(most: int) -> Must:
    return Must(f"{most:,} or less", lambda x: x <= most)


AT_LEAST_ONE = Must("1 or more", lambda x: x >= 1)
Count = Annotated[int, AT_LEAST_ONE]
Batch = Annotated[
    int, Must("2 or more, because batch norm over one image can give a constant", lambda x: x >= 2)
]
"""Images of a training step."""
Whole = Annotated[int, Must("0 or more", lambda x: x >= 0)]
Positive = Annotated[float, Must("positive and finite", lambda x: 0 < x < inf)]
NotNegative = Annotated[float, Must("finite and not negative", lambda x: 0 <= x < inf)]
Decay = Annotated[float, Must("at least 0 and below 1", lambda x: 0 <= x < 1)]
Share = Annotated[float, Must("strictly between 0 and 1", lambda x: 0 < x < 1)]
CheckpointShare = Annotated[
    float,
    Must(
        "above 0 and at most 1, which is a checkpoint after every step",
        lambda x: 0 < x <= 1,
    ),
]
Pixels = Annotated[Whole, at_most(1000)]
"""Of a border or a square: beyond that no machine could hold the image."""
Cells = Annotated[Count, at_most(1000)]


def default_of(entry: "Field[Any]") -> Any:
    """The value of a dataclass's field that is left out; `MISSING` if it must be given."""
    return entry.default if entry.default_factory is MISSING else entry.default_factory()


def require_declared(kind: type, values: Mapping[str, Any]) -> None:
    """Raise ValueError unless each value is what `kind` declares for its field.

    A whole number passes where a float is declared, a truth value passes for nothing but itself,
    and a whole number beyond `MOST` for nothing but a seed: it would ask for memory that no
    machine has, or for years.
    """
    plain, hints = _hints(kind)
    for name in values.keys() & plain.keys():
        value, declared = values[name], plain[name]
        numbers = value if isinstance(value, tuple) else (value,)
        if not fits(value, declared):
            raise ValueError(_refusal(kind, name, value, in_words(declared)))
        for number in numbers:
            if type(number) is int and abs(number) > MOST and "seed" not in name:
                raise ValueError(_refusal(kind, name, number, f"{MOST:,} or less"))
            for must in _conditions(hints[name]) if type(number) in (int, float) else ():
                if not must.holds(number):
                    raise ValueError(_refusal(kind, name, number, must.be))


@cache
def _hints(kind: type) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    return get_type_hints(kind), get_type_hints(kind, include_extras=True)


def _conditions(hint: Any) -> list[Must]:
    """Those of the hint, and of the alternatives or entries that it has."""
    parts = [inner for part in (hint, *get_args(hint)) for inner in (part, *get_args(part))]
    return [part for part in parts if isinstance(part, Must)]


def fits(value: Any, hint: Any) -> bool:
    """Whether a value, or each entry of a tuple, is of a declared type."""
    items = value if isinstance(value, tuple) else (value,)
    if bool in map(type, items) and hint is not Any and bool not in (hint, *get_args(hint)):
        return False  # Python's isinstance takes it for a whole number
    try:
        check_type(value, hint, collection_check_strategy=CollectionCheckStrategy.ALL_ITEMS)
    except TypeCheckError:
        return False
    return True


def in_words(hint: Any) -> str:
    """A type as messages call it."""
    names = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
    if hint is None or hint is type(None):
        return "null"
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return " or ".join(map(in_words, arguments))
    if origin is tuple:
        return "a list of " + " and ".join(in_words(a) for a in arguments if a is not ...)
    return names.get(hint, getattr(hint, "__name__", str(hint)))


def _refusal(kind: type, name: str, value: Any, words: str) -> str:
    try:
        shown = repr(value)
    except ValueError:  # thousands of digits
        shown = f"a number of {value.bit_length()} bits"
    shown = shown if len(shown) <= 60 else shown[:57] + "..."
    return f"{kind.__name__}({name}={shown}): it must be {words}."
