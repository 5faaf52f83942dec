"""A command's help on one screen: what it does, examples, and the options that people change."""

import inspect
import re
import textwrap
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields, is_dataclass
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from docstring_parser import parse

from darts.commands.command import Command
from darts.config.declared import default_of
from darts.config.spelling import SHORT, Folders, Seed
from darts.names import NAMES
from darts.spaces import Space

WIDTH = 98


@dataclass(frozen=True)
class Option:
    """One option of a command, or an argument without dashes.

    Attributes:
        name: as it is typed, "--search.epochs"; an argument without dashes in capitals, "SOURCE".
        about: its help text.
        default: its value where it is left out; None if it has none.
        needed: whether it must be given.
    """

    name: str
    about: str
    default: str | None = None
    needed: bool = False

    @property
    def is_argument(self) -> bool:
        return not self.name.startswith("--")


def options_of(kind: type, usual: Any = None, stage: str = "") -> list[Option]:
    """All options of a command, with defaults where `usual` is its options untouched."""
    about, hints = _descriptions(kind), get_type_hints(kind, include_extras=True)
    found = []
    for entry in fields(kind):
        hint = hints[entry.name]
        value = default_of(entry) if usual is None else getattr(usual, entry.name)
        marks = hint.__metadata__ if get_origin(hint) is Annotated else ()
        plain = get_args(hint)[0] if marks else hint
        if hint == Seed:
            continue
        if is_dataclass(plain) and plain not in NAMES and plain is not Space:
            found += options_of(plain, value, f"{entry.name}.")  # type: ignore[arg-type]
            continue
        name = ("" if SHORT in marks else stage) + entry.name
        needed = value is MISSING
        bare = needed or hint == Folders
        typed = name.upper() if bare else f"--{name.replace('_', '-')}"
        found.append(Option(typed, about.get(entry.name, ""), _shown(plain, value), needed))
    return found


def screenful(kind: type[Command], command: str, usual: Any) -> str:
    """The short help of a command."""
    options = options_of(kind, usual)
    arguments = {
        title: [o for o in options if o.is_argument and o.needed is needed]
        for title, needed in (("needed:", True), ("optional:", False))
    }
    chosen = [next(o for o in options if o.name == f"--{name}") for name in kind.main.split()]
    words = [option.name for option in arguments["needed:"]]
    words += [f"[{option.name}]" for option in arguments["optional:"]]
    usage = " ".join(("darts", command, *words, "[OPTIONS]" if chosen else "")).rstrip()
    lines = [f"usage: {usage}", "", *_wrapped(_purpose(kind))]
    lines += ["", "examples:", *(f"  {example}" for example in kind.examples), ""]
    for title, group in arguments.items():
        if group:
            lines += [title, *_rows(group), ""]
    if chosen:
        lines += ["options:", *_rows(chosen), ""]
    rest = len(options) - len(chosen) - len(words)
    if rest:
        lines += [f"--help-all lists {rest} more."]
    return "\n".join(lines).rstrip()


def _rows(options: list[Option]) -> Iterator[str]:
    wide = max(len(option.name) for option in options) + 2
    for option in options:
        default = f" [{option.default}]" if option.default else ""
        first, *rest = _wrapped(_clause(option.about) + default, WIDTH - wide - 2)
        yield f"  {option.name:{wide}}{first}"
        yield from (" " * (wide + 2) + line for line in rest)


def _wrapped(text: str, width: int = WIDTH) -> list[str]:
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)


def _clause(text: str) -> str:
    """The first sentence of a description."""
    return re.split(r"(?<=[^.])\. ", text)[0].rstrip(".")


def _purpose(kind: type) -> str:
    described = parse(inspect.getdoc(kind) or "")
    parts = (described.short_description, described.long_description)
    return " ".join(" ".join(part.split()) for part in parts if part)


def _descriptions(kind: type) -> dict[str, str]:
    """By field; a class's own docstring before those of the classes that it builds on."""
    found: dict[str, str] = {}
    for owner in reversed(kind.__mro__):
        for entry in parse(inspect.cleandoc(owner.__dict__.get("__doc__") or "")).params:
            found[entry.arg_name] = " ".join((entry.description or "").split())
    return found


def _shown(hint: Any, value: Any) -> str | None:
    if value is None or value is MISSING or value == ():
        return None
    if isinstance(value, Space):
        return value.name
    if hint in NAMES:
        return NAMES[hint].write(value)
    if isinstance(value, bool):
        return None if value is False else "on"
    if isinstance(value, tuple):
        return " ".join(map(str, value))
    return str(value)
