"""One run of an experiment by the product's own `search`, which a journal follows."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.experiments.definition import Planned
from benchmarks.experiments.record import CURVES, append, machine_name
from bilevel.estimators.alerts import HypergradientWarning
from darts.data import ImageSet, SearchData
from darts.runs.computing import PLAIN
from darts.runs.config import differences, to_json
from darts.runs.devices import Devices, Placement, launched
from darts.runs.environment import describe_environment
from darts.runs.evaluation import NonFiniteLossError
from darts.runs.records import Record, RunFolder
from darts.runs.search import search
from darts.spaces.space import NONE

COMMAND = "python -m benchmarks.experiments"


class BudgetSpent(Exception):  # noqa: N818  (nothing went wrong)
    """The time is over; the run goes on from its last checkpoint another time."""


@dataclass
class Journalist:
    """Follows a search: writes a line an epoch, counts warnings, and ends it when time is over.

    Attributes:
        journal: file of lines.
        head: what every line says of the run.
        deadline: seconds since the epoch of the clock, or None.
        heard: warnings of the estimator since the last epoch's line.
    """

    journal: Path
    head: Mapping[str, Any]
    deadline: float | None
    heard: list[warnings.WarningMessage]

    def begin(self, stage: str, epochs: int, steps: int, position: tuple[int, int]) -> None:
        """Nothing is to be made ready."""

    def tick(self, stage: str, epoch: int, step: int) -> None:
        if self.deadline is not None and time.time() > self.deadline:
            raise BudgetSpent

    def record(self, stream: str, record: Record) -> None:
        if stream == "search/epochs":
            count = sum(issubclass(w.category, HypergradientWarning) for w in self.heard)
            self.heard.clear()
            line = epoch_line({**record, "warnings": count})
            append(self.journal, {"kind": "epoch", **self.head, **line})

    def note(self, text: str) -> None:
        print(f"{self.head['method']}, seed {self.head['seed']}: {text}", flush=True)

    def close(self) -> None:
        """Nothing is open."""


def epoch_line(record: Record) -> dict[str, Any]:
    """What a journal keeps of an epoch's record of a search with one kind of cell."""
    (mixing,) = record["mixing"].values()
    operations = list(record["operations"])
    weights = torch.tensor(mixing, dtype=torch.float64)
    without = weights.clone()
    without[:, operations.index(NONE)] = -1
    return {
        "epoch": record["epoch"],
        "weights": {
            name: _short(mean)
            for name, mean in zip(operations, weights.mean(0).tolist(), strict=True)
        },
        "cell": "".join(map(str, weights.argmax(1).tolist())),
        "cell_without_none": "".join(map(str, without.argmax(1).tolist())),
        "mixing": [[_short(x) for x in row] for row in mixing],
        "wall_seconds": round(record["wall_seconds"], 1),
        **{name: _short(record[name]) for name in CURVES},
    }


def _short(value: float | None) -> float | None:
    """Six significant digits: records are for reading, checkpoints for going on."""
    return None if value is None else float(f"{value:.6g}")


def carry_out(
    planned: Planned,
    images: ImageSet,
    folder: Path,
    journal: Path,
    *,
    device: str = "cpu",
    deadline: float | None = None,
) -> str:
    """Do, or go on with, one run in `folder`; "complete", "stopped", or what went wrong.

    Args:
        planned: the run.
        images: of its setting.
        folder: its run folder, made if it is not there.
        journal: file that gets a line an epoch.
        device: cpu, cuda, cuda:1, ...
        deadline: seconds since the epoch of the clock at which to stop; None for never.

    Raises:
        ValueError: the folder holds a run with other settings.
    """
    torch.set_num_threads(1)
    config = {"data": to_json(planned.setting.data), "search": to_json(planned.config)}
    environment = describe_environment(device, COMMAND)
    head = {
        "setting": planned.setting.name,
        "method": planned.method,
        "seed": planned.seed,
        "machine": machine_name(environment),
    }
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always", HypergradientWarning)
        listener = Journalist(journal, head, deadline, heard)
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
        data = SearchData.of(images, planned.config.train_share, planned.seed)
        try:
            with launched(Placement(device), PLAIN) as devices:
                assert isinstance(devices, Devices)
                search(planned.config, data, run, devices=devices)
        except BudgetSpent:
            return "stopped"
        except NonFiniteLossError as error:
            append(journal, {"kind": "failure", **head, "failure": str(error)})
            return f"failed: {error}"
    return "complete"
