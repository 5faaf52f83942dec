"""`darts report`: reports written again from records."""

from dataclasses import dataclass
from pathlib import Path

from darts.commands.closing import closing, commands_after, files_and_next
from darts.commands.command import Command, Invocation
from darts.commands.errors import UsageError
from darts.commands.requests import report_on
from darts.config.spelling import Folders
from darts.records.plan import FILE

RUNS = Path("runs")
"""Where runs go that nobody named a folder for."""


@dataclass(frozen=True)
class Report(Command):
    """Write report.html again from the records of run folders.

    Args:
        folders: run folders; by default the newest in runs/.
    """

    examples = ("darts report runs/NAME", "darts report runs/ONE runs/OTHER")
    main = ""

    folders: Folders = ()

    def run(self, given: Invocation) -> int:
        folders = self.folders or (_newest(),)
        for path in folders:
            print(report_on(path))
        if len(folders) > 1:
            pages = [path / "report.html" for path in folders]
            print(closing(pages, ("compare", *folders)))
        else:
            print(files_and_next(folders[0], *commands_after(folders[0])))
        return 0


def _newest() -> Path:
    """The folder in runs/ whose settings were written last, a sweep's or of several seeds too."""
    marks = [path for name in ("config.json", FILE) for path in RUNS.glob(f"*/**/{name}")]
    tops = {mark: RUNS / mark.relative_to(RUNS).parts[0] for mark in marks}
    if not tops:
        raise UsageError(
            f"No run folder is named, and there is none in {RUNS}/. Give one: darts report "
            "runs/NAME."
        )
    return tops[max(tops, key=lambda mark: mark.stat().st_mtime)]
