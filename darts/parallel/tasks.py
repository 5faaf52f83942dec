"""Tasks that are done elsewhere, and how they ended."""

from collections.abc import Callable
from dataclasses import dataclass

Tell = Callable[[object], None]
"""Says how a task goes on; what is told can be pickled."""
Task = Callable[[Tell], str]
"""What is done in another process; it returns a line about its result."""

RESTARTS = 3
"""How often a task is begun again after its process was killed."""


@dataclass(frozen=True)
class Outcome:
    """How a task ended: with a line about it, or with an error."""

    name: str
    line: str
    failed: bool
