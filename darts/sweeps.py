"""Sweeps: every trial an ordinary run folder, wherever there is room, and a summary at the end."""

import contextlib
import fcntl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from darts.jobs import Job, report_on, run_jobs
from darts.reports.loggers import LoggerMaker
from darts.reports.sweep import sweep_table, write_sweep
from darts.runs.devices import Placement, launched
from darts.runs.full import require_feasible
from darts.runs.plan import Plan
from darts.runs.sweep import Cluster, run_tasks

SECONDS_TO_WAIT = 60
"""For the process of a trial that was killed with its sweep and is not quite gone."""


@dataclass(frozen=True)
class Execution:
    """How trials are executed, as opposed to what they are.

    Args:
        device: cpu, or cuda for the GPU that Ray gives to a trial.
        threads: of PyTorch in each; 0 leaves PyTorch's own choice.
        loggers: make the loggers of each.
    """

    device: str
    threads: int
    loggers: tuple[LoggerMaker, ...] = ()


def run_sweep(
    plan: Plan, folder: Path, command: str, cluster: Cluster, execution: Execution
) -> bool:
    """Run the trials that have no result yet, then write the summary; whether all succeeded.

    A trial that was cut off goes on from its checkpoint. Call it again to go on with a sweep that
    was killed, or to try failed trials again.

    Raises:
        ValueError: the folder is another sweep's, the images do not suffice, or Ray has no room.
    """
    trials = plan.trials
    images = trials[0].config.data.load()
    for trial in trials:
        require_feasible(trial.config, images)
    plan.write(folder)
    folder = folder.resolve()
    tasks = {
        trial.name: partial(run_trial, Job(trial.config, folder / trial.name, command), execution)
        for trial in trials
        if not (folder / trial.name / "result.json").is_file()
    }
    done = len(trials) - len(tasks)
    print(f"{len(trials)} trials, {done} of them done already → {folder}", flush=True)
    failures = []
    for outcome in run_tasks(tasks, cluster) if tasks else ():
        done += not outcome.failed
        print(
            f"{outcome.name}: {'FAILED: ' if outcome.failed else ''}{outcome.line} "
            f"({done} of {len(trials)} done)",
            flush=True,
        )
        failures += [outcome.name] if outcome.failed else []
    if done:
        report = write_sweep(folder)
        print(f"{sweep_table(folder)}\n{report}", flush=True)
    if failures:
        print(
            f"{len(failures)} of {len(trials)} trials failed: {', '.join(failures)}. Their "
            f"output is in {folder / 'logs'}. The same command tries them again.",
            flush=True,
        )
    return not failures


def run_trial(job: Job, execution: Execution) -> str:
    """One trial in this process, its output in logs/; a line about its result."""
    if execution.threads:
        torch.set_num_threads(execution.threads)
    beside = job.path.parents[1] / "logs" / "-".join(job.path.parts[-2:])
    beside.parent.mkdir(parents=True, exist_ok=True)
    with (
        _alone(beside.with_name(f"{beside.name}.lock")),
        beside.with_name(f"{beside.name}.txt").open("a") as log,
        contextlib.redirect_stdout(log),
        contextlib.redirect_stderr(log),
        launched(Placement(execution.device), job.config.computing) as devices,
    ):
        run_jobs([job], devices)
    return report_on(job.path)


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold the trial's lock, so that no second process writes to its folder."""
    with path.open("w") as lock:
        began = time.monotonic()
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() - began > SECONDS_TO_WAIT:
                    raise ValueError(
                        f"Another process has held {path} for {SECONDS_TO_WAIT} seconds. Is the "
                        "same sweep running elsewhere?"
                    ) from None
                time.sleep(0.2)
        yield
