"""`darts sweep`: many full searches, side by side on this machine or on a cluster."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from darts.commands.command import Invocation
from darts.commands.dry_run import limits_of
from darts.commands.errors import UsageError, refusing
from darts.commands.full_search import BothStages
from darts.commands.named import logger_named
from darts.commands.packing import dry_run_sweep, number_of_workers, require_cores
from darts.commands.processes import computing_device, require_one_process
from darts.commands.requests import config_of
from darts.commands.trials import Execution, is_done, run_sweep
from darts.config.as_json import differences, to_json
from darts.data import images_of_set
from darts.names import ESTIMATORS
from darts.parallel.cluster import Cluster
from darts.records.data_record import require_images
from darts.records.plan import Plan, Trial, amending_coefficients
from darts.records.run_folder import RunFolder
from darts.training.dry_run import Limits
from darts.training.full import require_feasible
from darts.training.room import Place


@dataclass(frozen=True)
class Sweep(BothStages):
    """Many full searches, each an ordinary run folder: side by side here, or on a Ray cluster.

    A setting is an η, or the estimator if one is named; every setting is run with every seed. The
    same command goes on with a sweep that was cut off, and tries failed trials again. With
    --dry-run it says how many workers this device takes, and how many make the most steps.

    Args:
        eta: amending coefficients, separated by commas; 0 is the first-order estimate.
        workers: number of trials at a time on this machine, each a process on the same device. By
            default one on a GPU, and on the CPU as many as it has cores and memory for.
        address: address of a running Ray cluster that runs the trials; auto finds one, local starts
            one on this machine.
        cpus_per_trial: number of CPU cores that a trial holds on a cluster.
        gpus_per_trial: number of GPUs that a trial holds on a cluster; 0.5 lets two trials share
            one.
        run_dir: folder to write; by default runs/sweep-<preset>-<digest of the settings>.
    """

    examples = (
        "darts sweep --eta 0,0.1,1 --seeds 3",
        "darts sweep --preset cifar10-s1-tiny --data-root DIR --eta 0,0.1 --workers 2",
    )
    main = (
        "eta estimator preset data-root seeds run-dir device workers address cpus-per-trial "
        "gpus-per-trial search.epochs retrain.epochs dry-run"
    )

    eta: str | None = None
    workers: int | None = None
    address: str | None = None
    cpus_per_trial: float = 1
    gpus_per_trial: float = 0

    def run(self, given: Invocation) -> int:
        with refusing():
            limits = limits_of(self)
            sweep = self._asked(given, limits)
        return 0 if sweep() else 1

    def _asked(self, given: Invocation, limits: Limits | None) -> Callable[[], bool]:
        if self.resume is not None:
            raise UsageError("A sweep has no --resume: its own command goes on with it.")
        require_one_process(self, "A sweep")
        plan = self._plan(given)
        folder = (
            self.run_dir or Path("runs") / f"sweep-{plan.trials[0].config.preset}-{plan.digest}"
        )
        loggers = tuple(map(logger_named, self.loggers))
        if self.address is not None:
            cluster = self._cluster(self.address, limits)
            device = "cuda" if self.gpus_per_trial else "cpu"
            execution = Execution(device, self.threads, loggers)
            return partial(_on_cluster, plan, folder, given.line, cluster, execution)
        if (self.cpus_per_trial, self.gpus_per_trial) != (1, 0):
            raise UsageError(
                f"--cpus-per-trial {self.cpus_per_trial:g} --gpus-per-trial "
                f"{self.gpus_per_trial:g} without --address: they are for a Ray cluster. Add "
                "--address local for a Ray of this machine, or take --workers."
            )
        if self.workers is not None and self.workers < 1:
            raise UsageError(f"--workers {self.workers}: ask for 1 or more.")
        place = Place(computing_device(self.device, self.threads), self.threads)
        require_cores(None if limits is not None else self.workers, len(plan.trials), place)
        if limits is not None:
            if limits.images is not None:
                raise UsageError(
                    f"--dry-run-images {limits.images}: a sweep's dry run takes the batches of its "
                    "trials. Leave it out."
                )
            return partial(_dry_run, plan, place, limits, given)
        execution = Execution(place.device, self.threads, loggers)
        return partial(_here, plan, folder, given.line, self.workers, place, execution)

    def _plan(self, given: Invocation) -> Plan:
        config = config_of(self, given.preset)
        settings = amending_coefficients(config, self.eta) if self.eta is not None else {}
        assert config.search is not None  # a sweep's options have one
        if given.value_of("estimator") is not None or not settings:
            name = ESTIMATORS.write(config.search.estimator)
            settings[re.sub(r"[^\w.=-]+", "-", name)] = config
        return Plan(settings, tuple(range(config.seed, config.seed + self.seeds)))

    def _cluster(self, address: str, limits: Limits | None) -> Cluster:
        if limits is not None or self.workers is not None:
            word = "--dry-run" if limits is not None else f"--workers {self.workers}"
            raise UsageError(
                f"{word} with --address {address}: it is for this machine alone. Ray takes as many "
                "trials at a time as --cpus-per-trial and --gpus-per-trial leave room for."
            )
        device = "cuda" if self.gpus_per_trial else "cpu"
        if self.device not in ("auto", device):
            raise UsageError(
                f"--device {self.device} with --gpus-per-trial {self.gpus_per_trial:g}: a trial "
                f"with that many GPUs runs on {device}. Leave --device out."
            )
        return Cluster(address, self.cpus_per_trial, self.gpus_per_trial)


def _on_cluster(
    plan: Plan, folder: Path, command: str, cluster: Cluster, execution: Execution
) -> bool:
    _require_feasible(plan.trials, folder)
    return run_sweep(plan, folder, command, cluster, execution)


def _here(
    plan: Plan,
    folder: Path,
    command: str,
    asked: int | None,
    place: Place,
    execution: Execution,
) -> bool:
    _require_feasible(plan.trials, folder)
    left = [trial for trial in plan.trials if not is_done(folder / trial.name)]
    workers, share = number_of_workers(asked, left, place)
    execution = replace(execution, memory_share=share)
    return run_sweep(plan, folder, command, workers, execution)


def _dry_run(plan: Plan, place: Place, limits: Limits, given: Invocation) -> bool:
    _require_feasible(plan.trials)
    return dry_run_sweep(plan, place, limits, given)


def _require_feasible(trials: Sequence[Trial], folder: Path | None = None) -> None:
    """Raise ValueError if images do not fit, or are not those of the trials that are done.

    A sweep that went on with other images would put two data sets into one mean.
    """
    images = images_of_set(trials[0].config.data)
    for trial in trials:
        begun = None if folder is None else RunFolder(folder / trial.name)
        require_feasible(trial.config, images, run=begun)
    if folder is None:
        return
    for trial in trials:
        done = RunFolder(folder / trial.name)
        if is_done(done.path) and not differences(done.read("config.json"), to_json(trial.config)):
            require_images(done, images)
