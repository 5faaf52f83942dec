"""Standard output and error, whatever a shell made of them."""

import os
import sys
from io import TextIOWrapper


def prepare() -> None:
    """Let every text be printed: a run of hours must not end at a character of a line about it.

    What the terminal's encoding, or a file name in none, has no character for becomes a question
    mark. What goes to a stream that is closed, as by `>&-`, goes nowhere.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 (it stays)
        elif isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
