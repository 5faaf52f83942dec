"""`darts presets`: the named settings that a run can begin with."""

import sys
from dataclasses import dataclass, fields

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

    Times are those of one core, extrapolated by a dry run from some real steps. For the others,
    `darts full-search --preset NAME --dry-run` takes such steps on your own machine.
    """

    examples = ("darts presets", "darts full-search --preset nasbench201-tiny --dry-run")

    def run(self, given: Invocation) -> int:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for heading in ("preset", "data", "search", "epochs", "hardware", "time"):
            table.add_column(heading, no_wrap=heading in ("preset", "epochs", "time"))
        costs = recorded_costs()
        for name, preset in PRESETS.items():
            cost = costs.get(name)
            hardware = f"1 core, {cost['memory_gib']:.1f} GiB" if cost else "not measured"
            table.add_row(name, *what(preset), hardware, _time(cost["cpu_hours"]) if cost else "")
        Terminal(width=None if sys.stdout.isatty() else 200).print(table)
        processors = ", ".join(sorted({cost["processor"] for cost in costs.values()}))
        print(
            f"\nTimes are dry runs' estimates on one core of an {processors}. Not measured: "
            "--dry-run takes some steps on your machine and says."
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


def _time(cpu_hours: float) -> str:
    seconds = cpu_hours * 3600
    if seconds < 90:
        return f"≈ {seconds:.0f} s"
    return f"≈ {seconds / 60:.0f} min" if seconds < 5400 else f"≈ {cpu_hours:.1f} h"
