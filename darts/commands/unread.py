"""A command whose output nobody takes: its reader has gone, or there is no room for it."""

import os
import select
import sys
from pathlib import Path
from typing import TextIO

UNREAD = 141
"""Exit status of a program that a closed pipe ends, as shells have it."""


def nobody_reads() -> bool:
    """Whether the reader of what is printed has gone; what is still printed then goes nowhere."""
    gone = [stream for stream in (sys.stdout, sys.stderr) if _without_reader(stream)]
    for stream in gone:
        _silence(stream)
    return bool(gone)


def refused(error: OSError, *, begun: bool | None = None) -> str | None:
    """What to do where the error is standard output's own, as of a full disk; else None.

    What is still printed then goes nowhere.

    Args:
        begun: whether there is a run to go on with, as in `unwritable`.
    """
    if error.errno is None or error.filename is not None:
        return None
    try:
        print(flush=True)
    except OSError as again:
        _silence(sys.stdout)
        from darts.records.writing import unwritable

        return str(unwritable(Path("standard output"), again, begun=begun))
    return None


def say(line: str) -> None:
    """Print to standard error; where it has no room, the exit status says the rest."""
    try:
        print(line, file=sys.stderr, flush=True)
    except BrokenPipeError:
        raise
    except OSError:
        _silence(sys.stderr)


def _silence(stream: TextIO) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _without_reader(stream: TextIO) -> bool:
    poll = select.poll()
    poll.register(stream.fileno(), select.POLLOUT)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))
