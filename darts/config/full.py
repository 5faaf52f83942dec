"""The config of a run: its images, its stages, and its way of computing."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, is_dataclass, replace
from typing import Any, ClassVar

from darts.config.as_json import from_json
from darts.config.compute import PLAIN, Computing
from darts.config.retrain import RetrainConfig
from darts.config.search import SearchConfig
from darts.data import DataSet
from darts.spaces import NASBENCH201


@dataclass(frozen=True)
class FullConfig:
    """One run: its images and its stages. A stage that is None is left out.

    Args:
        preset: the name that it began with.
        data: the images.
        search: settings of the search.
        retrain: settings of the retraining.
        accuracy_table: file of true accuracies that a search in NAS-Bench-201 is scored by.
        computing: its way of computing, on which its bits depend.
        baselines: random cells retrained beside the one found, and with them a published cell;
            0 is none of either.
        latency_table: file of times that a target counts instead of multiply-adds.
    """

    preset: str
    data: DataSet
    search: SearchConfig | None
    retrain: RetrainConfig | None
    accuracy_table: str | None = None
    computing: Computing = PLAIN
    baselines: int = 0
    latency_table: str | None = None

    later: ClassVar[tuple[str, ...]] = ("baselines", "latency_table")
    """Settings that configs of older versions lack: their defaults are what those did."""

    def __post_init__(self) -> None:
        if self.search is None and self.retrain is None:
            raise ValueError("FullConfig has neither a search nor a retrain stage; give one.")
        if self.accuracy_table is not None and (
            self.search is None or self.search.space != NASBENCH201
        ):
            raise ValueError(
                f"the accuracy table {self.accuracy_table!r} scores a search in NAS-Bench-201, and "
                "this run has none. Leave it out, or search in the space nasbench201."
            )
        if self.latency_table is not None and (
            self.search is None or self.search.target is None or self.retrain is None
        ):
            raise ValueError(
                f"the latency table {self.latency_table!r} is for a search with a target, and the "
                "retraining of what it finds. Give --search.target, or leave the table out."
            )
        search, retrain = self.search, self.retrain
        if self.baselines < 0 or (self.baselines and (search is None or retrain is None)):
            raise ValueError(
                f"baselines={self.baselines}: give the number of random cells to retrain beside "
                "the one found, 0 or more; 0 where nothing is searched or nothing retrained."
            )
        self.computing.require_stages(search=search is not None, retrain=retrain is not None)
        if search is not None:
            self.computing.require_search(
                search.batch_size, search.estimator, search.perturbation, search.selection
            )
        if retrain is not None:
            self.computing.require_shards("retrain", retrain.batch_size)

    @property
    def seed(self) -> int:
        stage = self.search or self.retrain
        assert stage is not None
        return stage.seed

    def with_seed(self, seed: int) -> "FullConfig":
        """The same run with another seed in each stage; the images stay the same."""
        return replace(
            self,
            search=self.search and replace(self.search, seed=seed),
            retrain=self.retrain and replace(self.retrain, seed=seed),
        )


def full_config(content: Any, types: Mapping[str, type], file: str = "config.json") -> FullConfig:
    """The config of a run that `content`, the JSON of its config.json, holds.

    Args:
        content: the JSON.
        types: every dataclass that may occur, by name.
        file: the file's name in errors.

    Raises:
        ValueError: the content is no such config.
    """
    try:
        config = from_json(content, types)
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error
    if not isinstance(config, FullConfig):
        found = type(config).__name__ if is_dataclass(config) else json.dumps(content)[:40]
        raise ValueError(f"{file} holds {found} and not the FullConfig of a run. Restore the file.")
    return config
