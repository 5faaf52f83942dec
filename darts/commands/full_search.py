"""`darts full-search`: the main job, from images to a report."""

from dataclasses import dataclass, field
from typing import Self

from darts.commands.command import Command, Invocation, stages_of
from darts.commands.options import SearchOptions
from darts.commands.requests import do_runs
from darts.config.retrain import RetrainConfig
from darts.config.search import SearchConfig


@dataclass(frozen=True)
class BothStages(SearchOptions, Command):
    """Options of a command that searches and retrains.

    Args:
        search: settings of the search.
        retrain: settings of the retraining.
        baselines: number of random cells retrained at the same budget beside the one found, and
            with them DARTS_V2 where the space has cells of its kind; 0 is none of either. By
            default the preset's. Each takes as long as the retraining.
    """

    search: SearchConfig = field(default_factory=SearchConfig)
    retrain: RetrainConfig = field(default_factory=RetrainConfig)
    baselines: int | None = None

    @classmethod
    def usual(cls, given: Invocation) -> Self:
        search, retrain = stages_of(given)
        return cls(search=search, retrain=retrain)


@dataclass(frozen=True)
class FullSearch(BothStages):
    """Search an architecture, retrain it from scratch, and write a report."""

    examples = (
        "darts full-search",
        "darts full-search --preset cifar10-s1-tiny --data-root DIR --seeds 3",
    )
    main = (
        "preset dataset data-root seeds run-dir resume device space estimator "
        "search.epochs retrain.epochs dry-run"
    )

    def run(self, given: Invocation) -> int:
        return do_runs(self, given)
