"""The runs of an experiment beside one another, on the page that `darts compare` writes."""

from __future__ import annotations

from pathlib import Path

from benchmarks.experiments.definition import Experiment, Planned
from darts.records.run_folder import RunFolder
from darts.reports.comparison import write_comparison
from darts.reports.entries import Entry, Group, skips_kept
from darts.reports.measures import measure_in
from darts.reports.selected import epochs_as_chosen


def write_comparison_of(experiment: Experiment, work: Path) -> Path | None:
    """Write `compare.html` beside the run folders: a method is a setting, its seeds are its runs.

    A search that is not finished is named, and compared with none. None, and no page, where no run
    is a finished search.

    Args:
        experiment: whose runs.
        work: the folder that has a folder for each setting of experiments.
    """
    setting = experiment.runs[0].setting.name
    by_method: dict[str, list[Planned]] = {}
    for run in experiment.runs:
        if run.setting.name == setting and "search" in run.content:
            by_method.setdefault(run.method, []).append(run)
    groups = [_group(method, runs, work / setting) for method, runs in by_method.items()]
    if not any(group.entries for group in groups):
        return None
    return write_comparison(work / setting / "compare.html", experiment.name, groups)


def _group(method: str, runs: list[Planned], folder: Path) -> Group:
    entries, missing = [], []
    for run in runs:
        search, done = run.content["search"], RunFolder(folder / run.name)
        epochs = epochs_as_chosen(done)
        undecided = "selection" in search and not done.has("genotype.json")
        if not epochs or len(epochs) < search["epochs"] or undecided:
            missing.append(run.name)
            continue
        last = epochs[-1]
        name = f"val_{measure_in(last, 'val_').name}"
        numbers = {name: last[name], "skips_kept": skips_kept(last["genotype"])}
        entries.append(Entry(run.name, None, numbers, epochs))
    return Group(method, tuple(entries), tuple(missing), runs[0].content)
