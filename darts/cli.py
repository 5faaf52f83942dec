"""The command line: arguments become jobs, and whatever cannot be met one clear message."""

import dis
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import torch
import tyro

from darts.counts import blueprint_of, count
from darts.dry_runs import dry_run_jobs, limits_of
from darts.jobs import report_on, run_jobs
from darts.names import (
    NAMES,
    UsageError,
    genotype_named,
)
from darts.options import (
    Count,
    Evaluate,
    Export,
    FullSearch,
    Options,
    RandomSearchOptions,
    Report,
    Retrain,
    Search,
    Sweep,
)
from darts.processes import placement_of
from darts.random_runs import run_random_search
from darts.requests import evaluation_images, jobs_of, random_run_of, sweep_of, usual_path
from darts.runs.config import FullConfig, RetrainConfig, SearchConfig, to_json
from darts.runs.devices import launched
from darts.runs.evaluation import NonFiniteLossError, ran_out_of_memory
from darts.runs.export import export
from darts.runs.presets import PRESETS
from darts.runs.records import RunFolder
from darts.runs.saved import from_run, is_run, untrained
from darts.runs.saved_evaluation import FILE as EVALUATION
from darts.runs.saved_evaluation import evaluate_saved, in_words
from darts.spaces import SPACES, Space, space_named

PRESET_OF: Mapping[str, str] = {
    "digits": "digits",
    "cifar10": "cifar10-s1-tiny",
    "cifar100": "cifar100-s1-tiny",
    "mnist": "mnist-s1-tiny",
    "fashion-mnist": "fashion-mnist-s1-tiny",
    "imagenet": "imagenet-mobile",
}
"""The preset that a data set stands for when none is named."""


DEBUG = "--debug"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 0 is success, 1 a failure, 2 a request that cannot be met.

    An error meant for the user is one line; `--debug` shows its traceback. Others keep theirs.
    """
    given = list(sys.argv[1:] if argv is None else argv)
    arguments = [argument for argument in given if argument != DEBUG]
    debugging = len(arguments) < len(given)
    try:
        return _dispatch(arguments)
    except UsageError as error:
        if debugging:
            raise
        return _complain(str(error), 2)
    except (NonFiniteLossError, ValueError, OSError) as error:
        if debugging or not for_the_user(error):
            raise
        return _complain(str(error), 1)
    except (MemoryError, RuntimeError) as error:
        if debugging or not ran_out_of_memory(error):
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
        limits = limits_of(command) if isinstance(command, Options) else None
        if isinstance(command, RandomSearchOptions):
            random_run = random_run_of(command, preset)
        elif isinstance(command, Sweep):
            sweep = sweep_of(command, preset, "darts " + shlex.join(arguments))
        elif isinstance(command, Options):
            jobs = jobs_of(command, preset, "darts " + shlex.join(arguments))
    except ValueError as error:
        if not for_the_user(error):
            raise
        raise UsageError(str(error)) from error
    if isinstance(command, Sweep):
        return 0 if sweep() else 1
    if isinstance(command, Options):
        device = _device(command.device)
        if command.threads:
            torch.set_num_threads(command.threads)
        if isinstance(command, RandomSearchOptions):
            path = command.run_dir or usual_path(f"random-{command.space}", command.seed or 0)
            line = "darts " + shlex.join(arguments)
            print(run_random_search(random_run, path, line, device))
            return 0
        if limits is not None:
            dry_run_jobs(jobs, device, limits, arguments)
            return 0
        computing = jobs[0].config.computing
        with launched(placement_of(command, computing, device), computing) as devices:
            run_jobs(jobs, devices)
        return 0
    if isinstance(command, Report):
        for path in command.run:
            print(report_on(path))
        return 0
    if isinstance(command, Evaluate):
        return _evaluate(command)
    if isinstance(command, Export):
        return _export(command)
    print(count(command))
    return 0


def _evaluate(options: Evaluate) -> int:
    data = evaluation_images(options)
    if options.batch_size is not None and options.batch_size < 1:
        raise UsageError(f"--batch-size {options.batch_size}: ask for 1 image or more.")
    device = _device(options.device)
    if options.threads:
        torch.set_num_threads(options.threads)
    record = evaluate_saved(
        options.source,
        data.load(),
        to_json(data),
        batch_size=options.batch_size,
        device=device,
    )
    print(f"{in_words(record)} → {options.source / EVALUATION}")
    return 0


def _export(options: Export) -> int:
    path = Path(options.source)
    if is_run(path):
        item = from_run(RunFolder.open(path))
    else:
        genotype = genotype_named(options.source)
        item = untrained(*blueprint_of(options, genotype, options.in_channels), options.seed)
    files = export(item, options.to, options.formats)
    weights = "trained" if item.facts["trained"] else f"initial weights of seed {options.seed}"
    print(f"{options.to}: {', '.join(path.name for path in files)} ({weights})")
    return 0


def _preset(arguments: list[str]) -> FullConfig:
    """The preset named among the arguments; read first, for it sets all other defaults."""
    dataset = _value_of("dataset", arguments)
    name = _value_of("preset", arguments) or PRESET_OF.get(dataset or "digits", "digits")
    if name not in PRESETS:
        raise UsageError(f"No preset {name!r}; there are {', '.join(PRESETS)}.")
    if PRESETS[name].search is None and arguments[0] in ("full-search", "search", "sweep"):
        raise UsageError(
            f"{arguments[0]} with the preset {name}, which has no search: it trains a genotype. "
            f"Give darts retrain --preset {name} --genotype GENOTYPE, or another preset."
        )
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
                metavar=names.form,
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
    # without a search in the preset the commands that search are refused before they are read
    search, retrain = preset.search or SearchConfig(), preset.retrain
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
        | Annotated[Evaluate, command("evaluate")]
        | Annotated[Count, command("count")]
        | Annotated[Export, command("export")]
    )


def _short(retrain: RetrainConfig) -> int:
    """Epochs of a short training: 100 of the paper's 600 (§4.1.3), in this proportion."""
    return max(1, round(retrain.epochs / 6))


def for_the_user(error: Exception) -> bool:
    """Whether an error says what to do about it: this project's own do, and so do the system's.

    A `ValueError` that Python or a library raises on what it was called with is a fault of the
    code, and its traceback the only way to it.
    """
    if isinstance(error, OSError):
        return True
    innermost = error.__traceback__
    while innermost is not None and innermost.tb_next is not None:
        innermost = innermost.tb_next
    if innermost is None:
        return True
    frame = innermost.tb_frame
    package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
    raised = frame.f_code.co_code[innermost.tb_lasti] == dis.opmap["RAISE_VARARGS"]
    return raised and package in ("darts", "bilevel")


def _complain(message: str, status: int) -> int:
    line = " ".join(message.split())
    print(f"darts: {line if len(line) <= 2000 else line[:2000] + '…'}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
