"""A run that is one search by the product's own `search`, a line of its journal an epoch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch

from benchmarks.experiments.definition import Planned, Setting
from benchmarks.experiments.record import CURVES, short
from darts.config.as_json import to_json
from darts.config.search import SearchConfig
from darts.data import ImageSet, SearchData
from darts.parallel.launch import Devices
from darts.records.run_folder import Record, RunFolder
from darts.spaces.space import NONE
from darts.training.search import search


@dataclass(frozen=True)
class SearchSetting(Setting):
    """A setting whose runs are searches.

    Attributes:
        search: settings of the search; a run replaces estimator and seed alone.
    """

    search: SearchConfig


@dataclass(frozen=True)
class Searched(Planned):
    """A search in a space with one kind of cell, as NAS-Bench-201's."""

    setting: SearchSetting

    @property
    def config(self) -> SearchConfig:
        return replace(self.setting.search, estimator=self.estimator, seed=self.seed)

    @property
    def content(self) -> Any:
        return {"data": to_json(self.setting.data), "search": to_json(self.config)}

    def perform(self, images: ImageSet, run: RunFolder, devices: Devices) -> None:
        data = SearchData.of(images, self.config.train_share, self.seed)
        search(self.config, data, run, devices=devices)

    def line(self, stream: str, record: Record) -> Record | None:
        return epoch_line(record) if stream == "search/epochs" else None


def epoch_line(record: Record) -> dict[str, Any]:
    """What a journal keeps of an epoch's record of a search with one kind of cell."""
    (mixing,) = record["mixing"].values()
    operations = list(record["operations"])
    weights = torch.tensor(mixing, dtype=torch.float64)
    without = weights.clone()
    without[:, operations.index(NONE)] = -1
    return {
        "kind": "epoch",
        "epoch": record["epoch"],
        "weights": {
            name: short(mean)
            for name, mean in zip(operations, weights.mean(0).tolist(), strict=True)
        },
        "cell": "".join(map(str, weights.argmax(1).tolist())),
        "cell_without_none": "".join(map(str, without.argmax(1).tolist())),
        "mixing": [[short(x) for x in row] for row in mixing],
        "wall_seconds": round(record["wall_seconds"], 1),
        **{name: short(record[name]) for name in CURVES},
    }
