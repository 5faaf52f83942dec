"""Tasks for workers, in a module that loads no heavy library, so that a process starts at once."""

import os
import signal
import time
from multiprocessing.connection import Connection
from pathlib import Path

from darts.parallel.tasks import Tell
from darts.parallel.workers import run_beside


def done(text: str, tell: Tell) -> str:
    tell("half")
    return text


def raising(tell: Tell) -> str:
    raise ValueError("a loss that is not finite")


def killed_once(mark: Path, tell: Tell) -> str:
    if mark.exists():
        return "went on"
    mark.touch()
    return killed_always(tell)


def killed_always(tell: Tell) -> str:
    os.kill(os.getpid(), signal.SIGKILL)
    return "not reached"


def meeting(folder: Path, tell: Tell) -> str:
    """Wait until another one runs at the same time."""
    mine = folder / str(os.getpid())
    mine.touch()
    deadline = time.monotonic() + 60
    while len(list(folder.iterdir())) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    return f"met {len(list(folder.iterdir())) - 1}"


def saving(folder: Path, tell: Tell) -> str:
    """Say who it is and go on for ever; save at Ctrl-C, as a run does, which a second one ends."""
    tell(os.getpid())
    try:
        time.sleep(600)
    except KeyboardInterrupt:
        time.sleep(1.0)
        (folder / f"saved-{os.getpid()}").touch()
        raise
    return "not reached"


class Printing:
    """A follower that prints what it hears."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def began(self, name: str) -> None:
        self._say("began", name)

    def heard(self, name: str, message: object) -> None:
        self._say("heard", name, str(message))

    def ended(self, name: str, note: str) -> None:
        self._say("ended", name, note)

    def stopping(self, names: list[str]) -> None:
        self._say("stopping", *names)
        time.sleep(0.3)  # a signal that has reached the workers by another way is seen before

    def _say(self, *words: str) -> None:
        self.said.append(" ".join(words).strip())
        print(self.said[-1], flush=True)


def answering(connection: Connection) -> None:
    connection.send(connection.recv() + 1)


def sweep_for_ever(folder: str, workers: int) -> None:
    """A process whose workers never end by themselves."""
    from functools import partial

    tasks = {name: partial(saving, Path(folder)) for name in ("a", "b", "c")}
    for outcome in run_beside(tasks, workers, Printing()):
        print(outcome, flush=True)
