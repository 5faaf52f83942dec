"""`darts sweep`: every trial an ordinary run folder, wherever there is room."""

import contextlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import torch

from darts.commands.closing import files_and_next
from darts.commands.command import Invocation
from darts.commands.dry_run import limits_of
from darts.commands.errors import UsageError, refusing
from darts.commands.full_search import BothStages
from darts.commands.jobs import Job, report_on, run_jobs
from darts.commands.named import logger_named
from darts.commands.processes import require_one_process
from darts.commands.requests import config_of
from darts.data.sets import DATA_SETS, Factory, register_data_set, registered
from darts.names import ESTIMATORS
from darts.parallel.cluster import Cluster, run_tasks
from darts.parallel.launch import Placement, launched
from darts.records.plan import Plan, amending_coefficients
from darts.reports.loggers import ListenerMaker
from darts.reports.sweep import sweep_table, write_sweep
from darts.training.full import require_feasible

SECONDS_TO_WAIT = 60
"""For the process of a trial that was killed with its sweep and is not quite gone."""


@dataclass(frozen=True)
class Execution:
    """How trials are executed, as opposed to what they are.

    Args:
        device: cpu, or cuda for the GPU that Ray gives to a trial.
        threads: of PyTorch in each; 0 leaves PyTorch's own choice.
        loggers: make the loggers of each.
        data_sets: that a script has registered, for the processes of trials to know too.
    """

    device: str
    threads: int
    loggers: tuple[ListenerMaker, ...] = ()
    data_sets: Mapping[str, Factory] = field(default_factory=registered)


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
    word = "trial" if len(trials) == 1 else "trials"
    print(f"{len(trials)} {word}, {done} of them done already → {folder}", flush=True)
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
            f"{len(failures)} of {len(trials)} {word} failed: {', '.join(failures)}. Their "
            f"output is in {folder / 'logs'}. The same command tries them again.",
            flush=True,
        )
    first = folder / trials[0].name
    print(files_and_next(folder, ("report", folder), ("evaluate", first)), flush=True)
    return not failures


def run_trial(job: Job, execution: Execution) -> str:
    """One trial in this process, its output in logs/; a line about its result."""
    for name, factory in execution.data_sets.items():
        if name not in DATA_SETS:
            register_data_set(name, factory)
    if execution.threads:
        torch.set_num_threads(execution.threads)
    beside = job.path.parents[1] / "logs" / "-".join(job.path.parts[-2:])
    beside.parent.mkdir(parents=True, exist_ok=True)
    with (
        beside.with_name(f"{beside.name}.txt").open("a") as log,
        contextlib.redirect_stdout(log),
        contextlib.redirect_stderr(log),
        launched(Placement(execution.device), job.config.computing) as devices,
    ):
        run_jobs([replace(job, wait_seconds=SECONDS_TO_WAIT)], devices)
    return report_on(job.path).splitlines()[-1]


@dataclass(frozen=True)
class Sweep(BothStages):
    """Many full searches on one machine or a Ray cluster, each an ordinary run folder.

    A setting is an η, or the estimator if one is named; every setting is run with every seed. The
    same command goes on with a sweep that was cut off, and tries failed trials again.

    Args:
        eta: amending coefficients, separated by commas; 0 is the first-order estimate.
        address: of a running Ray cluster; auto finds one. Without it Ray is started here.
        cpus: that a Ray started here may use; by default all.
        cpus_per_trial: that a trial holds.
        gpus_per_trial: the same of GPUs; half a GPU lets two trials share one.
    """

    examples = (
        "darts sweep --eta 0,0.1,1 --seeds 3",
        "darts sweep --preset cifar10-s1-tiny --data-root DIR --eta 0,0.1 --cpus 2",
    )
    main = (
        "eta estimator preset data-root seeds run-dir cpus cpus-per-trial "
        "gpus-per-trial address search.epochs retrain.epochs"
    )

    no_dry_run = (
        "A sweep has no --dry-run: give darts full-search --dry-run the options of one trial, "
        "and --seeds."
    )

    eta: str = ""
    address: str | None = None
    cpus: int | None = None
    cpus_per_trial: float = 1
    gpus_per_trial: float = 0

    def run(self, given: Invocation) -> int:
        with refusing():
            limits_of(self)
            sweep = self._asked(given)
        return 0 if sweep() else 1

    def _asked(self, given: Invocation) -> Callable[[], bool]:
        if self.resume is not None:
            raise UsageError("A sweep has no --resume: its own command goes on with it.")
        require_one_process(self, "A sweep")
        config = config_of(self, given.preset)
        settings = amending_coefficients(config, self.eta) if self.eta else {}
        assert config.search is not None  # a sweep's options have one
        if given.value_of("estimator") is not None or not settings:
            name = ESTIMATORS.write(config.search.estimator)
            settings[re.sub(r"[^\w.=-]+", "-", name)] = config
        plan = Plan(settings, tuple(range(config.seed, config.seed + self.seeds)))
        cluster = Cluster(self.address, self.cpus, self.cpus_per_trial, self.gpus_per_trial)
        device = "cuda" if self.gpus_per_trial else "cpu"
        if self.device not in ("auto", device):
            raise UsageError(
                f"--device {self.device} with --gpus-per-trial {self.gpus_per_trial:g}: a trial "
                f"with that many GPUs runs on {device}. Leave --device out."
            )
        execution = Execution(device, self.threads, tuple(map(logger_named, self.loggers)))
        folder = self.run_dir or Path("runs") / f"sweep-{config.preset}-{plan.digest}"
        return partial(run_sweep, plan, folder, given.line, cluster, execution)
