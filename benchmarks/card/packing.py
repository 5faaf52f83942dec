"""Several searches on one GPU: which number takes the most steps, and how many fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from benchmarks.card.timing import Clock
from benchmarks.tables import table
from darts.config.compute import Computing
from darts.config.full import FullConfig
from darts.config.presets import PRESETS
from darts.data import ImageSet
from darts.data.arrays import image_set
from darts.training.dry_run import GIB
from darts.training.room import Place, room_for
from darts.training.side_by_side import side_by_side

START_SECONDS, DRY_RUN_SECONDS = 15.0, 30.0
"""That must be left to begin with another number of processes, and with the memory of one."""
NUMBERS = (1, 2, 4, 8, 16)


@dataclass(frozen=True)
class Noise:
    """Images without content, as large as CIFAR's."""

    name: ClassVar[str] = "noise"
    images: int = 400
    side: int = 32

    def load(self) -> ImageSet:
        shape = (self.images, 3, self.side, self.side)
        pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
        return image_set(pixels, np.arange(self.images) % 10)


def config_of(*, tiny: bool) -> FullConfig:
    """The small search of CIFAR-10, by captured steps."""
    preset = PRESETS["cifar10-s1-tiny"]
    assert preset.search is not None
    assert preset.retrain is not None
    if not tiny:
        return replace(preset, data=Noise(), computing=Computing(capture=True))
    return replace(
        preset,
        data=Noise(60, 8),
        search=replace(preset.search, batch_size=4, channels=1, cells=1),
        retrain=replace(preset.retrain, batch_size=4, channels=2, cells=1),
    )


def packing(
    device: str, clock: Clock, keep: Callable[[dict[str, Any]], None], *, tiny: bool
) -> None:
    """Steps a second of 1, 2, 4, ... processes; then the memory of one, if there is time."""
    config, place = config_of(tiny=tiny), Place(device, 1)
    numbers = NUMBERS[:2] if tiny else NUMBERS
    enough = (n for n in numbers if n == 1 or clock.left > START_SECONDS)
    found = side_by_side(config, place, enough, 0.2 if tiny else 4.0)
    record: dict[str, Any] = {
        "search": config.preset,
        "images a batch": config.search and config.search.batch_size,
        "steps a second": {
            str(c.workers): c.steps_per_second for c in found.counts if not c.trouble
        },
        "failed": {str(c.workers): c.trouble for c in found.counts if c.trouble},
        "recommended": found.best.workers,
    }
    keep(record)
    if clock.left > DRY_RUN_SECONDS:
        room = room_for([config], place)
        keep(
            {
                "GiB of one": room.each_bytes / GIB,
                "GiB free": room.free_bytes / GIB,
                "fit": room.fits,
            }
        )


def packed(part: dict[str, Any]) -> list[str]:
    """Several searches side by side."""
    steps = part.get("steps a second")
    if not steps:
        return []
    head = ("processes", "search steps a second, all together", "of one's")
    rows = [(n, f"{each:.3g}", f"{each / steps['1']:.2f}×") for n, each in steps.items()]
    said = [f"`{part['search']}`, {part['images a batch']} images a batch, captured steps."]
    if "fit" in part:
        said.append(
            f"One process takes {part['GiB of one']:.2f} GiB; of {part['GiB free']:.0f} GiB free, "
            f"nine tenths are enough for {part['fit']}."
        )
    failed = [f"{n} processes failed: `{why[:200]}`" for n, why in part.get("failed", {}).items()]
    return ["## Several searches at a time", " ".join(said), table(head, rows), *failed]
