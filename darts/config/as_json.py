"""Configs as JSON and back, and what differs between two of them."""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from darts.config.declared import default_of, require_declared
from darts.nearest import RENAMED
from darts.spaces import Space, named_by_edges

LOCATIONS = frozenset(
    {"data.root", "data.download", "data.workers", "accuracy_table", "latency_table"}
)
"""Settings that say where the data are and who reads them, not what they are: a resumed run may
change them."""


def to_json(value: Any) -> Any:
    """A config as JSON: each dataclass is an object with its fields and its "type"."""
    if is_dataclass(value) and not isinstance(value, type):
        later = getattr(value, "later", ())  # left out unless set, as in configs from before them
        content = {
            entry.name: to_json(getattr(value, entry.name))
            for entry in fields(value)
            if entry.name not in later or getattr(value, entry.name) != default_of(entry)
        }
        return {"type": type(value).__name__, **content}
    if isinstance(value, (tuple, list)):
        return [to_json(item) for item in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(
        f"A config holds numbers, text, tuples and dataclasses; found {type(value).__name__} "
        f"({value!r}), which JSON cannot record."
    )


def with_current_names(content: Any) -> Any:
    """A config as JSON, written with any names that settings and classes ever had, with today's."""
    if isinstance(content, list):
        return [with_current_names(item) for item in content]
    if not isinstance(content, dict):
        return content
    found = {key: with_current_names(item) for key, item in content.items()}
    if not isinstance(found.get("type"), str):
        return found
    kind = RENAMED.get(found["type"], found["type"])
    return {RENAMED.get(key, key): item for key, item in found.items()} | {"type": kind}


def from_json(content: Any, types: Mapping[str, type]) -> Any:
    """The inverse of `to_json`, with `types` naming every dataclass that may occur.

    Raises:
        ValueError: a type is not in the table, a field is unknown or missing, or a value is not
            what its field declares.
    """
    return _from_json(with_current_names(content), types)


def _from_json(content: Any, types: Mapping[str, type]) -> Any:
    if isinstance(content, list):
        return tuple(_from_json(item, types) for item in content)
    if not isinstance(content, dict):
        return content
    name = str(content.get("type"))
    if name not in types:
        raise ValueError(
            f"The config names type {name!r}, which is not known here. If it is a data set of your "
            "own, call register_data_set for it first, as the script that began the run did: run "
            "that script in place of darts. If not, use the version that wrote it."
        )
    if types[name] is Space:
        content = named_by_edges(content)
    values = {key: _from_json(item, types) for key, item in content.items() if key != "type"}
    declared = {entry.name for entry in fields(types[name])}
    later = declared & set(getattr(types[name], "later", ()))
    if set(values) | later != declared:
        unknown, absent = sorted(set(values) - declared), sorted(declared - later - set(values))
        raise ValueError(
            f"The config's {name} does not fit this version: unknown fields {unknown or 'none'}, "
            f"missing fields {absent or 'none'}. Use the version that wrote it."
        )
    require_declared(types[name], values)
    return types[name](**values)


def differences(first: Any, second: Any) -> list[str]:
    """The settings in which two configs as JSON differ, e.g. "search.epochs: 50 ≠ 20"."""
    left, right = (dict(_leaves("", with_current_names(x))) for x in (first, second))
    return [
        f"{name}: {left.get(name, 'absent')} ≠ {right.get(name, 'absent')}"
        for name in sorted(left.keys() | right.keys())
        if name not in LOCATIONS and left.get(name, _ABSENT) != right.get(name, _ABSENT)
    ]


_ABSENT = object()


def _leaves(prefix: str, content: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(content, dict):
        if content.get("type") == Space.__name__:
            content = named_by_edges(content)
        for key, item in content.items():
            yield from _leaves(f"{prefix}.{key}" if prefix else key, item)
    else:
        yield prefix, content
