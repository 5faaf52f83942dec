"""The progress of trials that go side by side, shown in one place."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from darts.parallel.tasks import Outcome, Tell
from darts.records.run_folder import Listener
from darts.reports.progress import clock

SAID_SECONDS = 0.5
"""A trial tells where it is no more often than that."""
LINE_SECONDS = 60.0
"""Without a terminal there is a line about all no more often than that."""


@dataclass(frozen=True)
class Position:
    """The position of a trial within a stage.

    Attributes:
        stage: name of the stage.
        epochs: number of its epochs.
        done: number of epochs done, with a fraction.
        left_seconds: time left for the stage; None before its speed is known.
    """

    stage: str
    epochs: int
    done: float
    left_seconds: float | None

    @property
    def in_words(self) -> str:
        epochs = f"{self.stage} {int(self.done)}/{self.epochs}"
        return epochs if self.left_seconds is None else f"{epochs}, left {clock(self.left_seconds)}"


class Telling(Listener):
    """A listener that tells another process where the run stands."""

    def __init__(self, tell: Tell, now: Callable[[], float] = time.monotonic) -> None:
        self._tell, self._now = tell, now
        self._epochs = self._steps = 1
        self._began = self._began_at = self._said = 0.0

    def begin(
        self, stage: str, epochs: int, steps_per_epoch: int, position: tuple[int, int]
    ) -> None:
        self._epochs, self._steps = epochs, steps_per_epoch
        self._began = self._now()
        self._began_at = position[0] + position[1] / steps_per_epoch
        self._say(stage, self._began_at)

    def tick(self, stage: str, epoch: int, step: int) -> None:
        done = epoch + (step + 1) / self._steps
        if self._now() >= self._said + SAID_SECONDS or done == self._epochs:
            self._say(stage, done)

    def _say(self, stage: str, done: float) -> None:
        self._said = self._now()
        seen = done - self._began_at
        left = (self._said - self._began) / seen * (self._epochs - done) if seen else None
        self._tell(Position(stage, self._epochs, done, left))


class TrialsProgress:
    """Follows the trials of a sweep: a bar for each that runs, and one for all.

    Without a terminal a line says the same of all that run, once a minute at most. The time left
    for all is by the trials that have ended here; before one has, it is not known.

    Args:
        total: number of trials of the sweep.
        done: number of trials done before.
        workers: number of trials that run at a time.
    """

    def __init__(
        self,
        total: int,
        done: int,
        workers: int,
        console: Console | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.total, self.done, self.workers = total, done, workers
        self.console = console or Console(highlight=False, soft_wrap=True)
        self._now = now
        self._began: dict[str, float] = {}
        self._taken: list[float] = []
        self._positions: dict[str, Position] = {}
        self._said = now()
        self._bars: Progress | None = None
        self._all: TaskID | None = None
        self._bar_of: dict[str, TaskID] = {}
        if self.console.is_terminal:
            self._bars = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.fields[where]}"),
                console=self.console,
                transient=True,
            )
            self._bars.start()
            self._all = self._bars.add_task("all", total=total, completed=done, where="")

    def began(self, name: str) -> None:
        self._began[name] = self._now()
        if self._bars is not None:
            self._bar_of[name] = self._bars.add_task(name, total=None, where="")

    def heard(self, name: str, message: object) -> None:
        assert isinstance(message, Position)
        self._positions[name] = message
        if self._bars is not None and self._all is not None:
            self._bars.update(
                self._bar_of[name],
                total=message.epochs,
                completed=message.done,
                where=message.in_words,
            )
            self._bars.update(self._all, completed=self.done, where=self._sum())
        elif self._now() >= self._said + LINE_SECONDS:
            self._said = self._now()
            lines = (f"{name}: {where.in_words}" for name, where in self._positions.items())
            self.console.print(f"  {'; '.join(lines)}; {self._sum()}")

    def ended(self, name: str, note: str) -> None:
        taken = self._now() - self._began.pop(name)
        self._positions.pop(name, None)
        if self._bars is not None:
            self._bars.remove_task(self._bar_of.pop(name))
        if note:
            self.console.print(f"{name}: {note}", markup=False)
        else:
            self._taken.append(taken)

    def outcome(self, outcome: Outcome) -> None:
        """Show how a trial ended."""
        self.done += not outcome.failed
        word = "FAILED: " if outcome.failed else ""
        self.console.print(f"{outcome.name}: {word}{outcome.line} ({self._sum()})", markup=False)

    def stopping(self, names: list[str]) -> None:
        self.console.print(
            f"Interrupted: {', '.join(names)} finish their step and save it. Ctrl-C again stops "
            "them at once.",
            markup=False,
        )

    def close(self) -> None:
        """Take the bars down; call it before anything else is printed."""
        if self._bars is not None:
            self._bars.stop()
            self._bars = None

    def _sum(self) -> str:
        said = f"{self.done} of {self.total} done"
        if not self._taken or self.done == self.total:
            return said
        each, now = sum(self._taken) / len(self._taken), self._now()
        running = [max(0.0, each - (now - began)) for began in self._began.values()]
        unbegun = max(0, self.total - self.done - len(running))
        return f"{said}, left {clock((sum(running) + unbegun * each) / self.workers)}"
