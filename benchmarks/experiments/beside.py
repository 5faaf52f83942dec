"""The runs of an experiment beside one another, on the page that `darts compare` writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.experiments.definition import Experiment, Planned
from benchmarks.experiments.searched import ENDED
from darts.records.run_folder import RunFolder
from darts.reports.comparison import write_comparison
from darts.reports.entries import Entry, Group, skips_kept
from darts.reports.measures import measure_in
from darts.reports.selected import epochs_as_chosen


def write_comparison_of(experiment: Experiment, work: Path) -> Path | None:
    """Write `compare.html` beside the run folders: a method is a setting, its seeds are its runs.

    A search that is not finished is named, and compared with none. One that its own rule ended is
    finished, and shown at its last epoch. None, and no page, where no run is a finished search.

    Args:
        experiment: whose runs; of several settings each method has a group in each.
        work: the folder that has a folder for each setting of experiments.
    """
    searches = [run for run in experiment.runs if "search" in run.content]
    several = len({run.setting.name for run in searches}) > 1
    by_group: dict[str, list[Planned]] = {}
    for run in searches:
        name = f"{run.setting.name}, {run.method}" if several else run.method
        by_group.setdefault(name, []).append(run)
    groups = [_group(name, runs, work) for name, runs in by_group.items()]
    if not any(group.entries for group in groups):
        return None
    folder = work / experiment.runs[0].setting.name
    folder.mkdir(parents=True, exist_ok=True)
    return write_comparison(folder / "compare.html", experiment.name, groups)


def _group(name: str, runs: list[Planned], work: Path) -> Group:
    entries, missing = [], []
    for run in runs:
        done = RunFolder(work / run.setting.name / run.name)
        epochs = epochs_as_chosen(done)
        short = len(epochs) < _planned_epochs(run) and not done.records(ENDED)
        undecided = "selection" in run.content["search"] and not done.has("genotype.json")
        if short or undecided:
            missing.append(run.name)
            continue
        last = epochs[-1]
        accuracy = f"val_{measure_in(last, 'val_').name}"
        numbers = {accuracy: last[accuracy], "skips_kept": skips_kept(last["genotype"])}
        entries.append(Entry(run.name, None, numbers, epochs))
    return Group(name, tuple(entries), tuple(missing), runs[0].content)


def _planned_epochs(run: Planned) -> int:
    """All of a search's, or those up to its last measurement."""
    content: Any = run.content
    return int(max(content.get("measured_after", [content["search"]["epochs"]])))
