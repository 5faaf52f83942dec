"""`darts compare`: any runs beside one another on one page."""

from dataclasses import dataclass
from pathlib import Path

from darts.commands.closing import closing
from darts.commands.command import Command, Invocation
from darts.commands.errors import UsageError
from darts.reports.comparison import sentences, write_comparison
from darts.reports.entries import gathered


@dataclass(frozen=True)
class Compare(Command):
    """Set any runs beside one another: curves, differences with intervals, settings that differ.

    Args:
        folders: run folders, folders of several seeds, sweeps or random searches. Runs that differ
            in their seeds alone, with the same images and the same genotype given, are one
            setting, with a band.
        output: the page to write.
    """

    examples = ("darts compare runs/ONE runs/OTHER", "darts compare runs/* --output page.html")
    main = "output"

    folders: tuple[Path, ...]
    output: Path = Path("comparison.html")

    def run(self, given: Invocation) -> int:
        if not self.folders:
            raise UsageError("compare needs run folders: darts compare runs/ONE runs/OTHER.")
        groups = gathered(self.folders)
        page = write_comparison(self.output, "Runs compared", groups)
        for sentence in sentences([group for group in groups if group.entries]):
            print(sentence)
        runs = [entry.folder for group in groups for entry in group.entries if entry.folder]
        following = [(word, run) for run in runs[:1] for word in ("report", "draw")]
        print(closing([page], *following))
        return 0
