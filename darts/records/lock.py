"""One writer at a time: a folder that a process holds, and a new one under a name of its own."""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from darts.records.writing import unwritable

NAME = ".lock"
"""File in the folder that is locked; it stays, and says nothing."""


@contextmanager
def held(folder: Path, *, wait_seconds: float = 0) -> Iterator[None]:
    """Hold the folder against every other process that calls this; it is made if need be.

    The system lets go of it when the process ends, however it ends.

    Args:
        wait_seconds: time that another process may take to let go.

    Raises:
        ValueError: another process holds it.
        OSError: it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / NAME).open("w")
    except OSError as error:
        begun = folder.is_dir() and not is_empty(folder)
        raise unwritable(folder, error, begun=begun) from error
    with file as lock:
        deadline = time.monotonic() + wait_seconds
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise ValueError(
                        f"Another process is writing to {folder}. Wait until it ends, or give "
                        "this run a folder of its own with --run-dir."
                    ) from None
                time.sleep(0.2)
        yield


def own_folder(path: Path) -> Path:
    """Make a folder that was not there: `path`, or `path-2`, `path-3`, ... where it was."""
    number = 1
    while True:
        folder = path if number == 1 else path.with_name(f"{path.name}-{number}")
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            number += 1
        except OSError as error:
            raise unwritable(folder, error, begun=False) from error


def is_empty(folder: Path) -> bool:
    """Whether nothing but a lock is in the folder."""
    return all(entry.name == NAME for entry in folder.iterdir())
