"""`darts retrain`: the training of one genotype's network."""

from dataclasses import dataclass, field
from typing import Self

from darts.commands.command import Command, Invocation
from darts.commands.named import genotype_named
from darts.commands.options import Options
from darts.commands.requests import do_runs
from darts.config.retrain import RetrainConfig


@dataclass(frozen=True)
class Retrain(Options, Command):
    """Train a genotype's network from scratch.

    Args:
        genotype: a published name, Genotype(...) or another notation as text, a file of it, a run
            folder, RUN@25 for its 25th epoch, or an exported folder.
        retrain: settings of the retraining.
    """

    examples = (
        "darts retrain --genotype runs/NAME",
        "darts retrain --genotype DARTS_V2 --preset cifar10-s1-tiny --data-root DIR",
    )
    main = (
        "genotype preset dataset data-root seeds run-dir resume device retrain.epochs "
        "retrain.channels retrain.cells dry-run"
    )

    genotype: str | None = None
    retrain: RetrainConfig = field(default_factory=RetrainConfig)

    @classmethod
    def usual(cls, given: Invocation) -> Self:
        preset = given.preset
        assert preset.retrain is not None
        return cls(retrain=preset.retrain)

    def run(self, given: Invocation) -> int:
        resumed = self.resume is not None
        genotype = None if resumed else genotype_named(self.genotype)
        return do_runs(self, given, genotype)
