"""What a search costs besides its steps: `python -m benchmarks.overheads`.

One epoch of the default search on random images of CIFAR-10's size, a few steps long, as
`darts.training.search` runs it; CPU seconds inside each part. Per step: the two batches (taken,
cropped, mirrored, normalised), the step's record and its numbers. Per epoch: batch norm's averages
and the supernet's evaluation on images of the validation half, as many as the default search takes.
An epoch of 25,000 images is what its parts add up to; checkpoints are held to 2 % of the time by
the run itself.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest import mock

import torch

from benchmarks.records import merge
from bilevel.derivatives import ReverseOverForward
from bilevel.estimators import Amended
from darts.config.search import SearchConfig
from darts.data import LabelledImages, Normalisation, PairedBatches, SearchData
from darts.records.run_folder import RunFolder
from darts.spaces import S1
from darts.training.search import search
from darts.training.searching import Searching

RECORD = Path("docs/records/supernet_overheads.json")
CIFAR_HALF = 25_000
PARTS: dict[str, tuple[Any, str]] = {
    "steps, all in": (Searching, "step"),
    "batches": (PairedBatches, "at"),
    "records": (RunFolder, "append"),
    "progress": (RunFolder, "tick"),
    "batch norm's averages": (Searching, "update_statistics"),
    "evaluation": (Searching, "evaluate"),
}


def measured(batch: int, steps: int, config: SearchConfig) -> dict[str, list[float]]:
    """CPU seconds of every call of each part, in one epoch of `steps` steps."""
    spent: dict[str, list[float]] = {name: [] for name in PARTS}

    def timed(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            began = time.process_time()
            try:
                return call(*args, **kwargs)
            finally:
                spent[name].append(time.process_time() - began)

        return run

    generator = torch.Generator().manual_seed(0)
    shape = (batch * steps, 3, 32, 32)

    def images() -> LabelledImages:
        pixels = torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
        labels = torch.arange(len(pixels)) % 10
        return LabelledImages(pixels, labels, 10)

    data = SearchData(images(), images(), Normalisation((0.5,) * 3, (0.25,) * 3), mirror=True)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        for name, (owner, method) in PARTS.items():
            wrapped = timed(name, getattr(owner, method))
            stack.enter_context(mock.patch.object(owner, method, wrapped))
        search(config, data, RunFolder.create(Path(folder) / "run", {}, {}))
    return spent


def shares(
    spent: dict[str, list[float]], batch: int, averaged: int, judged: int
) -> dict[str, float]:
    """Of the steps alone, over an epoch of half of CIFAR-10.

    The first step of each part is left out, which also warms up. `averaged` batches make the
    averages; their augmentation counts with them. `judged` images are evaluated.
    """
    steps = CIFAR_HALF // batch
    mean = {name: sum(s[1:]) / max(len(s) - 1, 1) for name, s in spent.items()}
    per_epoch = {name: sum(spent[name]) for name in ("batch norm's averages", "evaluation")}
    seen = len(spent["steps, all in"])
    alone = mean["steps, all in"] - mean["batches"]
    whole = steps * alone
    bookkeeping = mean["records"] + mean["progress"]
    return {
        "batches": mean["batches"] / alone,
        "records and progress": bookkeeping / alone,
        "batch norm's averages": per_epoch["batch norm's averages"] / seen * averaged / whole,
        "evaluation": per_epoch["evaluation"] / seen * judged / batch / whole,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RECORD)
    options = parser.parse_args()
    torch.set_num_threads(1)
    config = SearchConfig(
        space=S1,
        epochs=1,
        batch_size=options.batch,
        estimator=Amended(0.1, derivatives=ReverseOverForward()),
    )
    spent = measured(options.batch, options.steps, config)
    judged = min(config.evaluation_images or CIFAR_HALF, CIFAR_HALF)
    found = shares(spent, options.batch, config.statistics_batches, judged)
    part = {"batch": options.batch, "steps": options.steps, "seconds": spent, "shares": found}
    merge(options.out, {"amended, exact": part})
    for name, share in found.items():
        print(f"{name:<25}{share:.2%}")


if __name__ == "__main__":
    main()
