"""Runs one after another, each with its folder, its listeners and its report."""

from dataclasses import dataclass
from pathlib import Path

from darts.data import ImageSet
from darts.reports.events import TensorBoardEvents
from darts.reports.html import write_report
from darts.reports.loggers import FabricLogger, LoggerMaker
from darts.reports.progress import LiveProgress
from darts.reports.summary import write_summary
from darts.reports.sweep import write_sweep
from darts.runs.config import FullConfig, to_json
from darts.runs.environment import describe_environment
from darts.runs.full import full_run, require_feasible
from darts.runs.plan import FILE
from darts.runs.records import Listener, RunFolder
from darts.spaces import Genotype


@dataclass(frozen=True)
class Job:
    """One run: its config, where it goes, a genotype if it begins from one, and its loggers."""

    config: FullConfig
    path: Path
    command: str
    genotype: Genotype | None = None
    loggers: tuple[LoggerMaker, ...] = ()

    def folder(self, device: str) -> RunFolder:
        """The run's folder, made with config and environment unless it is there already."""
        trackers = (FabricLogger(make, self.path) for make in self.loggers)
        listeners: tuple[Listener, ...] = (
            LiveProgress(),
            TensorBoardEvents(self.path),
            *trackers,
        )
        if (self.path / "config.json").is_file():
            return RunFolder.open(self.path, listeners)
        environment = describe_environment(device, self.command)
        genotype = self.genotype.to_dict() if self.genotype is not None else None
        return RunFolder.create(self.path, to_json(self.config), environment, listeners, genotype)


def run_jobs(jobs: list[Job], device: str) -> None:
    """Do the jobs one after another, each with its report; a summary if there are several."""
    images: ImageSet = jobs[0].config.data.load()
    for job in jobs:
        require_feasible(job.config, images)
    if len(jobs) > 1:  # every folder has its config before any work, so that all can be resumed
        for job in jobs:
            job.folder(device)
    for job in jobs:
        run = job.folder(device)
        print(f"{job.config.preset}, seed {job.config.seed}, on {device} → {job.path}", flush=True)
        try:
            full_run(job.config, images, run, device=device)
        finally:
            for listener in run.listeners:
                listener.close()
        print(report_on(job.path), flush=True)
    if len(jobs) > 1:
        print(report_on(jobs[0].path.parent), flush=True)


def report_on(path: Path) -> str:
    """Write the report of a run, of a sweep, or of runs in seed-* folders; a line about it."""
    if (path / FILE).is_file():
        return write_sweep(path)
    if any(path.glob("seed-*")):
        return write_summary(path)
    return write_report(RunFolder.open(path))
