"""The option --dry-run: what a command would take, and no run folder."""

from collections.abc import Sequence
from dataclasses import replace

from darts.commands.command import Invocation
from darts.commands.errors import UsageError
from darts.commands.jobs import Job
from darts.commands.options import Options
from darts.parallel.launch import Devices
from darts.reports.dry_run import print_dry_run
from darts.training.dry_run import Limits, dry_run
from darts.training.full import require_feasible

FLAG, WITH_VALUE = "--dry-run", ("--dry-run-memory", "--dry-run-images")


def limits_of(options: Options) -> Limits | None:
    """What a dry run may take; None if none is asked for.

    Raises:
        UsageError: it is asked of a command, or with options, that has no dry run.
    """
    asked = {"--dry-run-memory": options.dry_run_memory, "--dry-run-images": options.dry_run_images}
    given = [name for name, value in asked.items() if value is not None]
    if not options.dry_run:
        if given:
            raise UsageError(f"{given[0]} without --dry-run. Add it, or leave both out.")
        return None
    if options.no_dry_run is not None:
        raise UsageError(options.no_dry_run)
    if options.devices != 1 or options.nodes != 1:
        raise UsageError(
            f"--dry-run with --devices {options.devices} --nodes {options.nodes}: it is of one "
            "process. Leave both out; with N processes each has an N-th of every batch."
        )
    return Limits(options.dry_run_memory, options.dry_run_images)


def dry_run_jobs(jobs: Sequence[Job], device: str, limits: Limits, given: Invocation) -> None:
    """Print what the jobs, which differ in their seeds alone, would take. Nothing is written."""
    job = jobs[0]
    images = job.config.data.load()
    require_feasible(job.config, images, job.genotype)
    found = dry_run(
        job.config,
        images,
        devices=Devices(device, computing=job.config.computing),
        limits=limits,
        genotype=job.genotype,
        runs=len(jobs),
    )
    print_dry_run(
        found, images, device, replace(given, arguments=real_command(given.arguments)).line
    )


def real_command(arguments: Sequence[str]) -> tuple[str, ...]:
    """The arguments without those of the dry run."""
    kept: list[str] = []
    skip = False
    for argument in arguments:
        if skip:
            skip = False
        elif argument in WITH_VALUE:
            skip = True
        elif argument != FLAG and not argument.startswith(tuple(f"{n}=" for n in WITH_VALUE)):
            kept.append(argument)
    return tuple(kept)
