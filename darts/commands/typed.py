"""Typed words become a command's options, or are refused in one line."""

import io
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from dataclasses import fields, is_dataclass
from typing import Any, get_type_hints

import tyro

from darts.commands.command import Command, Invocation
from darts.commands.errors import UsageError, for_the_user, refusing
from darts.commands.help import Option, options_of
from darts.config.retrain import RetrainConfig
from darts.config.search import SearchConfig
from darts.names import NAMES
from darts.nearest import nearest
from darts.spaces import SPACES, Space, space_named

ALL = "--help-all"
PLAINLY = {
    r"(\S+): invalid literal for int\(\) .*: '(.*)'": r"\1 \2: it must be a whole number.",
    r"(\S+): could not convert string to float: '(.*)'": r"\1 \2: it must be a number.",
    r"Missing value for argument '(\S+)'\. Expected 1 values\.": r"\1 needs a value.",
    r"Missing value for argument '(\S+)'\. Expected (\d+) values\.": r"\1 needs \2 values.",
    r"invalid choice '(.*)' for argument '(\S+)'\. Expected one of \((.*)\)\.": (
        r"\2 \1: there are \3."
    ),
}
"""tyro's messages about a value that it cannot read, and the message given instead."""
STAGES: Mapping[type, str] = {SearchConfig: "search", RetrainConfig: "retrain"}
"""By the settings of a stage: its name in the options that messages speak of."""


def read(kind: type[Command], given: Invocation) -> Command:
    """The command with its options.

    Raises:
        UsageError: there is no such option, a value is missing or cannot be, or there is no such
            preset.
    """
    with refusing():
        usual = kind.usual(given)
        with _in_one_line(kind, given.command):
            command, rest = tyro.cli(
                kind,
                prog=f"darts {given.command}",
                args=[{ALL: "--help", **kind.short}.get(word, word) for word in given.arguments],
                default=usual,
                config=(tyro.conf.PositionalRequiredArgs,),
                registry=_registry(),
                return_unknown_args=True,
            )
        if rest:
            raise UsageError(_unknown_word(rest, options_of(kind, usual), given.command))
        assert command is not None  # `usual` alone may be None
        return command


def _unknown_word(rest: list[str], options: list[Option], command: str) -> str:
    """The refusal of the first word that is no option and no value of one."""
    word = next((word for word in rest if word.startswith("-")), rest[0]).partition("=")[0]
    if not word.startswith("-"):
        return f"{command} takes no {word!r}. darts {command} --help says what it takes."
    near = nearest(word, [option.name for option in options])
    meant = f" Did you mean {near}?" if near else ""
    return f"No option {word}.{meant} darts {command} --help-all lists all there are."


@contextmanager
def _in_one_line(kind: type[Command], command: str) -> Iterator[None]:
    """Turn what tyro shows in a box of its own, before it exits, into a UsageError."""
    shown = io.StringIO()
    try:
        with redirect_stderr(shown):
            yield
    except SystemExit as stop:
        if not stop.code:  # help was asked for
            raise
        error: BaseException | None = stop
        while error is not None and not (isinstance(error, ValueError) and for_the_user(error)):
            error = error.__context__
        message = _first_section(shown.getvalue()) if error is None else str(error)
        needed = [option for option in options_of(kind) if option.needed]
        if error is None and message.startswith(("Missing from", "The following arguments")):
            message = f"{command} needs {needed[0].name}: {needed[0].about}"
        raise UsageError(_plainly(message)) from None


def _first_section(box: str) -> str:
    """The text in a box of tyro's, between its title and the first ruler after it."""
    lines = (line.strip("│|╭╮╰╯ ") for line in box.splitlines()[1:])
    sections = re.split(r"(?:^|\n)[─-]{3,}(?:\n|$)", "\n".join(lines))
    first = next((section for section in sections if section.strip()), box)
    return " ".join(first.split()).removeprefix("Error parsing ")


def _plainly(message: str) -> str:
    """tyro's words about a value, without Python's."""
    for pattern, words in PLAINLY.items():
        message = re.sub(pattern, words, message)
    return message


def in_options(message: str, kind: type[Command]) -> str:
    """A message about a command's configs and their options, in the spelling of its own line."""
    names = {option.name for option in options_of(kind)} | {"--seed"}
    for entry in fields(kind):  # type: ignore[arg-type]
        config = get_type_hints(kind)[entry.name]

        def spelled(match: re.Match[str], stage: str = entry.name) -> str:
            return ", ".join(
                f"{option if option in names else long} {value}"
                for field, value in re.findall(r"(\w+)=([^,]*)", match[1])
                if (option := f"--{field.replace('_', '-')}")
                if (long := f"--{stage}.{field.replace('_', '-')}")
            )

        if isinstance(config, type) and is_dataclass(config):
            name = config.__name__
            message = re.sub(rf"\b{name}\(([^()]+)\)", spelled, message)
            stage = STAGES.get(config)
            if stage is not None:
                message = message.replace(f"--{stage}.", f"--{entry.name}.")
    return message


def _registry() -> tyro.constructors.ConstructorRegistry:
    """How named values and spaces are read from the command line and shown in its help."""
    registry = tyro.constructors.ConstructorRegistry()

    @registry.primitive_rule
    def named(info: tyro.constructors.PrimitiveTypeInfo) -> Any:
        if info.type in NAMES:
            names, declared = NAMES[info.type], info.type
            return tyro.constructors.PrimitiveConstructorSpec(
                nargs=1,
                metavar=names.form,
                instance_from_str=lambda words: names.read(words[0]),
                is_instance=lambda value: isinstance(value, declared),
                str_from_instance=lambda value: [names.write(value)],
            )
        if info.type is Space:
            return tyro.constructors.PrimitiveConstructorSpec(
                nargs=1,
                metavar="{" + ",".join(SPACES) + "}",
                instance_from_str=lambda words: space_named(words[0]),
                is_instance=lambda value: isinstance(value, Space),
                str_from_instance=lambda value: [value.name],
            )
        return None

    return registry
