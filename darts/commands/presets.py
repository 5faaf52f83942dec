"""`darts presets`: the named settings that a run can begin with."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from rich.table import Table

from darts.commands.closing import closing
from darts.commands.command import Command, Invocation
from darts.config.costs import recorded_costs
from darts.config.full import FullConfig
from darts.config.presets import PRESETS
from darts.config.search import SearchConfig
from darts.names import ESTIMATORS, NAMES
from darts.reports.terminal import Terminal


@dataclass(frozen=True)
class Presets(Command):
    """List the presets: what each does, on which images, and what it takes where that is recorded.

    Times are estimates: on a core of a dry run, on a GPU of its steps alone. For the others,
    `darts full-search --preset NAME --dry-run` takes some steps on your own machine.
    """

    examples = ("darts presets", "darts full-search --preset nasbench201-tiny --dry-run")

    def run(self, given: Invocation) -> int:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for heading in ("preset", "data", "search", "epochs", "hardware", "time"):
            table.add_column(heading, no_wrap=heading in ("preset", "epochs", "time"))
        costs = recorded_costs()
        for name, preset in PRESETS.items():
            table.add_row(name, *what(preset), *_taken(costs.get(name)))
        Terminal(width=None if sys.stdout.isatty() else 200).print(table)
        days = sorted({cost["day"] for cost in costs.values() if "day" in cost})
        print(
            f"\nTimes are estimates. On a core: processor time by a dry run of "
            f"{' and '.join(days)}. On a GPU: its steps with --capture, times their number;\n"
            "searches counted at batch 64, retraining at 96, evaluation left out (docs/CARD.md).\n"
            "Another machine, and one with other work, takes another time: --dry-run takes some "
            "steps here and says."
        )
        named = ("full-search", "--preset", "NAME")
        print(closing((), ("doctor", "--preset", "NAME"), (*named, "--dry-run"), named))
        return 0


def what(preset: FullConfig) -> tuple[str, str, str]:
    """A preset's images, what is searched and how, and the epochs of its stages."""
    size, search = getattr(preset.data, "train_size", None), preset.search
    images = f"{preset.data.name}, {size:,} images" if size else preset.data.name
    stages = [stage.epochs for stage in (search, preset.retrain) if stage is not None]
    epochs = " + ".join(map(str, stages))
    if search is None:
        return images, "none; retrains a genotype", epochs
    usual = SearchConfig()
    methods = [
        f"{entry.name.replace('_', ' ')} {NAMES[entry.type].write(value)}"
        for entry in fields(search)
        if entry.name not in ("space", "estimator") and entry.type in NAMES
        if (value := getattr(search, entry.name)) != getattr(usual, entry.name)
    ]
    estimator = ESTIMATORS.write(search.estimator).partition(":")[0]
    return images, ", ".join((search.space.name, estimator, *methods)), epochs


def _taken(cost: Mapping[str, Any] | None) -> tuple[str, str]:
    """The hardware that a time is of, and the time."""
    if cost is None:
        return "not measured", ""
    memory = f", {cost['memory_gib']:.1f} GiB" if "memory_gib" in cost else ""
    return f"{cost['hardware']}{memory}", f"≈ {time_in_words(cost['hours'])}"


def time_in_words(hours: float) -> str:
    seconds = hours * 3600
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{hours:.2g} h"
