"""Costs of the presets as docs/DRY_RUN.md has them: `python -m benchmarks.dry_run_table`.

With the word `costs` after it, it writes those that `darts presets` prints.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.card.hours import trainings
from benchmarks.card.page import RECORD as CARD
from benchmarks.dry_runs import RECORD
from darts.config.costs import FILE
from darts.training.dry_run import BUILDING

HEADER = """| Preset | Images | Batch | Multiply-adds | CPU-hours here | Memory |
|---|---|---|---|---|---|"""
IMAGENET = {"train": 1_281_167, "test": 50_000}
"""Photographs of the ILSVRC-2012 training and validation parts."""

ON_CARD = {
    "cifar10-s1-all-edges": {"amended search of `s1`": 5, "retraining on CIFAR-10": 1},
    "cifar10-darts-first-order": {"`cifar10-darts-first-order`": 1, "retraining on CIFAR-10": 1},
    "imagenet-mobile": {"retraining on ImageNet": 1},
}
"""Of what trainings, and how often, a preset is made whose steps were timed on a GPU."""

Phase = dict[str, Any]


def rows(record: dict[str, Any]) -> Iterator[str]:
    """A line a preset, and another one of all of ImageNet where a sample stood for it."""
    for name, run in record.items():
        images = run["images"]
        yield _row(f"`{name}`", run, images, lambda phase: phase["times"])
        if images["name"] == "imagenet" and run["config"]["data"]["train_size"] is None:
            yield _row(f"`{name}`, all of ImageNet", run, IMAGENET, _on_imagenet(images))


def _on_imagenet(images: dict[str, int]) -> Callable[[Phase], float]:
    """How often a retraining's phase is done on all of ImageNet, for how often on a sample."""

    def times(phase: Phase) -> float:
        batch = phase["images"]
        if phase["work"] == BUILDING:
            return phase["times"]
        if phase["work"] == "evaluation":
            return phase["times"] * -(-IMAGENET["test"] // batch) / -(-images["test"] // batch)
        return phase["times"] * (IMAGENET["train"] // batch) / (images["train"] // batch)

    return times


def _row(
    title: str, run: dict[str, Any], images: dict[str, int], times: Callable[[Phase], float]
) -> str:
    """Figures that rest on smaller batches than the run's have a ≈."""
    phases = run["estimates"]
    batches = "/".join(
        str(size) for size in dict.fromkeys(p["images"] for p in phases if p["images"])
    )
    about = "≈ " if any(str(p["images"]) not in p["measured"] for p in phases) else ""
    multiply_adds = sum(times(phase) * phase["multiply_adds"] for phase in phases)
    cpu = _cpu_hours(run, times)
    return (
        f"| {title} | {images['train']:,} + {images['test']:,} | {batches} | {multiply_adds:.1e} "
        f"| {about}{_figures(cpu)} | {about}{run['peak_bytes'] / 2**30:.1f} GiB |"
    )


def _cpu_hours(run: dict[str, Any], times: Callable[[Phase], float]) -> float:
    phases = run["estimates"]
    return sum(times(phase) * phase["once"]["cpu_seconds"] for phase in phases) / 3600


def costs() -> dict[str, dict[str, Any]]:
    """By preset its hours, on which hardware, the day of a dry run, and GiB where they are known.

    CPU-hours are those that dry runs estimate. Hours of a GPU are its captured steps, times how
    many the preset has: searches counted at batch 64, retraining at 96,
    evaluation left out.
    """
    found: dict[str, dict[str, Any]] = {
        name: {
            "hours": float(f"{_cpu_hours(run, lambda phase: phase['times']):.2g}"),
            "hardware": f"one core of an {run['environment']['processor']} with "
            f"{run['environment']['instructions']}",
            "day": run["environment"]["started"].partition("T")[0],
            "memory_gib": float(f"{run['peak_bytes'] / 2**30:.3g}"),
        }
        for name, run in json.loads(RECORD.read_text()).items()
    }
    record = json.loads(CARD.read_text())
    hours = {
        what: epochs * images / batch * sum(steps) / 3600
        for what, epochs, images, batch, steps, _ in trainings(record)
        if steps is not None
    }
    for name, parts in ON_CARD.items():
        if all(part in hours for part in parts):
            taken = float(f"{sum(n * hours[part] for part, n in parts.items()):.2g}")
            found[name] = {"hours": taken, "hardware": f"one {record['device']['name']}"}
    return found


def _figures(hours: float) -> str:
    return f"{hours:,.0f}" if hours >= 10 else f"{hours:.2g}"


def table() -> str:
    return "\n".join((HEADER, *rows(json.loads(RECORD.read_text()))))


if __name__ == "__main__":
    if sys.argv[1:] == ["costs"]:
        FILE.write_text(json.dumps(costs(), indent=1) + "\n", encoding="utf-8")
    else:
        print(table())
