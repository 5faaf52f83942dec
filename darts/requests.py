"""What a command asks for: its options and a preset become runs, sweeps or random searches."""

import os
import re
from collections.abc import Callable
from dataclasses import fields, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from darts.data import DataSet
from darts.jobs import Job
from darts.methods import RandomSearch
from darts.names import (
    DATA_SETS,
    ESTIMATORS,
    TYPES,
    UsageError,
    genotype_named,
    logger_named,
)
from darts.networks.stored import describe
from darts.options import (
    DataOptions,
    Evaluate,
    Options,
    RandomSearchOptions,
    Retrain,
    SearchOptions,
    Sweep,
)
from darts.processes import computing_of, require_one_process, require_plain
from darts.random_runs import RandomRun
from darts.runs.config import FullConfig, SearchConfig, from_json, full_config
from darts.runs.plan import Plan, amending_coefficients
from darts.runs.random_search import SAMPLES, RandomSearchConfig
from darts.runs.records import RunFolder
from darts.runs.saved import is_run
from darts.runs.sweep import Cluster
from darts.spaces import NASBENCH201, space_named
from darts.sweeps import Execution, run_sweep


def jobs_of(options: Options, preset: FullConfig, command: str) -> list[Job]:
    """The runs that the options ask for: one, or one for each seed."""
    if options.resume is not None:
        return _jobs_to_resume(options, preset, command)
    if options.seeds < 1:
        raise UsageError(f"--seeds {options.seeds}: ask for 1 seed or more.")
    config = _config(options, preset)
    path = options.run_dir or usual_path(config.preset, config.seed)
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise UsageError(
            f"The run folder {path} exists and is not empty. Give --run-dir a new name, or use "
            f"--resume {path} alone to go on with the run in it."
        )
    genotype = genotype_named(options.genotype) if isinstance(options, Retrain) else None
    loggers = tuple(map(logger_named, options.loggers))
    if options.seeds == 1:
        return [Job(config, path, command, genotype, loggers)]
    return [
        Job(config.with_seed(seed), path / f"seed-{seed}", command, genotype, loggers)
        for seed in range(config.seed, config.seed + options.seeds)
    ]


def _jobs_to_resume(options: Options, preset: FullConfig, command: str) -> list[Job]:
    assert options.resume is not None
    silent = type(options)()
    ignored = {"device", "threads", "loggers", "resume", "data_root", "download", "workers"}
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
            "cannot be given; --data-root, --download, --workers, --device, --threads, "
            "--loggers and --group-timeout can."
        )
    paths = sorted(options.resume.glob("seed-*")) or [options.resume]
    jobs = []
    for path in paths:
        config = full_config(RunFolder.open(path).read("config.json"), TYPES)
        if options.data_root or options.download or options.workers:
            config = replace(config, data=_images_of(options, config.data))
        loggers = tuple(map(logger_named, options.loggers))
        jobs.append(Job(config, path, command, loggers=loggers))
    return jobs


def sweep_of(options: Sweep, preset: FullConfig, command: str) -> Callable[[], bool]:
    if options.resume is not None:
        raise UsageError("A sweep has no --resume: its own command goes on with it.")
    require_one_process(options, "A sweep")
    config = _config(options, preset)
    settings = amending_coefficients(config, options.eta) if options.eta else {}
    if options.estimator is not None or not settings:
        assert config.search is not None  # a sweep's options have one
        name = ESTIMATORS.write(config.search.estimator)
        settings[re.sub(r"[^\w.=-]+", "-", name)] = config
    plan = Plan(settings, tuple(range(config.seed, config.seed + options.seeds)))
    cluster = Cluster(options.address, options.cpus, options.cpus_per_trial, options.gpus_per_trial)
    device = "cuda" if options.gpus_per_trial else "cpu"
    if options.device not in ("auto", device):
        raise UsageError(
            f"--device {options.device} with --gpus-per-trial {options.gpus_per_trial:g}: a trial "
            f"with that many GPUs runs on {device}. Leave --device out."
        )
    execution = Execution(device, options.threads, tuple(map(logger_named, options.loggers)))
    folder = options.run_dir or Path("runs") / f"sweep-{config.preset}-{plan.digest}"
    return partial(run_sweep, plan, folder, command, cluster, execution)


def _config(options: Options, preset: FullConfig) -> FullConfig:
    search, retrain = getattr(options, "search", None), getattr(options, "retrain", None)
    if isinstance(options, SearchOptions) and search is not None:
        search = replace(
            search,
            estimator=options.estimator or search.estimator,
            space=space_named(options.space) if options.space else search.space,
        )
    config = FullConfig(
        preset.preset,
        _images_of(options, preset.data),
        search,
        retrain,
        _accuracy_table(options, search),
        computing_of(options),
    )
    return config if options.seed is None else config.with_seed(options.seed)


def usual_path(name: str, seed: int) -> Path:
    return Path("runs") / f"{name}-{seed}-{datetime.now().strftime('%Y%m%d-%H%M%S')}"


def random_run_of(options: RandomSearchOptions, preset: FullConfig) -> RandomRun:
    require_plain(options, "random-search")
    if options.resume is not None or options.seeds != 1:
        raise UsageError(
            "random-search has neither --resume nor --seeds: give the same command with its "
            "--run-dir to go on, and another --seed for other samples."
        )
    search = RandomSearchConfig(
        space=space_named(options.space),
        random=RandomSearch(options.samples, options.keep),
        evaluation=options.evaluation,
        seed=options.seed or 0,
    )
    return RandomRun(_images_of(options, preset.data), search)


def _accuracy_table(options: Options, search: SearchConfig | None) -> str | None:
    """The file that a search in NAS-Bench-201 is scored by: the one named, or the usual one."""
    named = getattr(options, "accuracy_table", None)
    if named is not None or search is None or search.space != NASBENCH201:
        return named
    usual = Path(os.environ.get("DARTS_DATA_DIR", "data")) / "nas_tables/nasbench201.csv.gz"
    return str(usual) if usual.is_file() else None


def evaluation_images(options: Evaluate) -> DataSet:
    """The data set that a saved network is evaluated on: the one named, or its run's.

    Raises:
        UsageError: none is named, and the folder is no run's.
    """
    if is_run(options.source):
        return _images_of(options, _data_of(options.source))
    run = describe(options.source).get("run") or {}
    if options.dataset is None:
        before = f"; it was trained on {run['data']}" if "data" in run else ""
        raise UsageError(
            f"{options.source} is no run folder, and does not say where images are{before}. Give "
            f"--dataset one of {', '.join(DATA_SETS)}, and --data-root where it needs one."
        )
    if options.dataset not in DATA_SETS:
        raise UsageError(f"--dataset {options.dataset}: there are {', '.join(DATA_SETS)}.")
    return _images_of(options, DATA_SETS[options.dataset]())


def _data_of(path: Path) -> DataSet:
    """The data set of a run, or of the random search that a sample is of."""
    content = RunFolder(path).read("config.json")
    search = path.resolve().parent.parent
    if path.resolve().parent.name == SAMPLES and is_run(search):
        content = RunFolder(search).read("config.json")
    if isinstance(content, dict) and content.get("type") == RandomRun.__name__:
        data: DataSet = from_json(content["data"], TYPES)
        return data
    return full_config(content, TYPES).data


def _images_of(options: DataOptions, usual: DataSet) -> DataSet:
    """The data set that the options name, the usual one's settings where they are silent."""
    name = options.dataset or usual.name
    if name not in DATA_SETS:
        raise UsageError(f"--dataset {name}: there are {', '.join(DATA_SETS)}.")
    chosen: DataSet = usual if name == usual.name else DATA_SETS[name]()
    asked: dict[str, Any] = {
        "root": options.data_root,
        "train_size": options.train_size,
        "test_size": options.test_size,
        "download": options.download or None,
        "image_size": options.image_size,
        "workers": options.workers,
    }
    given = {entry: value for entry, value in asked.items() if value is not None}
    foreign = sorted(given.keys() - {entry.name for entry in fields(chosen)})
    if foreign:
        option = "data-root" if foreign[0] == "root" else foreign[0].replace("_", "-")
        raise UsageError(
            f"--{option} given, but the data set {name} has no such option. Leave it out, or add "
            f"--dataset with another one ({', '.join(DATA_SETS)}) or a preset of another."
        )
    return replace(chosen, **given)
