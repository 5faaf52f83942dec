"""A run that is one search by the product's own `search`, a line of its journal an epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from benchmarks.experiments.definition import Planned, Setting
from benchmarks.experiments.record import CURVES, short
from bilevel.estimators import Estimator
from darts.config.as_json import to_json
from darts.config.search import SearchConfig
from darts.data import ImageSet
from darts.parallel.launch import Devices
from darts.records.run_folder import Record, RunFolder
from darts.spaces import Genotype
from darts.spaces.space import NONE
from darts.training.loop import drive
from darts.training.search import SearchStage, search
from darts.training.searching import Searching

ENDED = "experiment/ended"
"""The stream that says where and why a search ended before its epochs did."""
SELECTED = "experiment/selected"
"""The stream that says which cell a selection chose after the search."""


def drive_search(stage: SearchStage, run: RunFolder, devices: Devices) -> None:
    """Do, or go on with, a search whose stage or steps are the experiment's own."""
    origin = {**to_json(stage.config), "computing": to_json(devices.computing)}
    drive(stage, run, devices, origin, stage.config.checkpoint_share)


@dataclass(frozen=True)
class SearchSetting(Setting):
    """A setting whose runs are searches.

    Attributes:
        search: settings of the search; a run replaces the estimator, the seed and its own changes.
    """

    search: SearchConfig


@dataclass(frozen=True)
class Searched(Planned):
    """A search.

    Attributes:
        estimator: of the hypergradient.
        changes: settings of the search that the run has and its setting has not, by name.
    """

    setting: SearchSetting
    estimator: Estimator
    changes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def config(self) -> SearchConfig:
        own = {"estimator": self.estimator, "seed": self.seed, **self.changes}
        return replace(self.setting.search, **own)

    @property
    def content(self) -> Any:
        return {"data": to_json(self.setting.data), "search": to_json(self.config)}

    def perform(self, images: ImageSet, run: RunFolder, devices: Devices) -> None:
        data = self.config.halves(images)
        found = search(self.config, data, run, devices=devices)
        if found.stopped is not None and not run.records(ENDED):
            kept, reason = found.stopped.keep, found.stopped.reason
            run.append(ENDED, {"stopped": {"kept_epoch": kept, "reason": reason}})
        if found.selection is not None and not run.records(SELECTED):
            cell = kept_operations(found.genotype, list(self.config.space.operations))
            unlike = found.selection["unlike_weights"]
            seconds = round(found.selection["wall_seconds"], 1)
            selected = {"cell": cell, "unlike_weights": unlike}
            run.append(SELECTED, {"selected": selected, "wall_seconds": seconds})

    def line(self, stream: str, record: Record) -> Record | None:
        if stream == ENDED:
            return {"kind": "ended", **record}
        if stream == SELECTED:
            return {"kind": "selected", **record}
        return epoch_line(record) if stream == "search/epochs" else None


class SearchedByOwnSteps(Searched):
    """A search as in the setting, by steps of the experiment's own, which are not captured.

    Attributes:
        searching: what takes the steps.
        why_not_captured: the reason, for the message.
    """

    searching: ClassVar[type[Searching]]
    why_not_captured: ClassVar[str]

    def perform(self, images: ImageSet, run: RunFolder, devices: Devices) -> None:
        if devices.computing.capture:
            raise ValueError(
                f"{self.name} with captured steps: {self.why_not_captured}. Run it without "
                "--capture."
            )
        halves = self.config.halves(images)
        searching = self.searching(self.config, halves.to(devices.device), devices, run.note)
        drive_search(SearchStage(self.config, searching, run, score=None), run, devices)


def epoch_line(record: Record) -> dict[str, Any]:
    """What a journal keeps of an epoch's record.

    Of a search with several kinds of cells the digits of each stand one after another, with a space
    between; a weight's name has the kind before it; and `kept` has the operations of the edges that
    the genotype keeps.
    """
    operations = list(record["operations"])
    cells = {
        kind: torch.tensor(rows, dtype=torch.float64) for kind, rows in record["mixing"].items()
    }
    several = len(cells) > 1
    line = {
        "kind": "epoch",
        "epoch": record["epoch"],
        "weights": {
            f"{kind} {name}" if several else name: short(mean)
            for kind, weights in cells.items()
            for name, mean in zip(operations, weights.mean(0).tolist(), strict=True)
        },
        "cell": " ".join(_strongest(weights) for weights in cells.values()),
        "cell_without_none": " ".join(
            _strongest(_without_none(weights, operations)) for weights in cells.values()
        ),
        "mixing": [[short(x) for x in row] for rows in record["mixing"].values() for row in rows],
        "wall_seconds": round(record["wall_seconds"], 1),
        **{name: short(record[name]) for name in CURVES},
    }
    if several:
        line["kept"] = kept_operations(Genotype.from_dict(record["genotype"]), operations)
    return line


def kept_operations(genotype: Genotype, operations: list[str]) -> str:
    """A digit for each edge that a genotype keeps, its operation's place; cells with a space."""
    return " ".join(
        "".join(str(operations.index(operation)) for operation, _ in cell.edges)
        for cell in genotype.cells
    )


def _strongest(weights: Tensor) -> str:
    return "".join(map(str, weights.argmax(1).tolist()))


def _without_none(weights: Tensor, operations: list[str]) -> Tensor:
    if NONE not in operations:
        return weights
    kept = weights.clone()
    kept[:, operations.index(NONE)] = -1
    return kept
