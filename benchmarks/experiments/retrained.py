"""Cells retrained at one budget: those that stood on a search's way, and those they are beside."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.experiments.definition import Planned
from benchmarks.experiments.searched import Searched, SearchSetting
from darts.config.as_json import to_json
from darts.config.retrain import RetrainConfig
from darts.data import ImageSet, RetrainData
from darts.data.seeds import derive_seed
from darts.methods.random_search import random_genotype
from darts.parallel.launch import Devices
from darts.records.run_folder import Record, RunFolder
from darts.spaces import Genotype
from darts.training.retrain import retrain

STREAM = "experiment/retrainings"


@dataclass(frozen=True)
class RetrainedSetting(SearchSetting):
    """A setting whose cells are trained from scratch, on all training images, and then tested.

    Attributes:
        retrain: settings of every such training; a run replaces the seed.
        after: epochs of a search after which the cell is trained.
    """

    retrain: RetrainConfig
    after: tuple[int, ...]


@dataclass(frozen=True)
class RetrainedSearch(Searched):
    """A search, and then trainings of the cells that stood after `setting.after` epochs.

    Every training has the run's seed, and so has its initial weights and batches in common with
    those of other methods. A cell that stood before is not trained again: it would give the same
    bits.
    """

    setting: RetrainedSetting

    @property
    def content(self) -> Any:
        return {
            **super().content,
            "retrain": to_json(replace(self.setting.retrain, seed=self.seed)),
            "retrained_after": list(self.setting.after),
        }

    def perform(self, images: ImageSet, run: RunFolder, devices: Devices) -> None:
        super().perform(images, run, devices)
        epochs = run.records("search/epochs")
        for after in self.setting.after:
            done = run.records(STREAM)
            if after in {record["after_epochs"] for record in done}:
                continue
            cell = epochs[after - 1]["genotype"]
            alike = [record for record in done if record["result"]["genotype"] == cell]
            found = (
                {"result": alike[0]["result"], "wall_seconds": 0.0}
                if alike
                else trained(self, Genotype.from_dict(cell), f"after-{after}", images, run, devices)
            )
            run.append(STREAM, {"after_epochs": after, **found})

    def line(self, stream: str, record: Record) -> Record | None:
        if stream == STREAM:
            return {"kind": "retraining", **record}
        return super().line(stream, record)


@dataclass(frozen=True)
class TrainedCell(Planned):
    """One cell that no search of the experiment found, trained as the found ones are.

    Attributes:
        genotype: the cell.
    """

    setting: RetrainedSetting
    genotype: Genotype

    @property
    def content(self) -> Any:
        return {
            "data": to_json(self.setting.data),
            "retrain": to_json(replace(self.setting.retrain, seed=self.seed)),
            "genotype": self.genotype.to_dict(),
        }

    def perform(self, images: ImageSet, run: RunFolder, devices: Devices) -> None:
        if not run.records(STREAM):
            run.append(STREAM, trained(self, self.genotype, "cell", images, run, devices))

    def line(self, stream: str, record: Record) -> Record | None:
        return {"kind": "result", **record} if stream == STREAM else None


def trained(
    of: RetrainedSearch | TrainedCell,
    genotype: Genotype,
    name: str,
    images: ImageSet,
    run: RunFolder,
    devices: Devices,
) -> Record:
    """Train a cell, or go on with it, in a folder of its own in the run's; what came out."""
    folder = RunFolder(Path(run.path) / name, run.listeners)
    config = replace(of.setting.retrain, seed=of.seed)
    found = retrain(config, genotype, RetrainData.of(images), folder, devices=devices)
    return {
        "result": {
            "genotype": genotype.to_dict(),
            "test_accuracy_percent": found.test.accuracy_percent,
            "params_millions": found.params_millions,
        },
        "wall_seconds": round(found.wall_seconds, 1),
    }


def random_cell(setting: RetrainedSetting, number: int, seed: int) -> TrainedCell:
    """A cell drawn uniformly from the space; other ones for each seed."""
    drawn = random_genotype(setting.search.space, derive_seed(seed, "comparison cell", number))
    return TrainedCell(setting, f"random-{number + 1}", seed, drawn)
