"""How fast images come to a step: shuffled, augmented and normalised on the device."""

from __future__ import annotations

from functools import partial
from itertools import count
from typing import Any

from benchmarks.card.retraining import Size, training
from benchmarks.card.steps import EAGER, FLOAT32
from benchmarks.card.timing import Case, Cases, Clock, spreads


def pipeline(size: Size, device: str, clock: Clock, rounds: int) -> dict[str, Any]:
    """Seconds of one batch of a retraining; a search's step takes two such, without cutout."""
    cases = Cases(device)
    cases.add("batch", partial(batches, size, device))
    return {
        "batch": size.config.batch_size,
        "seconds": spreads(cases.rounds(clock, rounds)),
        "failed": cases.failed,
    }


def batches(size: Size, device: str) -> Case:
    stream, numbers = training(size, device, FLOAT32, EAGER).batches, count()
    return lambda: stream.at(0, next(numbers) % stream.per_epoch)


def piped(part: dict[str, Any]) -> list[str]:
    if not part.get("seconds"):
        return []
    taken = part["seconds"]["batch"]["median"]
    made = f"A batch of {part['batch']} is made on the device in {1e3 * taken:.2f} ms, "
    return ["## Images", made + f"{part['batch'] / taken:,.0f} images a second."]
