"""The trials of a sweep, wherever there is room: each an ordinary run folder."""

import contextlib
import pickle
import signal
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import torch

from darts.commands.closing import files_and_next
from darts.commands.errors import CutOff
from darts.commands.requests import Job, report_on, run_jobs
from darts.data.sets import DATA_SETS, Factory, register_data_set, registered
from darts.parallel.cluster import Cluster, run_tasks
from darts.parallel.launch import Placement, launched
from darts.parallel.tasks import Outcome, Tell
from darts.parallel.workers import run_beside
from darts.records.lock import held
from darts.records.plan import Plan
from darts.reports.loggers import ListenerMaker
from darts.reports.sweep import sweep_table, write_sweep
from darts.reports.trials import Telling, TrialsProgress

SECONDS_TO_WAIT = 60
"""For the process of a trial that was killed with its sweep and is not quite gone."""


@dataclass(frozen=True)
class Execution:
    """The way in which trials are executed, on which none of their settings depend.

    Args:
        device: cpu, cuda, cuda:1, ...; cuda is the GPU that Ray gives to a trial of a cluster.
        threads: number of PyTorch's threads in each; 0 is PyTorch's own choice.
        loggers: functions that make the loggers of each.
        memory_share: largest share of the GPU's memory that PyTorch may take in each, in (0, 1], so
            that the memory that one keeps for later is not missing to others. Not run on a GPU.
        data_sets: the data sets that a script has registered, which trials' processes register
            too.
    """

    device: str
    threads: int
    loggers: tuple[ListenerMaker, ...] = ()
    memory_share: float | None = None
    data_sets: Mapping[str, Factory] = field(default_factory=registered)

    @property
    def for_spawned(self) -> "Execution":
        """The same for processes that import the main script, and so what it registers, anew."""
        return replace(self, data_sets={n: f for n, f in self.data_sets.items() if _importable(f)})


def _importable(factory: Factory) -> bool:
    try:
        pickle.dumps(factory)
    except (pickle.PicklingError, AttributeError, TypeError):
        return False
    return True


def run_sweep(
    plan: Plan, folder: Path, command: str, where: Cluster | int, execution: Execution
) -> bool:
    """Run the trials that have no result yet, then write the summary; whether all succeeded.

    A trial that was cut off goes on from its checkpoint. Call it again to go on with a sweep that
    was killed, or to try failed trials again.

    Args:
        plan: the trials.
        folder: the folder of the sweep.
        command: the line that asked for it.
        where: a cluster, or the number of trials at a time on this machine.
        execution: the way in which each is executed.

    Raises:
        ValueError: the folder is another sweep's, or one that is running, or Ray has no room.
        CutOff: Ctrl-C was pressed, or SIGTERM sent; no process is left.
    """
    plan.refuse_others(folder)
    with held(folder):
        return _run(plan, folder, command, where, execution)


def _run(
    plan: Plan, folder: Path, command: str, where: Cluster | int, execution: Execution
) -> bool:
    trials = plan.trials
    plan.write(folder)
    folder = folder.resolve()
    if isinstance(where, int):
        execution = execution.for_spawned
    tasks = {
        trial.name: partial(run_trial, Job(trial.config, folder / trial.name, command), execution)
        for trial in trials
        if not is_done(folder / trial.name)
    }
    done = len(trials) - len(tasks)
    word = "trial" if len(trials) == 1 else "trials"
    print(f"{len(trials)} {word}, {done} of them done already → {folder}", flush=True)
    progress = TrialsProgress(len(trials), done, where if isinstance(where, int) else 1)
    failures = []
    try:
        for outcome in _outcomes(tasks, where, progress):
            progress.outcome(outcome)
            failures += [outcome.name] if outcome.failed else []
    except KeyboardInterrupt as interrupt:
        raise CutOff(command, getattr(interrupt, "signal", signal.SIGINT)) from interrupt
    finally:
        progress.close()
    if progress.done:
        report = write_sweep(folder)
        print(f"{sweep_table(folder)}\n{report}", flush=True)
    if failures:
        print(
            f"{len(failures)} of {len(trials)} {word} failed: {', '.join(failures)}. Their "
            f"output is in {folder / 'logs'}. The same command tries them again.",
            flush=True,
        )
    first = folder / trials[0].name
    print(files_and_next(folder, ("report", folder), ("evaluate", first)), flush=True)
    return not failures


def is_done(trial: Path) -> bool:
    """Whether a trial's folder has its result."""
    return (trial / "result.json").is_file()


def _outcomes(
    tasks: Mapping[str, "partial[str]"], where: Cluster | int, progress: TrialsProgress
) -> Iterator[Outcome]:
    if not tasks:
        return iter(())
    if isinstance(where, Cluster):
        return run_tasks(tasks, where)
    return run_beside(tasks, where, progress)


def run_trial(job: Job, execution: Execution, tell: Tell) -> str:
    """One trial in this process, its output in logs/; a line about its result."""
    for name, factory in execution.data_sets.items():
        if name not in DATA_SETS:
            register_data_set(name, factory)
    if execution.threads:
        torch.set_num_threads(execution.threads)
    if execution.memory_share is not None:
        torch.cuda.set_per_process_memory_fraction(execution.memory_share, execution.device)
    beside = job.path.parents[1] / "logs" / "-".join(job.path.parts[-2:])
    beside.parent.mkdir(parents=True, exist_ok=True)
    telling: ListenerMaker = lambda folder: Telling(tell)  # noqa: E731
    job = replace(job, loggers=(*execution.loggers, telling), wait_seconds=SECONDS_TO_WAIT)
    with (
        beside.with_name(f"{beside.name}.txt").open("a", encoding="utf-8", errors="replace") as log,
        contextlib.redirect_stdout(log),
        contextlib.redirect_stderr(log),
        launched(Placement(execution.device), job.config.computing) as devices,
    ):
        try:
            run_jobs([job], devices)
        except Exception:
            traceback.print_exc()
            raise
    return report_on(job.path).splitlines()[-1]
