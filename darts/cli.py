"""The command line: arguments become jobs, and whatever cannot be met one clear message."""

import os
import re
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import torch
import tyro

from darts.data import Cifar10, Digits
from darts.jobs import Job, report_on, run_jobs
from darts.methods import RandomSearch
from darts.names import (
    ESTIMATORS,
    NAMES,
    TYPES,
    UsageError,
    genotype_named,
    logger_named,
)
from darts.networks import DerivedNetwork
from darts.networks.counting import count_multiply_adds, count_parameters
from darts.networks.stored import Blueprint
from darts.options import (
    Count,
    Export,
    FullSearch,
    Options,
    RandomSearchOptions,
    Report,
    Retrain,
    Search,
    SearchOptions,
    Sweep,
)
from darts.random_runs import RandomRun, run_random_search
from darts.runs.config import FullConfig, RetrainConfig, SearchConfig, full_config
from darts.runs.evaluation import NonFiniteLossError, ran_out_of_memory
from darts.runs.export import export, from_run, untrained
from darts.runs.plan import Plan, amending_coefficients
from darts.runs.presets import CIFAR_ROOT, PRESETS
from darts.runs.random_search import RandomSearchConfig
from darts.runs.records import RunFolder
from darts.runs.sweep import Cluster
from darts.spaces import NASBENCH201, SPACES, Space, space_named
from darts.sweeps import Execution, run_sweep

PRESET_OF: Mapping[str, str] = {"digits": "digits", "cifar10": "cifar10-s1-tiny"}
"""The preset that a data set stands for when none is named."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 0 is success, 1 a failure, 2 a request that cannot be met."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        return _dispatch(arguments)
    except UsageError as error:
        return _complain(str(error), 2)
    except (NonFiniteLossError, ValueError, OSError) as error:
        return _complain(str(error), 1)
    except (MemoryError, RuntimeError) as error:
        if not ran_out_of_memory(error):
            raise
        return _complain(
            f"Out of memory: {str(error).splitlines()[0] if str(error) else 'no more to be had'}. "
            "Begin a new run with fewer images a batch (--search.batch-size, "
            "--retrain.batch-size) or fewer channels or cells, or free memory and go on with "
            "--resume and the run folder.",
            1,
        )
    except KeyboardInterrupt:
        return _complain(
            "Interrupted. Add --resume RUN_DIR to go on from the last checkpoint; a sweep goes on "
            "by its own command.",
            130,
        )


def _dispatch(arguments: list[str]) -> int:
    try:
        preset = _preset(arguments)
        command: Any = tyro.cli(
            _commands(preset),
            prog="darts",
            args=arguments or ["--help"],
            config=(tyro.conf.PositionalRequiredArgs,),
            registry=_registry(),
        )
        if isinstance(command, RandomSearchOptions):
            random_run = _random_run(command, preset)
        elif isinstance(command, Sweep):
            sweep = _sweep(command, preset, "darts " + shlex.join(arguments))
        elif isinstance(command, Options):
            jobs = _jobs(command, preset, "darts " + shlex.join(arguments))
    except ValueError as error:
        raise UsageError(str(error)) from error
    if isinstance(command, Sweep):
        return 0 if sweep() else 1
    if isinstance(command, Options):
        device = _device(command.device)
        if command.threads:
            torch.set_num_threads(command.threads)
        if isinstance(command, RandomSearchOptions):
            path = command.run_dir or _usual_path(f"random-{command.space}", command.seed or 0)
            line = "darts " + shlex.join(arguments)
            print(run_random_search(random_run, path, line, device))
            return 0
        run_jobs(jobs, device)
        return 0
    if isinstance(command, Report):
        for path in command.run:
            print(report_on(path))
        return 0
    return _export(command) if isinstance(command, Export) else _count(command)


def _jobs(options: Options, preset: FullConfig, command: str) -> list[Job]:
    """The runs that the options ask for: one, or one for each seed."""
    if options.resume is not None:
        return _jobs_to_resume(options, preset, command)
    if options.seeds < 1:
        raise UsageError(f"--seeds {options.seeds}: ask for 1 seed or more.")
    config = _config(options, preset)
    path = options.run_dir or _usual_path(config.preset, config.seed)
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
    ignored = {"device", "threads", "loggers", "resume", "data_root", "download"}
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
            "cannot be given; --data-root, --download, --device, --threads and --loggers can."
        )
    paths = sorted(options.resume.glob("seed-*")) or [options.resume]
    jobs = []
    for path in paths:
        config = full_config(RunFolder.open(path).read("config.json"), TYPES)
        if options.data_root or options.download:
            config = replace(config, data=_images_of(options, config.data))
        loggers = tuple(map(logger_named, options.loggers))
        jobs.append(Job(config, path, command, loggers=loggers))
    return jobs


def _sweep(options: Sweep, preset: FullConfig, command: str) -> Callable[[], bool]:
    if options.resume is not None:
        raise UsageError("A sweep has no --resume: its own command goes on with it.")
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


def _count(options: Count) -> int:
    network = DerivedNetwork(
        genotype_named(options.genotype),
        channels=options.channels,
        cells=options.cells,
        classes=options.classes,
    )
    size = options.image_size
    print(
        f"{count_parameters(network) / 1e6:.3f} M parameters, "
        f"{count_multiply_adds(network, (3, size, size)) / 1e6:.1f} M multiply-adds "
        f"for one image of {size}×{size} (no auxiliary head)"
    )
    return 0


def _export(options: Export) -> int:
    path = Path(options.source)
    if path.is_dir() and (path / "config.json").is_file():
        item = from_run(RunFolder.open(path))
    else:
        sizes = (options.channels, options.cells, options.classes, options.in_channels)
        blueprint = Blueprint(genotype_named(options.source), *sizes)
        item = untrained(blueprint, (options.image_size, options.image_size), options.seed)
    files = export(item, options.to, options.formats)
    weights = "trained" if item.facts["trained"] else f"initial weights of seed {options.seed}"
    print(f"{options.to}: {', '.join(path.name for path in files)} ({weights})")
    return 0


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
    )
    return config if options.seed is None else config.with_seed(options.seed)


def _usual_path(name: str, seed: int) -> Path:
    return Path("runs") / f"{name}-{seed}-{datetime.now().strftime('%Y%m%d-%H%M%S')}"


def _random_run(options: RandomSearchOptions, preset: FullConfig) -> RandomRun:
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


def _images_of(options: Options, usual: Digits | Cifar10) -> Digits | Cifar10:
    """The data set that the options name, the preset's where they are silent."""
    name = options.dataset or ("digits" if isinstance(usual, Digits) else "cifar10")
    given = {
        "--data-root": options.data_root,
        "--test-size": options.test_size,
        "--download": options.download or None,
    }
    if name == "digits":
        foreign = [option for option, value in given.items() if value is not None]
        if foreign:
            raise UsageError(
                f"{' and '.join(foreign)} given, but digits come with scikit-learn and have no "
                "such option. Add --dataset cifar10, or a cifar10 preset."
            )
        digits = usual if isinstance(usual, Digits) else Digits()
        return replace(digits, train_size=options.train_size or digits.train_size)
    cifar = usual if isinstance(usual, Cifar10) else Cifar10(root=CIFAR_ROOT)
    return replace(
        cifar,
        root=options.data_root or cifar.root,
        train_size=options.train_size or cifar.train_size,
        test_size=options.test_size or cifar.test_size,
        download=options.download or cifar.download,
    )


def _preset(arguments: list[str]) -> FullConfig:
    """The preset named among the arguments; read first, for it sets all other defaults."""
    dataset = _value_of("dataset", arguments)
    name = _value_of("preset", arguments) or PRESET_OF.get(dataset or "digits", "digits")
    if name not in PRESETS:
        raise UsageError(f"No preset {name!r}; there are {', '.join(PRESETS)}.")
    return PRESETS[name]


def _value_of(option: str, arguments: list[str]) -> str | None:
    for position, argument in enumerate(arguments):
        if argument == f"--{option}" and position + 1 < len(arguments):
            return arguments[position + 1]
        if argument.startswith(f"--{option}="):
            return argument.partition("=")[2]
    return None


def _device(name: str) -> str:
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError) as error:
        found = f"{torch.cuda.device_count()} CUDA devices" if "cuda" in name else "no such device"
        raise UsageError(
            f"--device {name} cannot be used: found {found}. Use --device cpu or auto."
        ) from error
    return name


def _registry() -> tyro.constructors.ConstructorRegistry:
    """How named values and spaces are read from the command line and shown in its help."""
    registry = tyro.constructors.ConstructorRegistry()

    @registry.primitive_rule
    def named(info: tyro.constructors.PrimitiveTypeInfo) -> Any:
        if info.type in NAMES:
            names, declared = NAMES[info.type], info.type
            return tyro.constructors.PrimitiveConstructorSpec(
                nargs=1,
                metavar="{" + ",".join(names.known) + "}[:PARAMETER=VALUE,...]",
                instance_from_str=lambda words: names.read(words[0]),
                is_instance=lambda value: isinstance(value, declared),
                str_from_instance=lambda value: [names.write(value)],
            )
        if info.type is Space:
            return tyro.constructors.PrimitiveConstructorSpec(
                nargs=1,
                metavar="{" + ",".join(SPACES) + "}",
                instance_from_str=lambda words: space_named(words[0]),
                is_instance=lambda value: isinstance(value, Space),
                str_from_instance=lambda value: [value.name],
            )
        return None

    return registry


def _commands(preset: FullConfig) -> Any:
    """The commands, with the preset's settings as defaults."""
    search, retrain = preset.search, preset.retrain
    assert search is not None
    assert retrain is not None
    command = tyro.conf.subcommand
    return (
        Annotated[
            FullSearch, command("full-search", default=FullSearch(search=search, retrain=retrain))
        ]
        | Annotated[Sweep, command("sweep", default=Sweep(search=search, retrain=retrain))]
        | Annotated[
            RandomSearchOptions,
            command(
                "random-search",
                default=RandomSearchOptions(evaluation=replace(retrain, epochs=_short(retrain))),
            ),
        ]
        | Annotated[Search, command("search", default=Search(search=search))]
        | Annotated[Retrain, command("retrain", default=Retrain(retrain=retrain))]
        | Annotated[Report, command("report")]
        | Annotated[Count, command("count")]
        | Annotated[Export, command("export")]
    )


def _short(retrain: RetrainConfig) -> int:
    """Epochs of a short training: 100 of the paper's 600 (§4.1.3), in this proportion."""
    return max(1, round(retrain.epochs / 6))


def _complain(message: str, status: int) -> int:
    line = " ".join(message.split())
    print(f"darts: {line if len(line) <= 2000 else line[:2000] + '…'}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
