"""Values read from a file, held against the types that a dataclass declares."""

import types
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

MOST = 1_000_000
"""Largest whole number in a config, seeds apart: epochs, sizes in images, channels, pixels."""


def require_types(kind: type, values: Mapping[str, Any]) -> None:
    """Raise ValueError unless each value is of the type that `kind` declares for its field.

    A whole number passes where a float is declared, a truth value passes for nothing but itself,
    and a whole number beyond `MOST` for nothing but a seed: it would ask for memory that no
    machine has, or for years.
    """
    hints = _hints(kind)
    for name, value in values.items():
        if name in hints and not _fits(value, hints[name]):
            raise ValueError(
                f"The config's {kind.__name__}.{name} is {_shown(value)}; it must be "
                f"{_words(hints[name])}."
            )
        for number in value if isinstance(value, tuple) else (value,):
            if type(number) is int and abs(number) > MOST and "seed" not in name:
                raise ValueError(
                    f"The config's {kind.__name__}.{name} holds {_shown(number)}; whole numbers "
                    f"go up to {MOST:,} there."
                )


@cache
def _hints(kind: type) -> Mapping[str, Any]:
    return get_type_hints(kind)


def _fits(value: Any, hint: Any) -> bool:
    if hint is Any:
        return True
    if hint is None or hint is type(None):
        return value is None
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return any(_fits(value, argument) for argument in arguments)
    if origin is Literal:
        return value in arguments
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        if arguments[1:] == (...,):
            return all(_fits(item, arguments[0]) for item in value)
        return len(value) == len(arguments) and all(map(_fits, value, arguments))
    if hint is float:
        return type(value) in (int, float)
    if hint in (int, bool, str):
        return type(value) is hint
    try:
        return isinstance(value, hint)
    except TypeError:  # a protocol that cannot be asked
        return True


def _words(hint: Any) -> str:
    names = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
    if hint is None or hint is type(None):
        return "null"
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return " or ".join(map(_words, arguments))
    if origin is tuple:
        return "a list of " + " and ".join(_words(a) for a in arguments if a is not ...)
    return names.get(hint, getattr(hint, "__name__", str(hint)))


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except ValueError:  # thousands of digits
        return f"a number of {value.bit_length()} bits"
    return text if len(text) <= 60 else text[:57] + "..."
