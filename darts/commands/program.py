"""The words that the command line was started by, for commands that are printed to be typed."""

import sys
from contextvars import ContextVar
from pathlib import Path

DARTS = ("darts",)
started_by: ContextVar[tuple[str, ...]] = ContextVar("started_by", default=DARTS)
"""`darts`, or a script that registers spaces, operations or images and then becomes it."""


def of_this_process() -> tuple[str, ...]:
    """The words that started the program that is running.

    What a script registers is known to it alone, so that its commands begin with the script.
    """
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    if spec is not None:  # python -m
        return DARTS if spec.name.partition(".")[0] == "darts" else ("python", "-m", spec.name)
    script = sys.argv[0]
    return ("python", script) if Path(script).suffix == ".py" else DARTS
