"""The number of trials that one device takes side by side, as a table with a recommendation."""

from rich.console import Console
from rich.table import Table

from darts.training.side_by_side import NEARLY, SideBySide


def print_side_by_side(
    found: SideBySide, title: str, about: str, command: str, console: Console | None = None
) -> None:
    """Print it.

    Args:
        found: the counts of several numbers of processes.
        title: title of the table, with the search and the device.
        about: a line about the memory, and the bound on the number of workers.
        command: the command of the sweep with the number recommended.
    """
    console = console or Console(highlight=False)
    table = Table(title=title, title_justify="left")
    for name in ("workers", "steps a second", "of one worker's", "epochs an hour"):
        table.add_column(name, justify="right")
    one = found.counts[0].steps_per_second
    for count in found.counts:
        if count.trouble:
            table.add_row(str(count.workers), "failed", "", "")
        else:
            table.add_row(
                str(count.workers),
                f"{count.steps_per_second:.3g}",
                f"{count.steps_per_second / one:.2f}×",
                f"{found.epochs_per_hour(count):,.1f}",
            )
    console.print(table)
    for line in lines(found, about, command):
        console.print(line, soft_wrap=True, markup=False)


def lines(found: SideBySide, about: str, command: str) -> list[str]:
    """The lines below the table."""
    trouble = [f"{c.workers} workers: {c.trouble}" for c in found.counts if c.trouble]
    best = found.best
    return [
        about,
        *trouble,
        f"Recommended: --workers {best.workers}, the fewest within {NEARLY:.0%} of the most search "
        f"steps a second ({found.epochs_per_hour(best):,.1f} epochs an hour in all). Steps of the "
        "retraining were not counted.",
        f"Nothing was written. The sweep itself: {command}",
    ]
