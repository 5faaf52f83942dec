"""The progress of a run: bars in a terminal, plain lines elsewhere."""

import time

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from darts.records.run_folder import Record
from darts.reports.measures import measure_in, shown
from darts.reports.shares import farthest_from_equal, share
from darts.reports.terminal import Terminal
from darts.spaces.space import NONE, SKIP
from darts.training.selection import DECISIONS

STILL_POINTS = 1.0
"""Percentage points; weights as near to each other change places with the seed."""


class LiveProgress:
    """A listener: a bar of steps with the time left, and a line for every epoch.

    Without a terminal there is no bar, and each line says the time left.

    Args:
        console: the console that it is shown on.
        tested: name of the images on which a retraining is tested.
    """

    def __init__(self, console: Console | None = None, tested: str = "test") -> None:
        self.tested = tested
        self.console = console or Terminal(stderr=False, highlight=False, soft_wrap=True)
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._epochs = 0
        self._steps = 0
        self._began_at = 0.0
        self._began = 0.0
        self._losses = ""

    def begin(
        self, stage: str, epochs: int, steps_per_epoch: int, position: tuple[int, int]
    ) -> None:
        epochs_done, steps_done = position
        self.close()
        self._epochs, self._steps = epochs, steps_per_epoch
        self._began = time.perf_counter()
        self._began_at = epochs_done + steps_done / steps_per_epoch
        going_on = f", going on after {epochs_done} epochs and {steps_done} steps"
        going_on = going_on if epochs_done or steps_done else ""
        word = "epoch" if epochs == 1 else "epochs"
        self.console.print(f"{stage}: {epochs} {word} of {steps_per_epoch} steps{going_on}")
        if self.console.is_terminal:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(elapsed_when_finished=False),
                TextColumn("{task.fields[losses]}"),
                console=self.console,
            )
            self._bar.start()
            self._task = self._bar.add_task(
                stage,
                total=epochs * steps_per_epoch,
                completed=epochs_done * steps_per_epoch + steps_done,
                losses="",
            )

    def tick(self, stage: str, epoch: int, step: int) -> None:
        if self._bar is not None and self._task is not None:
            self._bar.update(
                self._task,
                completed=epoch * self._steps + step + 1,
                description=f"{stage} {epoch + 1}/{self._epochs}",
                losses=self._losses,
            )

    def record(self, stream: str, record: Record) -> None:
        if stream == "search/steps":
            self._losses = f"train {record['train_loss']:.3f}  val {record['val_loss']:.3f}"
        elif stream == "search/epochs":
            self._say(record, _search_line(record))
            if record["epoch"] + 1 == self._epochs:
                self._warn_of_still(record)
        elif stream == DECISIONS:
            self.console.print(f"  {_decision_line(record)}")
        elif stream.endswith("/epochs") and "train_loss" in record:
            self._losses = f"train {record['train_loss']:.3f}"
            self._say(record, _retrain_line(record, self.tested))

    def _warn_of_still(self, record: Record) -> None:
        moved = farthest_from_equal(record)
        if moved < STILL_POINTS:
            self.console.print(
                f"  α stood still: no mixing weight is {moved:.2g} points or more away from equal "
                "weights, so that the cells found are little more than chance. Take more epochs, "
                "or a larger --search.alpha-learning-rate."
            )

    def note(self, text: str) -> None:
        self.close()
        self.console.print(text)

    def close(self) -> None:
        """Take the bar down; call it before anything else is printed."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _say(self, record: Record, line: str) -> None:
        done = record["epoch"] + 1
        taken = time.perf_counter() - self._began
        seen = done - self._began_at  # 0 if only the record of an epoch was left to write
        left = clock(taken / seen * (self._epochs - done)) if seen > 0 else "unknown"
        self.console.print(f"  {done:>3}/{self._epochs}  {line}  left {left}")
        if done == self._epochs:
            self.close()


def _decision_line(record: Record) -> str:
    where = f"round {record['round'] + 1}, {record['kind']} cell"
    if "node" in record:
        return f"{where}: a node keeps edges {record['rows']}"
    return f"{where}: edge {record['row']} is {record['operation']}"


def _search_line(record: Record) -> str:
    parts = [
        f"train loss {record['train_loss']:.3f}",
        f"val loss {record['val_loss']:.3f}",
        f"val {_measured(record, 'val', 1)}",
    ]
    for label, operation in (("skip", SKIP), ("none", NONE)):
        part = share(record, operation)
        if part is not None:
            parts.append(
                f"{label} {part.weight_percent:.1f} % of weight, "
                f"strongest on {part.strongest}/{part.edges}"
            )
    return "  ".join(parts)


def _retrain_line(record: Record, tested: str) -> str:
    parts = [
        f"train loss {record['train_loss']:.3f}",
        f"train {_measured(record, 'train', 1)}",
    ]
    if f"test_{measure_in(record, 'test_').name}" in record:
        parts.append(f"{tested} {_measured(record, 'test', 2)}")
    if "test_top5_percent" in record:
        parts.append(f"top-5 {record['test_top5_percent']:.2f} %")
    return "  ".join(parts)


def _measured(record: Record, part: str, digits: int) -> str:
    measure = measure_in(record, f"{part}_")
    return f"{measure.words} {shown(measure, record[f'{part}_{measure.name}'], digits)}"


def clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
