"""A command whose output nobody reads on, as in `darts presets | head`."""

import os
import select
import sys
from typing import TextIO

UNREAD = 141
"""Exit status of a program that a closed pipe ends, as shells have it."""


def nobody_reads() -> bool:
    """Whether the reader of what is printed has gone; what is still printed then goes nowhere."""
    gone = [stream for stream in (sys.stdout, sys.stderr) if _without_reader(stream)]
    for stream in gone:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return bool(gone)


def _without_reader(stream: TextIO) -> bool:
    poll = select.poll()
    poll.register(stream.fileno(), select.POLLOUT)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))
