"""One run of an experiment, which a journal follows."""

from __future__ import annotations

import multiprocessing
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.experiments.definition import Planned
from benchmarks.experiments.journal import append
from benchmarks.experiments.record import machine_name
from bilevel.estimators.alerts import HypergradientWarning
from darts.config.as_json import differences
from darts.config.compute import Computing
from darts.data import ImageSet
from darts.parallel.launch import Devices, Placement, launched
from darts.records.environment import describe_environment
from darts.records.run_folder import Listener, Record, RunFolder
from darts.training.evaluation import NonFiniteLossError
from darts.training.search import STAGE as SEARCH

COMMAND = "python -m benchmarks.experiments"


class BudgetSpent(Exception):  # noqa: N818  (nothing went wrong)
    """Enough for now; the run goes on from its last checkpoint another time."""


@dataclass
class Journalist(Listener):
    """Follows a search: writes a line an epoch, counts warnings, and ends it when time is over.

    Attributes:
        planned: the run.
        journal: file of lines.
        head: what every line says of the run.
        deadline: seconds since the epoch of the clock, or None.
        epochs: of a search after which it stops, or None.
        heard: warnings of the estimator since the last epoch's line.
    """

    planned: Planned
    journal: Path
    head: Mapping[str, Any]
    deadline: float | None
    epochs: int | None
    heard: list[warnings.WarningMessage]

    def tick(self, stage: str, epoch: int, step: int) -> None:
        late = self.deadline is not None and time.time() > self.deadline
        enough = self.epochs is not None and stage == SEARCH and epoch >= self.epochs
        if late or enough or left_alone():
            raise BudgetSpent

    def record(self, stream: str, record: Record) -> None:
        count = sum(issubclass(w.category, HypergradientWarning) for w in self.heard)
        line = self.planned.line(stream, {**record, "warnings": count})
        if line is not None:
            self.heard.clear()
            append(self.journal, {**self.head, **line})

    def note(self, text: str) -> None:
        print(f"{self.head['method']}, seed {self.head['seed']}: {text}", flush=True)


def left_alone() -> bool:
    """Whether the process that began this one, for a run, is gone."""
    parent = multiprocessing.parent_process()
    return parent is not None and not parent.is_alive()


def carry_out(
    planned: Planned,
    images: ImageSet,
    folder: Path,
    journal: Path,
    *,
    device: str = "cpu",
    deadline: float | None = None,
    epochs: int | None = None,
    capture: bool = False,
) -> str:
    """Do, or go on with, one run in `folder`; "complete", "stopped", or what went wrong.

    Args:
        planned: the run.
        images: of its setting.
        folder: its run folder, made if it is not there.
        journal: file that gets a line an epoch.
        device: cpu, cuda, cuda:1, ...
        deadline: seconds since the epoch of the clock at which to stop; None for never.
        epochs: of a search after which to stop, before its own end; None for all.
        capture: take steps on a GPU as one replayed graph, where they can be.

    Raises:
        ValueError: the folder holds a run with other settings.
    """
    torch.set_num_threads(1)
    config = planned.content
    environment = describe_environment(device, COMMAND)
    head = {
        "setting": planned.setting.name,
        "method": planned.method,
        "seed": planned.seed,
        "machine": machine_name(environment),
    }
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always", HypergradientWarning)
        listener = Journalist(planned, journal, head, deadline, epochs, heard)
        if (folder / "config.json").is_file():
            run = RunFolder.open(folder, (listener,))
            unequal = differences(run.read("config.json"), config)
            if unequal:
                raise ValueError(
                    f"{folder} holds a run with other settings ({'; '.join(unequal)}). Give "
                    "another --work folder, or delete this one."
                )
        else:
            run = RunFolder.create(folder, config, environment, (listener,))
        append(journal, {"kind": "run", **head, "config": config, "environment": environment})
        try:
            with launched(Placement(device), Computing(capture=capture)) as devices:
                assert isinstance(devices, Devices)
                planned.perform(images, run, devices)
        except BudgetSpent:
            return "stopped"
        except NonFiniteLossError as error:
            append(journal, {"kind": "failure", **head, "failure": str(error)})
            return f"failed: {error}"
    return "complete"
