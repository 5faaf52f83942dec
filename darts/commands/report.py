"""`darts report`: reports written again from records."""

from dataclasses import dataclass
from pathlib import Path

from darts.commands.command import Command, Invocation
from darts.commands.errors import UsageError
from darts.commands.jobs import report_on


@dataclass(frozen=True)
class Report(Command):
    """Write report.html again from the records of run folders.

    Args:
        folders: run folders.
    """

    folders: tuple[Path, ...]

    def run(self, given: Invocation) -> int:
        if not self.folders:
            raise UsageError("report needs a run folder: darts report runs/NAME.")
        for path in self.folders:
            print(report_on(path))
        return 0
