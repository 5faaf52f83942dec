"""A sweep on one page: every setting with mean and deviation over its seeds, and a picture."""

from pathlib import Path

from darts.records.plan import FILE
from darts.records.run_folder import Record, RunFolder
from darts.reports.comparison import group_table, write_comparison
from darts.reports.entries import groups_in, seed_of
from darts.reports.summary import write_summary


def summarise_sweep(folder: Path) -> Record:
    """Every finished trial's numbers by setting; mean, and deviation of a sample (n − 1).

    Trials that are not finished are counted and named, not left out in silence.
    """
    plan = RunFolder(folder).read(FILE)
    settings = [
        {
            "name": group.name,
            "estimator": (plan["settings"][group.name]["search"] or {}).get("estimator"),
            "seeds": [seed_of(Path(entry.name)) for entry in group.entries],
            "unfinished_seeds": [seed_of(Path(name)) for name in group.missing],
            **group.statistics(),
        }
        for group in groups_in(folder)
    ]
    return {"preset": next(iter(plan["settings"].values()))["preset"], "settings": settings}


def write_sweep(folder: Path) -> str:
    """Write `summary.json`, `report.html` and those of every setting; a line about them.

    Raises:
        ValueError: no trial is finished.
    """
    groups = groups_in(folder)
    if not any(group.entries for group in groups):
        raise ValueError(
            f"No trial of the sweep in {folder} is finished. Repeat its command to go on."
        )
    for group in groups:
        if group.entries:
            write_summary(folder / group.name)
    summary = summarise_sweep(folder)
    RunFolder(folder).write("summary.json", summary)
    write_comparison(folder / "report.html", f"A sweep of {summary['preset']}", groups)
    return f"summary: {folder / 'summary.json'}; report: {folder / 'report.html'}"


def sweep_table(folder: Path) -> str:
    """The settings and their numbers, mean ± standard deviation, as lines of plain text."""
    head, rows = group_table(groups_in(folder))
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = [
        "  ".join(
            cell.ljust(width) if first else cell.rjust(width)
            for first, cell, width in zip((True, *[False] * len(row)), row, widths, strict=False)
        ).rstrip()
        for row in (head, *rows)
    ]
    return "\n".join(lines)
