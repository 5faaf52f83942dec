"""What a command is: its options, what a preset makes of them, and what it does."""

import shlex
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Self

from darts.commands.errors import UsageError
from darts.config.full import FullConfig
from darts.config.presets import PRESETS
from darts.config.retrain import RetrainConfig
from darts.config.search import SearchConfig

PRESET_OF: Mapping[str, str] = {
    "digits": "digits",
    "cifar10": "cifar10-s1-tiny",
    "cifar100": "cifar100-s1-tiny",
    "mnist": "mnist-s1-tiny",
    "fashion-mnist": "fashion-mnist-s1-tiny",
    "imagenet": "imagenet-mobile",
}
"""The preset that a data set stands for when none is named."""


@dataclass(frozen=True)
class Invocation:
    """What was typed.

    Attributes:
        command: the command's name.
        arguments: all that came after it.
    """

    command: str
    arguments: tuple[str, ...]

    @property
    def line(self) -> str:
        """The whole line, as a shell takes it."""
        return shlex.join(("darts", self.command, *self.arguments))

    @property
    def preset(self) -> FullConfig:
        """The preset that is named; it is read first, for it sets all other defaults.

        Raises:
            UsageError: there is none of that name.
        """
        dataset = _value_of("dataset", self.arguments)
        name = _value_of("preset", self.arguments)
        name = name or PRESET_OF.get(dataset or "digits", "digits")
        if name not in PRESETS:
            raise UsageError(f"No preset {name!r}; there are {', '.join(PRESETS)}.")
        return PRESETS[name]


class Command(ABC):
    """A command of `darts`; subclasses are dataclasses, whose fields are its options.

    Attributes:
        short: options of one letter, and what each stands for.
    """

    short: ClassVar[Mapping[str, str]] = MappingProxyType({})

    @classmethod
    def usual(cls, given: Invocation) -> Self | None:
        """Its options where nothing is typed; None if that is what the fields say."""
        return None

    @abstractmethod
    def run(self, given: Invocation) -> int:
        """Do it; the exit status.

        Raises:
            UsageError: it asks for something that cannot be.
        """


def stages_of(given: Invocation) -> tuple[SearchConfig, RetrainConfig]:
    """The preset's settings of search and retraining.

    Raises:
        UsageError: it has no search.
    """
    preset = given.preset
    if preset.search is None:
        raise UsageError(
            f"{given.command} with the preset {preset.preset}, which has no search: it trains a "
            f"genotype. Give darts retrain --preset {preset.preset} --genotype GENOTYPE, or "
            "another preset."
        )
    assert preset.retrain is not None
    return preset.search, preset.retrain


def _value_of(option: str, arguments: Sequence[str]) -> str | None:
    for position, argument in enumerate(arguments):
        if argument == f"--{option}" and position + 1 < len(arguments):
            return arguments[position + 1]
        if argument.startswith(f"--{option}="):
            return argument.partition("=")[2]
    return None
