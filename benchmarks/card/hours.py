"""Hours of the paper's trainings, by the time that their steps take on a card."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks.card.retraining import RETRAINING
from benchmarks.card.steps import CAPTURED, FLOAT32, PRODUCT, SEARCH, WEIGHT, named
from benchmarks.card.supernets import EXACT
from benchmarks.tables import table

IMAGES = 25_000
"""CIFAR-10's training half."""


def presets(record: dict[str, Any]) -> list[str]:
    """Hours of the paper's trainings by the time that an image takes in the steps above."""
    rows = []
    for what, epochs, images, batch, names, said in trainings(record):
        if names is None:
            continue
        hours = epochs * images / batch * sum(names) / 3600
        rows.append((what, f"{epochs} × {images:,}", f"{hours:.1f}", said))
    if not rows:
        return []
    head = ("training", "epochs × images", "hours here", "the paper says")
    said = "By their steps alone: searches at batch 64, retraining at batch 96."
    return ["## Hours of the paper's trainings on this card", said, table(head, rows)]


def trainings(record: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    """(what, epochs, images of an epoch, batch, seconds of each step or None, the paper's cost)."""

    def steps(part: dict[str, Any], *names: str) -> list[float] | None:
        taken = [part.get("seconds", {}).get(name) for name in names]
        return [float(t["median"]) for t in taken if t] if all(taken) else None

    own = record.get("b64", {})
    first, exact, weight = (
        named(PRODUCT, CAPTURED, FLOAT32, step) for step in (SEARCH, EXACT, WEIGHT)
    )
    paper = "0.02 GPU-days an epoch (§3.4)"
    yield "amended search of `s1`", 100, IMAGES, 64, steps(own, exact, weight), paper
    yield "`cifar10-darts-first-order`", 50, IMAGES, 64, steps(own, first), "–"
    again = record.get("retraining", {})
    cifar, imagenet = again.get("cifar", {}), again.get("imagenet", {})
    yield "retraining on CIFAR-10", 600, 50_000, 96, steps(cifar, RETRAINING[1]), "–"
    days = "24 GPU-days on V100s (§4.2)"
    yield "retraining on ImageNet", 250, 1_281_167, 96, steps(imagenet, RETRAINING[1]), days
