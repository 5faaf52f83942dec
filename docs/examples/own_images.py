"""Write a medical-style set of one's own: grey images of 16 bits, not square, and their table.

`python -m docs.examples.own_images FOLDER` writes FOLDER/<class>/*.png and FOLDER/labels.csv from
two images that scikit-learn bundles. Values reach 12 bits in files of 16, as a scanner's.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images

CLASSES = ("temple", "flower")
HEIGHT, WIDTH = 40, 56
GREY = np.array([0.299, 0.587, 0.114])


def main(folder: Path, per_class: int = 150) -> Path:
    """The folder, with so many images of each class; the CSV file has their mean value too."""
    draw = np.random.default_rng(0)
    rows = []
    for name, source in zip(CLASSES, load_sample_images().images, strict=True):
        (folder / name).mkdir(parents=True, exist_ok=True)
        grey = source @ GREY * 16  # 0 to 4080
        for number in range(per_class):
            top = draw.integers(0, grey.shape[0] - 4 * HEIGHT)
            left = draw.integers(0, grey.shape[1] - 4 * WIDTH)
            part = grey[top : top + 4 * HEIGHT, left : left + 4 * WIDTH]
            small = part.reshape(HEIGHT, 4, WIDTH, 4).mean(axis=(1, 3))
            path = folder / name / f"{number:03}.png"
            Image.fromarray(small.round().astype(np.uint16)).save(path)
            rows.append((path.relative_to(folder).as_posix(), f"{small.mean():.1f}"))
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("path", "brightness"), *rows])
    return folder


if __name__ == "__main__":
    print(main(Path(sys.argv[1] if len(sys.argv) > 1 else "own-images")))
