"""The runs that a command asks for: made of options and a preset, carried out, and reported."""

import os
import shlex
from contextlib import ExitStack
from dataclasses import dataclass, fields, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, cast

from darts.commands.closing import STAGES, command_of, commands_after, files_and_next, line_of
from darts.commands.command import Invocation
from darts.commands.dry_run import do_dry_run, limits_of
from darts.commands.errors import CutOff, UsageError, refusing
from darts.commands.named import logger_named
from darts.commands.options import DataOptions, Options
from darts.commands.processes import as_begun, computing_device, computing_of, placement_of
from darts.config.as_json import to_json
from darts.config.full import FullConfig, full_config
from darts.config.search import SearchConfig
from darts.data import DataSet, ImageSet, images_of_set
from darts.names import DATA_SETS, TYPES
from darts.nearest import unknown
from darts.parallel.launch import Devices, launched
from darts.records.environment import changes_since, describe_environment
from darts.records.lock import held, is_empty, own_folder
from darts.records.plan import FILE
from darts.records.run_folder import CONFIG, ENVIRONMENT, Listener, Record, RunFolder
from darts.records.shared_run import SharedRun
from darts.reports.data_set import images_in_words
from darts.reports.html import write_report
from darts.reports.loggers import ListenerMaker
from darts.reports.progress import LiveProgress
from darts.reports.summary import write_samples, write_summary
from darts.reports.sweep import write_sweep
from darts.spaces import NASBENCH201, Genotype, spaces_in_words
from darts.training.full import FullResult, full_run, require_feasible
from darts.training.loop import Interrupted
from darts.training.random_search import STREAM


@dataclass(frozen=True)
class Job:
    """One run.

    Attributes:
        config: the settings of the run.
        path: its folder; several jobs at once have folders in a common one.
        command: the line that asked for it.
        genotype: the genotype that it begins from, if it has no search.
        loggers: the trackers that follow it.
        usual: whether nobody named the folder, so that another name will do if this one is taken.
        wait_seconds: time that another process may hold the folder before that is an error.
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


def do_runs(options: Options, given: Invocation, genotype: Genotype | None = None) -> int:
    """Do the runs that the options ask for, or the dry run of them; the exit status."""
    with refusing():
        limits = limits_of(options)
        jobs = jobs_of(options, given, genotype)
    device = computing_device(*as_begun(options, given, RunFolder(jobs[0].path)))
    if limits is not None:
        do_dry_run(jobs[0].config, jobs[0].genotype, len(jobs), device, limits, given)
        return 0
    computing, cut = jobs[0].config.computing, None
    with launched(placement_of(options, computing, device), computing) as devices:
        try:
            run_jobs(jobs, devices)
        except Interrupted as interrupt:  # on all processes, which end together
            cut = interrupt.run, interrupt.signal
    if cut is not None and devices.ranks.first:  # others end with 0, or launchers would kill it
        run, number = cut
        path = run if len(jobs) == 1 else run.parent
        raise CutOff(line_of((given.command, "--resume", path)), number)
    return 0


def jobs_of(options: Options, given: Invocation, genotype: Genotype | None = None) -> list[Job]:
    """The runs that the options ask for: one, or one for each seed."""
    preset, command = given.preset, given.line
    if options.resume is not None:
        return _jobs_to_resume(options, preset, given)
    if options.seeds < 1:
        raise UsageError(f"--seeds {options.seeds}: ask for 1 seed or more.")
    config = config_of(options, preset)
    usual = options.run_dir is None
    path = options.run_dir or usual_path(config.preset, config.seed)
    if not usual and path.exists() and not (path.is_dir() and is_empty(path)):
        raise UsageError(
            f"The run folder {path} exists and is not empty. Give --run-dir a new name, or use "
            f"--resume {path} alone to go on with the run in it."
        )
    loggers = tuple(map(logger_named, options.loggers))
    if options.seeds == 1:
        return [Job(config, path, command, genotype, loggers, usual)]
    return [
        Job(config.with_seed(seed), path / f"seed-{seed}", command, genotype, loggers, usual)
        for seed in range(config.seed, config.seed + options.seeds)
    ]


def _jobs_to_resume(options: Options, preset: FullConfig, typed: Invocation) -> list[Job]:
    assert options.resume is not None
    silent = type(options)()
    ignored = {"device", "threads", "loggers", "resume", "data_root", "download", "readers"}
    ignored |= {"devices", "nodes", "group_timeout"}  # held against the config's processes
    ignored |= {"search", "retrain"}  # compared below, with the preset's
    given = [
        entry.name
        for entry in fields(options)
        if entry.name not in ignored and getattr(options, entry.name) != getattr(silent, entry.name)
    ]
    for stage in ("search", "retrain"):
        if hasattr(options, stage) and getattr(options, stage) != getattr(preset, stage):
            given.append(stage)
    if given:
        raise UsageError(
            f"--resume {options.resume} goes on with the config in that folder, so {given[0]} "
            "cannot be given; --data-root, --download, --readers, --device, --threads, "
            "--loggers and --group-timeout can."
        )
    paths = sorted(options.resume.glob("seed-*")) or [options.resume]
    jobs = []
    for path in paths:
        content = RunFolder.open(path).read(CONFIG)
        config = full_config(content, TYPES, str(path / CONFIG))
        _require_its_stages(path, content, typed.command)
        if options.data_root or options.download or options.readers:
            config = replace(config, data=images_of(options, config.data))
        loggers = tuple(map(logger_named, options.loggers))
        jobs.append(Job(config, path, typed.line, loggers=loggers))
    return jobs


def _require_its_stages(path: Path, config: Record, command: str) -> None:
    """Raise UsageError if a run's stages are not the command's, or not those of its records.

    A result written for other stages would replace the one that is there.
    """
    for stage in STAGES:
        if config[stage] is None and RunFolder(path).has(f"{stage}/epochs.jsonl"):
            raise UsageError(
                f"{path / CONFIG} has no {stage}, but there are records of one in {path / stage}. "
                "Restore the file."
            )
    own = command_of(config)
    if command != own:
        raise UsageError(
            f"{command} --resume {path}: the run in it has the stages of {own}. Give "
            f"{line_of((own, '--resume', path))}."
        )


def config_of(options: Options, preset: FullConfig) -> FullConfig:
    search, retrain = getattr(options, "search", None), getattr(options, "retrain", None)
    if search is not None:
        _require_moving(search)
    config = FullConfig(
        preset.preset,
        images_of(options, preset.data),
        search,
        retrain,
        _accuracy_table(options, search),
        computing_of(options),
        _baselines(options, preset),
        getattr(options, "latency_table", None),
    )
    return config if options.seed is None else config.with_seed(options.seed)


def _require_moving(search: SearchConfig) -> None:
    """Raise UsageError if α is frozen throughout, which only a script may mean."""
    stages = 1 if search.progressive is None else search.progressive.stages
    if search.frozen_epochs >= search.epochs // stages:
        each = "" if stages == 1 else f" in {stages} stages"
        raise UsageError(
            f"--search.frozen-epochs {search.frozen_epochs} with --search.epochs {search.epochs}"
            f"{each}: α would stand still, and the search choose by chance. Freeze it for fewer "
            "epochs, or search for more."
        )


def usual_path(name: str, seed: int) -> Path:
    return Path("runs") / f"{name}-{seed}-{datetime.now().strftime('%Y%m%d-%H%M%S')}"


def _baselines(options: Options, preset: FullConfig) -> int:
    """Cells to compare with: of a command that both searches and retrains."""
    asked = getattr(options, "baselines", 0)
    return preset.baselines if asked is None else asked


def _accuracy_table(options: Options, search: SearchConfig | None) -> str | None:
    """The file that a search in NAS-Bench-201 is scored by: the one named, or the usual one."""
    named = getattr(options, "accuracy_table", None)
    if named is not None or search is None or search.space != NASBENCH201:
        return named
    usual = Path(os.environ.get("DARTS_DATA_DIR", "data")) / "nas_tables/nasbench201.csv.gz"
    return str(usual) if usual.is_file() else None


def images_of(options: DataOptions, usual: DataSet) -> DataSet:
    """The data set that the options name, the usual one's settings where they are silent."""
    name = options.dataset or usual.name
    if options.dataset is not None and name not in DATA_SETS:
        raise UsageError(
            f"--dataset: {unknown('data set', name, DATA_SETS)} One of your own is registered by a "
            "script (docs/OWN_DATA.md), or is a folder."
        )
    for option in ("train_size", "test_size", "image_size", "readers"):
        size = getattr(options, option)
        if size is not None and size < 1:
            raise UsageError(f"--{option.replace('_', '-')} {size}: ask for 1 or more.")
    chosen: DataSet = usual if name == usual.name else DATA_SETS[name]()
    asked: dict[str, Any] = {
        "root": options.data_root,
        "train_size": options.train_size,
        "test_size": options.test_size,
        "download": options.download or None,
        "image_size": options.image_size,
        "workers": options.readers,
        "task": options.task,
        "test_share": options.test_share,
        "mean": options.mean,
        "std": options.std,
        **{name: _switch(options, name) for name in ("mirror", "crop", "colour")},
    }
    given = {entry: value for entry, value in asked.items() if value is not None}
    foreign = sorted(given.keys() - {entry.name for entry in fields(cast(Any, chosen))})
    if foreign:
        spelled = {"root": "data-root", "workers": "readers"}
        option = spelled.get(foreign[0], foreign[0].replace("_", "-"))
        raise UsageError(
            f"--{option} given, but the data set {name} has no such option. Leave it out, or add "
            f"--dataset with another one ({', '.join(DATA_SETS)}) or a preset of another."
        )
    return cast(DataSet, replace(cast(Any, chosen), **given))


def _switch(options: DataOptions, name: str) -> bool | None:
    word = getattr(options, name)
    return None if word is None else word == "yes"


def run_jobs(jobs: list[Job], devices: Devices) -> None:
    """Do the jobs one after another, each with its report; a summary if there are several.

    Of several processes all call this, and the first one's paths hold.
    """
    data = jobs[0].config.data
    do_jobs(jobs, devices.ranks.in_turn(partial(images_of_set, data)), devices)


def do_jobs(jobs: list[Job], images: ImageSet, devices: Devices) -> list[FullResult]:
    """The same on images that are loaded; the result of each."""
    ranks = devices.ranks
    for job in jobs:
        require_feasible(job.config, images, job.genotype, RunFolder(job.path))
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
            begun = RunFolder(job.path)
            known = begun.read(ENVIRONMENT) if begun.has(ENVIRONMENT) else {}
            changed = changes_since(known, devices.device)
            if changed:
                print(
                    f"This run began with {'; '.join(changed)}: from here on its bits may be "
                    "others than those of a run that was never stopped.",
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
    started = f"{line_of(())} "
    again = shlex.split(job.command.removeprefix(started))
    alone = len(jobs) == 1 and not {"--resume", "--run-dir", "--seeds"} & set(again)
    typed = job.command.startswith(started)  # and no call of darts.search
    repeated = [(*again, "--seeds", "3")] if alone and typed and job.config.retrain else []
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
