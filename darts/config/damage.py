"""What is wrong in a config.json that anyone may have changed: the first entry, by its key."""

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, get_args, get_type_hints

from darts.config.declared import fits, in_words
from darts.config.full import FullConfig

NEEDED = frozenset(
    {
        *("preset", "data", "search", "retrain", "seed", "space", "mixing", "estimator"),
        *("epochs", "cells", "channels", "name", "operations", "edges"),
    }
)
"""Entries of every version; another one may be absent where an older version wrote the file."""


def damage(content: Any, types: Mapping[str, type], where: str = "") -> str | None:
    """The first entry that is not what its setting declares, in words; None if there is none.

    Objects of types that are not in the table, such as a data set of one's own, are not looked
    into.

    Args:
        content: a config as JSON.
        types: the dataclasses that are looked into, by name.
        where: the key of the content, as a prefix of those within.
    """
    if not isinstance(content.get("type"), str):
        return f"{where}type is {_shown(content['type']) if 'type' in content else 'missing'}"
    kind = types.get(content["type"])
    if kind is None:
        return None
    hints = get_type_hints(kind)
    for name in (entry.name for entry in fields(kind)):
        key = f"{where}{name}"
        if name not in content:
            if name in NEEDED:
                return f"{key} is missing"
            continue
        value, declared = content[name], hints[name]
        if isinstance(value, dict):
            if not _holds_objects(declared):
                return f"{key} is {_shown(value)}, and must be {in_words(declared)}"
            within = damage(value, types, f"{key}.") or _of_another(key, value, declared, types)
            if within is not None:
                return within
        elif not _has_objects(value) and not fits(_as_tuples(value), declared):
            return f"{key} is {_shown(value)}, and must be {in_words(declared)}"
    if kind is FullConfig and content["search"] is None and content["retrain"] is None:
        return "search and retrain are both null, and one of them must be there"
    return None


def _holds_objects(declared: Any) -> bool:
    """Whether a setting may be a dataclass or an interface, and not plain values alone."""
    parts = get_args(declared) or (declared,)
    return any(part not in _PLAIN and isinstance(part, type) for part in parts)


_PLAIN = (int, float, bool, str, tuple, list, type(None))


def _of_another(
    key: str, value: Mapping[str, Any], declared: Any, types: Mapping[str, type]
) -> str | None:
    """In words, if an object is of another type than a setting that has one type alone."""
    parts = get_args(declared) or (declared,)
    alone = tuple(part for part in parts if part in types.values())
    kind = types.get(value["type"])
    if not alone or (kind is not None and issubclass(kind, alone)):
        return None
    return f"{key}.type is {_shown(value['type'])}, and {key} must be {in_words(declared)}"


def _as_tuples(value: Any) -> Any:
    return tuple(map(_as_tuples, value)) if isinstance(value, list) else value


def _has_objects(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(i, dict) or _has_objects(i) for i in value)


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
