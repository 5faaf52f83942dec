"""A sweep on one page: every setting with mean and deviation over its seeds, and a picture."""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from darts.records.plan import FILE
from darts.records.run_folder import Record, RunFolder
from darts.records.writing import write_atomically
from darts.reports.page import figure, page
from darts.reports.plots import svg
from darts.reports.shares import SKIP
from darts.reports.summary import write_summary
from darts.reports.sweep_plots import sweep_figure
from darts.reports.tables import mean_and_deviation, table
from darts.reports.top5 import top5_percent

QUANTITIES = (
    ("test_accuracy_percent", "test %"),
    ("test_top5_percent", "test top-5 %"),
    ("val_accuracy_percent", "supernet, val %"),
    ("params_millions", "parameters, M"),
    ("skips_kept", "skips kept"),
)
"""Name in summary.json, head of the column."""


def summarise_sweep(folder: Path) -> Record:
    """Every finished trial's numbers by setting; mean, and deviation of a sample (n − 1).

    Trials that are not finished are counted and named, not left out in silence.
    """
    plan = RunFolder(folder).read(FILE)
    settings = []
    for name, config in plan["settings"].items():
        runs = {seed: RunFolder(folder / name / f"seed-{seed}") for seed in plan["seeds"]}
        finished = {seed: run for seed, run in runs.items() if run.has("result.json")}
        trials = [_numbers(run) for run in finished.values()]
        statistics: Record = {
            "name": name,
            "estimator": (config["search"] or {}).get("estimator"),
            "seeds": list(finished),
            "unfinished_seeds": [seed for seed in runs if seed not in finished],
        }
        for quantity, _ in QUANTITIES:
            values = [trial[quantity] for trial in trials if quantity in trial]
            if values:
                statistics[quantity] = {
                    "n": len(values),
                    "mean": mean(values),
                    "sd": stdev(values) if len(values) > 1 else None,
                    "values": values,
                }
        settings.append(statistics)
    return {"preset": next(iter(plan["settings"].values()))["preset"], "settings": settings}


def write_sweep(folder: Path) -> str:
    """Write `summary.json`, `report.html` and those of every setting; a line about them.

    Raises:
        ValueError: no trial is finished.
    """
    summary = summarise_sweep(folder)
    if not any(setting["seeds"] for setting in summary["settings"]):
        raise ValueError(
            f"No trial of the sweep in {folder} is finished. Repeat its command to go on."
        )
    for setting in summary["settings"]:
        if setting["seeds"]:
            write_summary(folder / setting["name"])
    RunFolder(folder).write("summary.json", summary)
    write_atomically(folder / "report.html", _page(summary).encode())
    return f"summary: {folder / 'summary.json'}; report: {folder / 'report.html'}"


def sweep_table(folder: Path) -> str:
    """The settings and their numbers, mean ± standard deviation, as lines of plain text."""
    head, rows = _table(summarise_sweep(folder))
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = [
        "  ".join(
            cell.ljust(width) if first else cell.rjust(width)
            for first, cell, width in zip((True, *[False] * len(row)), row, widths, strict=False)
        ).rstrip()
        for row in (head, *rows)
    ]
    return "\n".join(lines)


def _table(summary: Record) -> tuple[list[str], list[list[str]]]:
    shown = [
        (quantity, title)
        for quantity, title in QUANTITIES
        if any(quantity in setting for setting in summary["settings"])
    ]
    rows = [
        [
            setting["name"],
            str(len(setting["seeds"])),
            *(_cell(setting.get(name), 3 if name == "params_millions" else 2) for name, _ in shown),
        ]
        for setting in summary["settings"]
    ]
    return ["setting", "n", *(title for _, title in shown)], rows


def _cell(statistics: Any, digits: int) -> str:
    return "–" if statistics is None else mean_and_deviation(statistics["values"], digits)


def _page(summary: Record) -> str:
    settings: Sequence[Record] = summary["settings"]
    head, rows = _table(summary)
    links = [
        [
            f'<a href="{escape(row[0])}/report.html">{escape(row[0])}</a>'
            if setting["seeds"]
            else escape(row[0]),
            *row[1:],
        ]
        for row, setting in zip(rows, settings, strict=True)
    ]
    missing = [
        f"{setting['name']}/seed-{seed}"
        for setting in settings
        for seed in setting["unfinished_seeds"]
    ]
    count = sum(len(setting["seeds"]) for setting in settings)
    lead = f"{count} trials of {len(settings)} settings. " + (
        f"Not finished: {escape(', '.join(missing))}." if missing else "None is missing."
    )
    drawn = [(q, t) for q, t in QUANTITIES if any(q in setting for setting in settings)]
    picture = svg(sweep_figure(settings, drawn[0], drawn[-1]), "sweep")
    body = [
        f"<h1>A sweep of {escape(summary['preset'])}</h1>",
        f'<p class="lead">{lead}</p>',
        figure(
            picture,
            "Each point is a trial; the bar is the mean of a setting, the line one standard "
            "deviation of a sample to either side.",
        ),
        "<h2>Every setting</h2>",
        table(head, links, "numbers"),
        '<p class="note">Mean ± sample standard deviation over seeds. Skips kept: skip-connects '
        "among the operations of all cells of the genotype that was found.</p>",
    ]
    return page("A sweep", "\n".join(body))


def _numbers(run: RunFolder) -> Record:
    result = run.read("result.json")
    numbers: Record = {}
    if "retrain" in result:
        numbers["test_accuracy_percent"] = result["retrain"]["test"]["accuracy_percent"]
        top5 = top5_percent(run, result["retrain"]["test"])
        if top5 is not None:
            numbers["test_top5_percent"] = top5
        numbers["params_millions"] = result["retrain"]["params_millions"]
    if "search" in result:
        numbers["val_accuracy_percent"] = result["search"]["val"]["accuracy_percent"]
        cells = result["search"]["genotype"].values()
        numbers["skips_kept"] = sum(SKIP in entry for cell in cells for entry in _edges(cell))
    return numbers


def _edges(cell: list[Any]) -> list[list[Any]]:
    """The edges of a cell's entry in a genotype; none of a concat's, which are numbers."""
    return [entry for entry in cell if isinstance(entry, list)]
