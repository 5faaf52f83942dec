"""Runs followed by experiment trackers, through the logger interface of Lightning Fabric."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from darts.records.run_folder import Listener, Record, RunFolder
from darts.reports.scalars import epoch_scalars


class Logger(Protocol):
    """The part of `lightning.fabric.loggers.Logger` that is used here.

    Fabric's own loggers have it, those of `lightning.pytorch` (Weights & Biases, MLflow, Comet,
    Neptune) and Aim's, which derive from Fabric's.
    """

    def log_metrics(self, metrics: dict[str, Any], step: int | None = None) -> None: ...

    def log_hyperparams(self, params: dict[str, Any]) -> None: ...

    def finalize(self, status: str) -> None: ...


METHODS = ("log_metrics", "log_hyperparams", "finalize")
"""Of a `Logger`."""
LoggerMaker = Callable[[Path], Logger]
"""Makes the logger of a run from the run's folder, as the run begins."""
ListenerMaker = Callable[[Path], Listener]
"""Makes what follows a run from the run's folder."""


class FabricLogger(Listener):
    """A listener that hands the config, and every number of an epoch's record, to a logger.

    The step of a metric counts the epochs of all stages, one after another, because trackers
    want steps that only grow; a resumed run goes on with the steps where it was. The records
    remain the source, so that a tracker can lose its data without loss.
    """

    def __init__(self, make: LoggerMaker, folder: Path) -> None:
        self._make = make
        self._folder = folder
        self._logger: Logger | None = None
        self._before, self._epochs = 0, 0

    def begin(
        self, stage: str, epochs: int, steps_per_epoch: int, position: tuple[int, int]
    ) -> None:
        if self._logger is None:
            self._logger = _required(self._make(self._folder), self._make, self._folder)
            with suppress(NotImplementedError):  # some have no place for settings, e.g. CSV
                self._logger.log_hyperparams(RunFolder.open(self._folder).read("config.json"))
        self._before, self._epochs = self._before + self._epochs, epochs

    def record(self, stream: str, record: Record) -> None:
        numbers = epoch_scalars(stream, record)
        if self._logger is not None and numbers:
            self._logger.log_metrics(numbers, step=self._before + record["epoch"])

    def close(self) -> None:
        if self._logger is not None:
            finished = (self._folder / "result.json").is_file()
            self._logger.finalize("success" if finished else "failed")
            self._logger = None


def _required(made: Any, make: LoggerMaker, folder: Path) -> Logger:
    """What a function of --loggers returned, if it is a logger.

    Raises:
        ValueError: it is none.
    """
    absent = [name for name in METHODS if not callable(getattr(made, name, None))]
    if absent:
        name = getattr(make, "__qualname__", type(make).__name__)
        found = "nothing" if made is None else f"{type(made).__name__}, without {absent[0]}"
        raise ValueError(
            f"--loggers: {name} returned {found}; it must return a lightning.fabric.loggers.Logger."
            f" Mend it, and go on with --resume {folder} and the same --loggers."
        )
    logger: Logger = made
    return logger


def csv_logger(folder: Path) -> Logger:
    """Fabric's CSV logger: `<run>/csv/version_<n>/metrics.csv`, a new version for each start."""
    from lightning_fabric.loggers.csv_logs import CSVLogger

    return CSVLogger(folder, name="csv", flush_logs_every_n_steps=1)
