"""Numbers and several labels an image, from Python: two tasks on scikit-learn's digits.

`python -m docs.examples.own_tasks [FOLDER]`
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_digits

import darts
from darts.config.presets import PRESETS
from darts.config.retrain import RetrainConfig
from darts.config.search import SearchConfig

LABELS = ("even", "above 4", "has a loop")
LOOPS = (0, 6, 8, 9)


def ink(images: np.ndarray) -> np.ndarray:
    """How much of each image [n h w] is written on, in per cent."""
    return 100 * images.mean(axis=(1, 2)) / 16


def properties(digits: np.ndarray) -> np.ndarray:
    """0 or 1 for each of `LABELS`, [n 3]."""
    return np.stack([digits % 2 == 0, digits > 4, np.isin(digits, LOOPS)], axis=1)


def main(
    folder: Path = Path("runs/own-tasks"),
    search: SearchConfig | None = None,
    retrain: RetrainConfig | None = None,
    most: int | None = None,
) -> dict[str, Any]:
    """The measures of the retrained network on test images, of both tasks; on `most` images."""
    digits = load_digits()
    images = digits.images.astype(np.uint8)[:most]
    preset = PRESETS["digits"]
    search, retrain = search or preset.search, retrain or preset.retrain
    found = {}
    for task, labels, names in (
        ("regression", ink(digits.images[:most]), ("ink",)),
        ("multi-label", properties(digits.target[:most]), LABELS),
    ):
        about = {"task": task, "class_names": names}
        cell = darts.search(
            images, labels, config=search, run_dir=folder / task / "search", **about
        )
        trained = darts.retrain(
            cell.genotype,
            images,
            labels,
            config=replace(retrain, auxiliary_weight=0.0),
            run_dir=folder / task / "retrain",
            **about,
        )
        found[task] = dict(trained.test.measures)
    return found


if __name__ == "__main__":
    print(main(*map(Path, sys.argv[1:2])))
