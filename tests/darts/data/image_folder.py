"""Small photographs made on the spot, for what needs no real ones: names, modes, damage."""

from pathlib import Path

import numpy as np
from PIL import Image

WIDE, HIGH = 40, 28


def photograph(seed: int, mode: str = "RGB") -> Image.Image:
    draw = np.random.default_rng(seed)
    coarse = Image.fromarray(draw.integers(0, 256, (4, 5, 3), dtype=np.uint8))
    return coarse.resize((WIDE, HIGH), Image.Resampling.BILINEAR).convert(mode)


def write_tree(root: Path) -> Path:
    """Two classes, eight and four photographs for training, two each for testing."""
    for part, name, count in (
        ("train", "n02", 8),
        ("train", "n01", 4),
        ("val", "n01", 2),
        ("val", "n02", 2),
    ):
        folder = root / part / name
        folder.mkdir(parents=True)
        for number in range(count):
            photograph(100 * int(name[1:]) + number).save(folder / f"{number}.JPEG", quality=95)
    return root
