"""How many trials of a sweep go side by side on one device: as many as fit, and as pay."""

import json
from collections.abc import Sequence
from dataclasses import replace

import torch

from bilevel.estimators import Amended
from darts.commands.command import Invocation
from darts.commands.dry_run import real_command
from darts.commands.errors import UsageError
from darts.config.as_json import to_json
from darts.config.full import FullConfig
from darts.records.plan import Plan, Trial
from darts.reports.packing import print_side_by_side
from darts.training.dry_run import SHARE_OF_FREE_MEMORY, Limits
from darts.training.room import Place, Room, room_for
from darts.training.side_by_side import numbers_up_to, side_by_side

SECONDS = 10.0
"""Of each count of steps side by side."""


def require_cores(asked: int | None, trials: int, place: Place) -> None:
    """Raise UsageError if the CPU has no core for each thread of so many workers."""
    most = place.by_cores
    if asked is not None and most is not None and min(asked, trials) > most:
        raise UsageError(
            f"--workers {asked}: {place.cores} cores are enough for {most} workers of "
            f"--threads {place.threads}. Ask for {most} or fewer."
        )


def number_of_workers(
    asked: int | None, trials: Sequence[Trial], place: Place
) -> tuple[int, float | None]:
    """The number of trials at a time, and the share of a GPU's memory that each may take.

    Where there are several, one line says what bounds them. What was asked for is refused if it
    does not fit; the usual number is lowered.

    Raises:
        UsageError: so many do not fit.
    """
    wanted = min((place.by_cores or 1) if asked is None else asked, len(trials))
    if wanted < 2:
        return 1, None
    if not place.measurable:
        print(f"{wanted} workers; memory cannot be measured here, so make sure that it suffices.")
        return wanted, None
    room = room_for(costliest(trials), place)
    if asked is not None and wanted > room.fits:
        raise UsageError(
            f"--workers {asked}: {room.in_words}. "
            + ("Ask for that many or fewer." if room.fits else "Free memory, or take smaller nets.")
        )
    workers = max(1, min(wanted, room.fits))
    print(f"{workers} worker{'s' * (workers > 1)}: {room.in_words}{_cores(place)}.", flush=True)
    return workers, _share(room, workers, place)


def _share(room: Room, workers: int, place: Place) -> float | None:
    if not place.on_gpu:
        return None
    total = torch.cuda.get_device_properties(place.device).total_memory
    return SHARE_OF_FREE_MEMORY * room.free_bytes / workers / total


def _cores(place: Place) -> str:
    return "" if place.by_cores is None else f"; {place.cores} cores"


def costliest(trials: Sequence[Trial]) -> list[FullConfig]:
    """A config of each kind, last setting first; those that differ in η or the seed cost alike."""
    found: dict[str, FullConfig] = {}
    for trial in reversed(trials):
        search = trial.config.search
        assert search is not None
        estimator = search.estimator
        if isinstance(estimator, Amended):
            estimator = replace(estimator, eta=1.0)
        alike = replace(trial.config, search=replace(search, estimator=estimator)).with_seed(0)
        found.setdefault(json.dumps(to_json(alike)), trial.config)
    return list(found.values())


def dry_run_sweep(plan: Plan, place: Place, limits: Limits, given: Invocation) -> bool:
    """Say how many trials fit side by side, and what numbers of them make the most steps.

    Raises:
        UsageError: not even one fits.
        ValueError: a dry run failed, or memory cannot be measured.
    """
    configs = costliest(plan.trials)
    room = room_for(configs, place, limits.memory_gib)
    if not room.fits:
        raise UsageError(f"Not one trial fits: {room.in_words}.")
    trials = len(plan.trials)
    bounds = [room.fits, trials, *([] if place.by_cores is None else [place.by_cores])]
    found = side_by_side(configs[0], place, numbers_up_to(min(bounds)), SECONDS)
    kept = real_command(given.arguments, "--workers")
    again = replace(given, arguments=(*kept, "--workers", str(found.best.workers)))
    print_side_by_side(
        found,
        f"{configs[0].preset}: search steps side by side on {place.device}",
        f"Memory: {room.in_words}{_cores(place)}. Trials of the sweep: {trials}.",
        again.line,
    )
    return True
