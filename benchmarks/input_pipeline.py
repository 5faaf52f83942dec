"""What images and records cost beside a step: `python -m benchmarks.input_pipeline`.

One process, one thread, parts in turns, process CPU time. The unit is the weight step of the
default search (S1, 16 channels, 8 cells, batch 96), the cheapest thing that a step of a search can
be: a search step has a step of α besides. Parts: a batch of 96 from as many images as CIFAR-10 has
for training (taken, shifted, mirrored, normalised; with Cutout in retraining), the two batches of
a search step, the record of a step with the listeners that a run from the command line has, and the
norms and angle in it. Photographs are ImageNet's size and are timed by the image; they have no
share of this step, which is of small images.
"""

from __future__ import annotations

import argparse
import io
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from benchmarks.records import merge, spread
from benchmarks.steps import UNIT, Setting, ours
from bilevel import Vector, angle
from darts.data import (
    Augmentation,
    Batches,
    ImageFolders,
    LabelledImages,
    Normalisation,
    PairedBatches,
)
from darts.records.run_folder import RunFolder
from darts.reports.events import TensorBoardEvents
from darts.reports.progress import LiveProgress
from darts.spaces import S1

RECORD = Path("docs/records/input_pipeline.json")
IMAGES = 50_000
CALLS = 10
"""Calls of a part in a turn; its time is their mean."""
PHOTOGRAPHS = 64
PIXELS = (500, 375)
"""Width and height of the commonest photograph of ImageNet."""


def small_images(batch: int) -> dict[str, Callable[[int], Any]]:
    """Batches as functions of the step."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (IMAGES, 3, 32, 32), generator=generator, dtype=torch.uint8)
    data = LabelledImages(pixels, torch.arange(IMAGES) % 10, 10)
    normalisation = Normalisation((0.5,) * 3, (0.25,) * 3)

    def stream(purpose: str, cutout: int) -> Batches:
        return Batches(data, normalisation, Augmentation(cutout=cutout), batch, 0, purpose)

    plain, erased = stream("plain", 0), stream("erased", 16)
    pair = PairedBatches(stream("search train", 0), stream("search val", 0))
    return {
        "a batch": lambda step: plain.at(0, step),
        "a batch with Cutout": lambda step: erased.at(0, step),
        "the two batches of a search step": lambda step: pair.at(0, step),
    }


def records(folder: Path) -> dict[str, Callable[[int], Any]]:
    """What is written and shown of a step, and the numbers computed for it alone."""
    run = RunFolder.create(folder, {}, {}, (LiveProgress(), TensorBoardEvents(folder)))
    run.begin("search", 1, 10_000, (0, 0))
    generator = torch.Generator().manual_seed(0)
    direct, implicit = (
        Vector.of({kind: torch.randn(14, 8, generator=generator) for kind in S1.cell_kinds})
        for _ in range(2)
    )
    names = "learning_rate train_loss val_loss inner_gradient_norm direct_norm implicit_norm"
    numbers = dict.fromkeys((*names.split(), "angle_degrees"), 0.123456789)

    def written(step: int) -> None:
        run.append("search/steps", {"epoch": 0, "step": step, **numbers})
        run.tick("search", 0, step)

    def computed(_: int) -> tuple[float, ...]:
        return float(direct.norm()), float(implicit.norm()), angle(direct, implicit)

    return {"the record of a step": written, "its norms and angle": computed}


def photographs(folder: Path, source: Path) -> dict[str, Callable[[int], Any]]:
    """Views of 224 pixels, an image: one thread, nothing read ahead."""
    for part in ("train", "val"):
        place = folder / part / "n0"
        place.mkdir(parents=True)
        for number, path in enumerate(sorted(source.glob("*/*.JPEG"))[:PHOTOGRAPHS]):
            photograph = Image.open(path).convert("RGB").resize(PIXELS)
            photograph.save(place / f"{number}.JPEG", quality=95)
    data = ImageFolders(str(folder), workers=1).load().train

    def look(seed: int | None) -> Callable[[int], Any]:
        return lambda step: data.pixels(
            torch.tensor([step % PHOTOGRAPHS]), None if seed is None else seed + step
        )

    return {"a photograph in training": look(1), "a photograph in evaluation": look(None)}


def timed(unit: Callable[[], Any], parts: dict[str, Callable[[int], Any]], turns: int) -> Any:
    """CPU seconds of the unit and of a call of every part, by turn; one turn before is left out."""
    seconds: dict[str, list[float]] = {name: [] for name in (UNIT, *parts)}
    step = 0
    for turn in range(turns + 1):
        began = time.process_time()
        unit()
        spent = {UNIT: time.process_time() - began}
        for name, part in parts.items():
            began = time.process_time()
            for call in range(CALLS):
                part(step + call)
            spent[name] = (time.process_time() - began) / CALLS
        step += CALLS
        if turn:
            for name, value in spent.items():
                seconds[name].append(value)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=96)
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--out", type=Path, default=RECORD)
    options = parser.parse_args()
    torch.set_num_threads(1)
    step = ours(Setting(options.batch))[UNIT]
    source = Path(os.environ.get("DARTS_DATA_DIR", "../shared/data"))
    sample = source / "imagenet_sample" / "one_per_class128" / "val"
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(io.StringIO()):
        parts = small_images(options.batch) | records(Path(folder) / "run")
        if sample.is_dir():
            parts |= photographs(Path(folder) / "photographs", sample)
        seconds = timed(step, parts, options.turns)
    rows: dict[str, Any] = {}
    for name, values in seconds.items():
        rows[name] = {"seconds": spread(values), "n": len(values)}
        if "photograph" not in name:
            shares = [a / b for a, b in zip(values, seconds[UNIT], strict=True)]
            rows[name]["share of a weight step"] = spread(shares)
    both = ("the two batches of a search step", "the record of a step", "its norms and angle")
    sums = [sum(parts) for parts in zip(*(seconds[name] for name in both), strict=True)]
    shares = [a / b for a, b in zip(sums, seconds[UNIT], strict=True)]
    part = {
        "network": f"S1, 16 channels, 8 cells, 32×32, batch {options.batch}",
        "parts": rows,
        "images and records of a search step, share of a weight step": spread(shares),
    }
    merge(options.out, {f"batch {options.batch}": part})
    for name, row in rows.items():
        line = f"{name:<34}{1000 * row['seconds']['median']:10.2f} ms"
        share = row.get("share of a weight step")
        if share is not None:
            line += f"{share['median']:9.3%} ({share['low']:.3%}–{share['high']:.3%})"
        print(line)


if __name__ == "__main__":
    main()
