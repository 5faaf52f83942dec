"""Runs one after another, each with its folder, its listeners and its report."""

import shlex
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from darts.commands.closing import commands_after, files_and_next
from darts.config.as_json import to_json
from darts.config.full import FullConfig
from darts.data import ImageSet
from darts.data.given import Given
from darts.parallel.launch import Devices
from darts.records.environment import describe_environment
from darts.records.lock import held, own_folder
from darts.records.plan import FILE
from darts.records.run_folder import Listener, RunFolder
from darts.records.shared_run import SharedRun
from darts.reports.data_set import images_in_words
from darts.reports.html import write_report
from darts.reports.loggers import ListenerMaker
from darts.reports.progress import LiveProgress
from darts.reports.summary import write_samples, write_summary
from darts.reports.sweep import write_sweep
from darts.spaces import Genotype, spaces_in_words
from darts.training.full import FullResult, full_run, require_feasible
from darts.training.random_search import STREAM


@dataclass(frozen=True)
class Job:
    """One run.

    Attributes:
        config: what is done.
        path: its folder; of several jobs at once each has one in a folder that they share.
        command: the line that asked for it.
        genotype: that it begins from, if it has no search.
        loggers: that follow it.
        usual: nobody named the folder, so that another name is as good if this one is taken.
        wait_seconds: how long another process may hold the folder before that is an error.
    """

    config: FullConfig
    path: Path
    command: str
    genotype: Genotype | None = None
    loggers: tuple[ListenerMaker, ...] = ()
    usual: bool = False
    wait_seconds: float = 0

    def folder(self, devices: Devices) -> RunFolder:
        """The run's folder, made with config and environment unless it is there already."""
        if not devices.ranks.first:
            return SharedRun.of(RunFolder(self.path), devices.ranks)
        trackers = (make(self.path) for make in self.loggers)
        listeners: tuple[Listener, ...] = (
            LiveProgress(),
            *trackers,
        )
        if (self.path / "config.json").is_file():
            run = RunFolder.open(self.path, listeners)
        else:
            environment = describe_environment(devices.device, self.command)
            genotype = self.genotype.to_dict() if self.genotype is not None else None
            config = to_json(self.config)
            run = RunFolder.create(self.path, config, environment, listeners, genotype)
        return SharedRun.of(run, devices.ranks)


def run_jobs(jobs: list[Job], devices: Devices) -> None:
    """Do the jobs one after another, each with its report; a summary if there are several.

    Of several processes all call this, and the first one's paths hold.
    """
    do_jobs(jobs, devices.ranks.in_turn(jobs[0].config.data.load), devices)


def do_jobs(jobs: list[Job], images: ImageSet, devices: Devices) -> list[FullResult]:
    """The same on images that are there; what each gave."""
    ranks = devices.ranks
    for job in jobs:
        require_feasible(job.config, images, job.genotype)
    paths = ranks.from_first(lambda: [str(path) for path in _folders(jobs)])
    jobs = [replace(job, path=Path(path)) for job, path in zip(jobs, paths, strict=True)]
    with ExitStack() as locks:
        if ranks.first:
            for job in jobs:
                locks.enter_context(held(job.path, wait_seconds=job.wait_seconds))
        return _run(jobs, images, devices)


def _folders(jobs: list[Job]) -> list[Path]:
    """Where the jobs go: where they say, or beside it if nobody said so and it is taken."""
    if not jobs[0].usual:
        return [job.path for job in jobs]
    if len(jobs) == 1:
        return [own_folder(jobs[0].path)]
    parent = own_folder(jobs[0].path.parent)
    return [parent / job.path.name for job in jobs]


def _run(jobs: list[Job], images: ImageSet, devices: Devices) -> list[FullResult]:
    ranks, results = devices.ranks, []
    if ranks.first:
        print(images_in_words(images), flush=True)
    if len(jobs) > 1:  # every folder has its config before any work, so that all can be resumed
        for job in jobs:
            job.folder(devices)
    for job in jobs:
        run = job.folder(devices)
        if ranks.first:
            processes = f", {ranks.count} processes" if ranks.count > 1 else ""
            print(
                f"{job.config.preset}, seed {job.config.seed}, on {devices.device}{processes} → "
                f"{job.path}",
                flush=True,
            )
            if job.genotype is not None:
                print(f"the genotype is {spaces_in_words(job.genotype)}", flush=True)
        try:
            results.append(full_run(job.config, images, run, devices=devices))
        finally:
            for listener in run.listeners:
                listener.close()
        if ranks.first:
            print(report_on(job.path), flush=True)
    if len(jobs) > 1 and ranks.first:
        print(report_on(jobs[0].path.parent), flush=True)
    if ranks.first:
        print(_closing(jobs), flush=True)
    return results


def _closing(jobs: list[Job]) -> str:
    """The files of the runs, and what may be done with them."""
    job, first = jobs[0], jobs[0].path
    folder = first if len(jobs) == 1 else first.parent
    again = shlex.split(job.command)[1:]
    alone = len(jobs) == 1 and not {"--resume", "--run-dir", "--seeds"} & set(again)
    once = job.config.retrain is None or isinstance(job.config.data, Given)
    repeated = [(*again, "--seeds", "3")] if alone and not once else []
    return files_and_next(folder, *commands_after(first), *repeated)


def report_on(path: Path) -> str:
    """Write the report of a run, of a sweep, or of runs in seed-* folders; a line about it."""
    if (path / FILE).is_file():
        return write_sweep(path)
    if any(path.glob("seed-*")):
        return write_summary(path)
    if (path / STREAM).with_suffix(".jsonl").is_file():
        return write_samples(path)
    return write_report(RunFolder.open(path))
