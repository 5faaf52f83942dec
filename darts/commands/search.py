"""`darts search`: a search without a retraining."""

from dataclasses import dataclass, field
from typing import Self

from darts.commands.command import Command, Invocation, stages_of
from darts.commands.options import SearchOptions
from darts.commands.requests import do_runs
from darts.config.search import SearchConfig


@dataclass(frozen=True)
class Search(SearchOptions, Command):
    """Search an architecture only.

    Args:
        search: settings of the search.
    """

    examples = (
        "darts search",
        "darts search --preset cifar10-s1-tiny --data-root DIR --estimator first-order",
    )
    main = (
        "preset dataset data-root seeds run-dir resume device space estimator "
        "search.epochs search.channels dry-run"
    )

    search: SearchConfig = field(default_factory=SearchConfig)

    @classmethod
    def usual(cls, given: Invocation) -> Self:
        return cls(search=stages_of(given)[0])

    def run(self, given: Invocation) -> int:
        return do_runs(self, given)
