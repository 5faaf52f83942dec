"""Errors as a person at a terminal sees them: one line with the remedy, or a traceback."""

import dis
from collections.abc import Iterator
from contextlib import contextmanager


class UsageError(Exception):
    """The command line asks for something that cannot be; exit status 2."""


class CutOff(KeyboardInterrupt):
    """A run was cut off by Ctrl-C or SIGTERM, and its state is saved.

    Attributes:
        command: the line that goes on with it.
        signal: the number of the signal.
    """

    def __init__(self, command: str, signal: int) -> None:
        super().__init__(command)
        self.command, self.signal = command, signal


@contextmanager
def refusing() -> Iterator[None]:
    """In this block a `ValueError` becomes a `UsageError`: the user asked for a wrong value."""
    try:
        yield
    except ValueError as error:
        if not for_the_user(error):
            raise
        raise UsageError(str(error)) from error


def for_the_user(error: Exception) -> bool:
    """Whether an error says what to do about it: this project's own do, and so do the system's.

    A `ValueError` that Python or a library raises on what it was called with is a fault of the
    code, and its traceback the only way to it.
    """
    if isinstance(error, OSError):
        return True
    innermost = error.__traceback__
    while innermost is not None and innermost.tb_next is not None:
        innermost = innermost.tb_next
    if innermost is None:
        return True
    frame = innermost.tb_frame
    package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
    raised = frame.f_code.co_code[innermost.tb_lasti] == dis.opmap["RAISE_VARARGS"]
    return raised and package in ("darts", "bilevel")
