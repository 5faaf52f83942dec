"""A run of seconds: a space of two edges, a few digits, two channels."""

from dataclasses import dataclass, field
from pathlib import Path

import torch

from bilevel.estimators import Estimator
from darts.config.as_json import to_json
from darts.config.full import FullConfig
from darts.config.retrain import RetrainConfig
from darts.config.search import SearchConfig
from darts.data import Digits, ImageSet
from darts.records.environment import describe_environment
from darts.records.run_folder import Record, RunFolder
from darts.spaces import Space

TWO_EDGES = Space(
    name="two-edges",
    operations=("none", "skip_connect", "max_pool_3x3", "sep_conv_3x3"),
    nodes=1,
    edges=((0, 2), (1, 2)),
    keep_edges=2,
)
IMAGES = Digits(train_size=60)
STEPS = 3
"""A training half of 30 images, in batches of 10."""
EPOCHS = 3


def search_config(estimator: Estimator | None = None, **changes: object) -> SearchConfig:
    settings = {
        "space": TWO_EDGES,
        "epochs": EPOCHS,
        "batch_size": 10,
        "channels": 2,
        "cells": 2,
        "alpha_learning_rate": 0.05,
        "padding": 1,
        "checkpoint_share": 1.0,
    }
    if estimator is not None:
        settings["estimator"] = estimator
    return SearchConfig(**{**settings, **changes})


def retrain_config(**changes: object) -> RetrainConfig:
    settings = {
        "epochs": EPOCHS,
        "batch_size": 20,
        "channels": 2,
        "cells": 2,
        "padding": 1,
        "cutout": 2,
        "drop_path": 0.3,
        "auxiliary_weight": 0.0,
        "checkpoint_share": 1.0,
    }
    return RetrainConfig(**{**settings, **changes})


def full_config(**changes: object) -> FullConfig:
    settings = {
        "preset": "tiny",
        "data": IMAGES,
        "search": search_config(),
        "retrain": retrain_config(),
    }
    return FullConfig(**{**settings, **changes})


def images() -> ImageSet:
    return IMAGES.load()


def assert_same_bits(first: object, second: object, place: str = "state") -> None:
    """Equal values, types and layout; the wall clock, which no seed fixes, apart."""
    if isinstance(first, torch.Tensor):
        assert torch.equal(first, second), place
        assert first.stride() == second.stride(), place
    elif isinstance(first, dict):
        assert first.keys() == second.keys(), place
        for key in first:
            if key != "wall_seconds":
                assert_same_bits(first[key], second[key], f"{place}.{key}")
    elif isinstance(first, (list, tuple)):
        assert len(first) == len(second), place
        for index, pair in enumerate(zip(first, second, strict=True)):
            assert_same_bits(*pair, f"{place}[{index}]")
    else:
        assert first == second, place
        assert type(first) is type(second), place


class KilledError(Exception):
    """What a run is interrupted with."""


@dataclass
class Follower:
    """A listener that keeps what it hears, and may end the run at one step of one stage."""

    die_at: tuple[str, int, int] | None = None
    streams: list[tuple[str, Record]] = field(default_factory=list)
    begun: list[tuple[str, tuple[int, int]]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def begin(
        self, stage: str, epochs: int, steps_per_epoch: int, position: tuple[int, int]
    ) -> None:
        self.begun.append((stage, position))

    def tick(self, stage: str, epoch: int, step: int) -> None:
        if (stage, epoch, step) == self.die_at:
            raise KilledError

    def record(self, stream: str, record: Record) -> None:
        self.streams.append((stream, record))

    def note(self, text: str) -> None:
        self.notes.append(text)

    def close(self) -> None:
        pass


def new_run(path: Path, *listeners: Follower, config: FullConfig | None = None) -> RunFolder:
    return RunFolder.create(
        path,
        to_json(config or full_config()),
        describe_environment("cpu", "darts tiny"),
        listeners,
    )


def timeless(records: list[Record]) -> list[Record]:
    """Records without the wall clock, which no seed fixes."""
    return [
        {key: value for key, value in record.items() if key != "wall_seconds"} for record in records
    ]
