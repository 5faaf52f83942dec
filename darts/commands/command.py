"""The base class of commands: options, the preset that fills them, and `run()`."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Self

from darts.commands.closing import line_of
from darts.commands.errors import UsageError
from darts.config.full import FullConfig
from darts.config.presets import PRESETS
from darts.config.retrain import RetrainConfig
from darts.config.search import SearchConfig
from darts.nearest import unknown

PRESET_OF: Mapping[str, str] = {
    "digits": "digits",
    "cifar10": "cifar10-s1-tiny",
    "cifar100": "cifar100-s1-tiny",
    "mnist": "mnist-s1-tiny",
    "fashion-mnist": "fashion-mnist-s1-tiny",
    "imagenet": "imagenet-mobile",
}
"""The preset that a data set stands for when none is named; one of your own stands for "own"."""


@dataclass(frozen=True)
class Invocation:
    """The words that were typed.

    Attributes:
        command: the command's name.
        arguments: all words after it.
    """

    command: str
    arguments: tuple[str, ...]

    @property
    def line(self) -> str:
        """The whole line, as a shell takes it."""
        return line_of((self.command, *self.arguments))

    @property
    def preset(self) -> FullConfig:
        """The preset that is named. It is read first, because it sets all other defaults.

        Raises:
            UsageError: no preset has that name.
        """
        dataset = self.value_of("dataset") or "digits"
        name = self.value_of("preset") or PRESET_OF.get(dataset, "own")
        if name not in PRESETS:
            raise UsageError(unknown("preset", name, PRESETS))
        return PRESETS[name]

    def value_of(self, option: str) -> str | None:
        """The text typed for an option; None if there is none."""
        for position, argument in enumerate(self.arguments):
            if argument == f"--{option}" and position + 1 < len(self.arguments):
                return self.arguments[position + 1]
            if argument.startswith(f"--{option}="):
                return argument.partition("=")[2]
        return None


class Command(ABC):
    """A command of `darts`; subclasses are dataclasses, whose fields are its options.

    Attributes:
        short: options of one letter, and what each stands for.
        examples: two lines that a user would type.
        main: the options that most people change, which its short help shows, separated by
            spaces.
    """

    short: ClassVar[Mapping[str, str]] = MappingProxyType({})
    examples: ClassVar[tuple[str, ...]] = ()
    main: ClassVar[str] = ""

    @classmethod
    def usual(cls, given: Invocation) -> Self | None:
        """Its options where nothing is typed; None if these are the defaults of the fields."""
        return None

    @abstractmethod
    def run(self, given: Invocation) -> int:
        """Run the command; the exit status.

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
