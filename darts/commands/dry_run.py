"""The option --dry-run: what a command would take, and no run folder."""

from collections.abc import Sequence
from dataclasses import replace

from darts.commands.command import Invocation
from darts.commands.errors import UsageError
from darts.commands.options import Options
from darts.config.full import FullConfig
from darts.data import images_of_set
from darts.parallel.launch import Devices
from darts.reports.dry_run import print_dry_run
from darts.spaces import Genotype
from darts.training.dry_run import Limits, dry_run
from darts.training.full import require_feasible

FLAG, WITH_VALUE = "--dry-run", ("--dry-run-memory", "--dry-run-images")


def limits_of(options: Options) -> Limits | None:
    """The limits of the dry run that is asked for; None if none is.

    Raises:
        UsageError: it is asked of a command, or with options, that has no dry run.
    """
    if not options.dry_run:
        for name, value in zip(
            WITH_VALUE, (options.dry_run_memory, options.dry_run_images), strict=True
        ):
            if value is not None:
                raise UsageError(f"{name} without --dry-run. Add it, or leave both out.")
        return None
    if options.no_dry_run is not None:
        raise UsageError(options.no_dry_run)
    if options.devices != 1 or options.nodes != 1:
        raise UsageError(
            f"--dry-run with --devices {options.devices} --nodes {options.nodes}: it is of one "
            "process. Leave both out; with N processes each has an N-th of every batch."
        )
    return Limits(options.dry_run_memory, options.dry_run_images)


def do_dry_run(
    config: FullConfig,
    genotype: Genotype | None,
    runs: int,
    device: str,
    limits: Limits,
    given: Invocation,
) -> None:
    """Print what so many runs of a config would take. Nothing is written."""
    images = images_of_set(config.data)
    require_feasible(config, images, genotype)
    devices = Devices(device, computing=config.computing)
    found = dry_run(config, images, devices=devices, limits=limits, genotype=genotype, runs=runs)
    real = replace(given, arguments=real_command(given.arguments))
    print_dry_run(found, images, device, real.line)


def real_command(arguments: Sequence[str], *others: str) -> tuple[str, ...]:
    """The arguments without those of the dry run, and other options with a value."""
    words, kept = iter(arguments), []
    for word in words:
        name, _, value = word.partition("=")
        if name in (*WITH_VALUE, *others) and not value:
            next(words, None)
        elif name not in (FLAG, *WITH_VALUE, *others):
            kept.append(word)
    return tuple(kept)
