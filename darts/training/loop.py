"""The loop of a stage: epochs of steps, checkpoints, and a clean end at any step."""

import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

from bilevel import NonFiniteError
from bilevel.state import State
from darts.parallel.launch import Devices
from darts.records.run_folder import RunFolder
from darts.training.checkpoint import StageCheckpoints
from darts.training.evaluation import NonFiniteLossError


class Stage(Protocol):
    """A stage of a run, as `drive` takes it through its epochs.

    Attributes:
        name: name of its folder in the run.
        work: its name in a sentence.
        epochs: largest number of epochs.
        steps: number of steps in each epoch.
        wall_seconds: time spent on it so far, over all resumptions.
        remedy: advice where a number is not finite.
    """

    name: str
    work: str
    epochs: int
    steps: int
    wall_seconds: float
    remedy: str

    def enter(self, epoch: int, *, resumed: bool) -> None:
        """Prepare an epoch, or the rest of one whose first steps are done (`resumed`)."""

    def step(self, epoch: int, step: int) -> None:
        """Take one step and keep its numbers.

        Raises:
            NonFiniteError: a number is not finite; the state is as it was.
        """

    def leave(self, epoch: int) -> None:
        """Write the record of an epoch."""

    def ended(self) -> bool:
        """Whether the epochs recorded so far are enough."""

    def state(self) -> State: ...

    def restore(self, state: State) -> None: ...


class Interrupted(KeyboardInterrupt):
    """A run was interrupted by Ctrl-C or SIGTERM, and its state saved.

    Attributes:
        run: its folder.
        signal: the number of the signal.
    """

    def __init__(self, run: Path, signal: int) -> None:
        super().__init__(str(run))
        self.run, self.signal = run, signal


def drive(stage: Stage, run: RunFolder, devices: Devices, origin: Any, share: float) -> None:
    """Take a stage through its epochs, from the last checkpoint in `run` if there is one.

    The first Ctrl-C or SIGTERM lets the step end and saves the state; a second one stops at once.
    Of several processes all stop after the same step, whichever of them was asked.

    Args:
        stage: the search or the retraining.
        run: the folder to write.
        devices: the device and the processes that it computes on.
        origin: the config as JSON; a checkpoint from another one is refused.
        share: largest share of the time for writing checkpoints.

    Raises:
        Interrupted: Ctrl-C was pressed, or SIGTERM sent, and the state is saved; on all processes.
        NonFiniteLossError: a number is not finite; the last checkpoint is kept.
        ValueError: a checkpoint in `run` is from another config.
    """
    checkpoints = StageCheckpoints(run, stage.name, origin, share=share, ranks=devices.ranks)
    saved = checkpoints.resume()
    epochs_done, done = saved.position if saved else (0, 0)
    if saved:
        stage.restore(saved.state)
    over = done == 0 and epochs_done > 0 and stage.ended()
    run.begin(stage.name, stage.epochs, stage.steps, (epochs_done, done))
    began = time.perf_counter() - stage.wall_seconds
    with _interrupts() as asked:
        for epoch in range(epochs_done, epochs_done if over else stage.epochs):
            stage.enter(epoch, resumed=done > 0)
            for step in range(done, stage.steps):
                try:
                    stage.step(epoch, step)
                except NonFiniteError as error:
                    raise NonFiniteLossError(
                        f"The {stage.work} stopped in epoch {epoch}, step {step}: {error} "
                        f"{checkpoints.whereabouts} {stage.remedy}"
                    ) from error
                stage.wall_seconds = time.perf_counter() - began
                stop = devices.ranks.largest(*asked)  # what comes later counts after the next step
                if checkpoints.due or stop:
                    checkpoints.save((epoch, step + 1), stage.state())
                run.tick(stage.name, epoch, step)
                if stop:
                    raise Interrupted(run.path, stop)
            stage.leave(epoch)
            done = 0
            stage.wall_seconds = time.perf_counter() - began
            over = stage.ended() or epoch + 1 == stage.epochs
            stop = devices.ranks.largest(*asked)
            if checkpoints.due or over or stop:
                checkpoints.save((epoch + 1, 0), stage.state())
            if stop:
                raise Interrupted(run.path, stop)
            if over:
                break


Handler = Callable[[int, FrameType | None], Any] | signal.Handlers
USUAL: Mapping[int, Handler] = {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGTERM: signal.SIG_DFL,
}
"""How a process takes the signals that ask it to end."""


@contextmanager
def _interrupts() -> Iterator[list[int]]:
    """A list that the first Ctrl-C and the first SIGTERM add to; a second one has its usual effect.

    A signal that the process ignores, as Ctrl-C in the background of a shell, or handles itself, is
    left as it is.
    """
    asked: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def ask(number: int, frame: FrameType | None) -> None:
        asked.append(number)
        signal.signal(number, USUAL[number])

    replaced = [number for number, usual in USUAL.items() if signal.getsignal(number) == usual]
    for number in replaced:
        signal.signal(number, ask)
    try:
        yield asked
    finally:
        for number in replaced:
            signal.signal(number, USUAL[number])
