"""Plain data in text: JSON, or Python's literals as tools print them. Parsed, never evaluated."""

import ast
import json
import warnings
from typing import Any

_QUOTES = str.maketrans({"‘": "'", "’": "'", "“": '"', "”": '"', "\u00a0": " "})
"""Quotes and spaces as word processors and web pages change them."""
_NUMBERS = ("int", "int8", "int16", "int32", "int64", "intp", "tensor", "float", "float32")
_LISTS = ("list", "tuple", "array", "tensor")


def plain_quotes(text: str) -> str:
    """`text` with straight quotes and plain spaces."""
    return text.translate(_QUOTES)


def from_literal(text: str) -> Any:
    """The value of JSON or of a Python literal: dicts, lists (tuples too), text, numbers, None.

    Raises:
        ValueError: it is neither.
    """
    try:
        return json.loads(text, object_pairs_hook=_each_once)
    except RecursionError as error:
        raise ValueError("a genotype must not nest as deeply as this one.") from error
    except json.JSONDecodeError as error:
        try:
            return plain(parsed(text))
        except SyntaxError:
            raise ValueError(
                f"a genotype in brackets must hold JSON, or what Python prints; this one fails at "
                f"line {error.lineno}, column {error.colno}: {error.msg}. It begins {text[:40]!r}."
            ) from error
    except _TwiceError:
        raise
    except ValueError as error:  # Python reads no number of more than 4,300 digits
        raise ValueError(
            f"a genotype holds numbers of a few digits; this one fails: {error}."
        ) from error


class _TwiceError(ValueError):
    """A name stands twice in one object."""


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _TwiceError(
            f"a genotype names each thing once; {twice!r} stands twice in one object."
        )
    return found


def parsed(text: str) -> ast.expr:
    """The one expression in `text`.

    Raises:
        SyntaxError: there is none, or more.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about odd escapes, in text that is not ours
            return ast.parse(text.strip(), mode="eval").body
    except (ValueError, RecursionError, MemoryError) as error:
        raise SyntaxError(str(error) or "it nests too deeply") from error


def plain(node: ast.expr) -> Any:
    """Lists, tuples, dicts, text and numbers as JSON would hold them, and ranges written out.

    NumPy's and PyTorch's numbers and arrays of numbers, as they print themselves, are read too.

    Raises:
        ValueError: there is anything else in it.
    """
    match node:
        case ast.Constant(value=str() | int() | float() | None as value):
            return value
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return [plain(item) for item in items]
        case ast.Dict(keys=keys, values=values) if None not in keys:
            names = [plain(key) for key in keys if key is not None]
            if all(isinstance(name, str) for name in names) and len(set(names)) == len(names):
                return dict(zip(names, map(plain, values), strict=True))
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=args, keywords=[]):
            found = _of_call(name, [plain(argument) for argument in args])
            if found is not None:
                return found
    raise ValueError(
        f"a genotype in Python's notation holds lists, tuples, dicts, text, whole numbers and "
        f"ranges; found a {type(node).__name__} in line {node.lineno}, column "
        f"{node.col_offset + 1}."
    )


def _of_call(name: str, values: list[Any]) -> Any:
    """The value of range(2, 6), np.int64(3) or array([2, 3]); None if it is no such call."""
    numbers = all(type(value) is int for value in values)
    if name == "range" and len(values) in (1, 2) and numbers:
        start, stop = [0, *values][-2:]
        if 0 <= stop - start <= 100:
            return list(range(start, stop))
    if len(values) == 1 and name in _NUMBERS and isinstance(values[0], int | float):
        return values[0]
    if len(values) == 1 and name in _LISTS and isinstance(values[0], list):
        return values[0]
    return None
