"""Real images for measurements on networks: scikit-learn's digits, and CIFAR-10 where it is."""

from __future__ import annotations

import os
import pickletools
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Images:
    """Normalised images [n c h w], labels [n], and their name."""

    name: str
    images: Tensor
    labels: Tensor

    def batch(self, start: int, size: int, order: Tensor) -> tuple[Tensor, Tensor]:
        if start + size > len(self.labels):
            raise ValueError(
                f"images {start} to {start + size} asked of the {len(self.labels)} of {self.name}"
            )
        chosen = order[start : start + size]
        return self.images[chosen], self.labels[chosen]

    def to(self, dtype: torch.dtype) -> Images:
        return Images(self.name, self.images.to(dtype), self.labels)


def digits() -> Images:
    """All 1,797 images, 8×8 in grey, with mean 0 and variance 1."""
    from sklearn.datasets import load_digits

    bundled = load_digits()
    images = torch.tensor(bundled.images, dtype=torch.float32).unsqueeze(1)
    return Images("digits", (images - images.mean()) / images.std(), torch.tensor(bundled.target))


def cifar10_folder() -> Path | None:
    """$DARTS_DATA_DIR/cifar-10-batches-py, if it is there."""
    folder = Path(os.environ.get("DARTS_DATA_DIR", "data")) / "cifar-10-batches-py"
    return folder if (folder / "data_batch_1").is_file() else None


def cifar10(folder: Path) -> Images:
    """The 10,000 images of the first training file, each channel with mean 0 and variance 1.

    The file is a pickle; it is parsed, not executed: the pixels are its one long string, the
    labels the one run of 10,000 small integers.
    """
    raw = (folder / "data_batch_1").read_bytes()
    size = 10_000 * 3072
    at = raw.index(b"T" + struct.pack("<I", size)) + 5
    pixels = np.frombuffer(raw, np.uint8, count=size, offset=at).reshape(-1, 3, 32, 32)
    labels = _longest_run_of_integers(raw[: at - 5] + b"N" + raw[at + size :])
    images = torch.tensor(pixels, dtype=torch.float32)
    mean, sd = images.mean(dim=(0, 2, 3), keepdim=True), images.std(dim=(0, 2, 3), keepdim=True)
    return Images("cifar10", (images - mean) / sd, torch.tensor(labels))


def _longest_run_of_integers(opcodes: bytes) -> list[int]:
    best: list[int] = []
    run: list[int] = []
    for opcode, argument, _ in pickletools.genops(opcodes):
        if opcode.name == "BININT1":
            assert isinstance(argument, int)
            run.append(argument)
        elif opcode.name not in {"MARK", "APPENDS"}:  # a list comes in pieces of a thousand
            best, run = max(best, run, key=len), []
    best = max(best, run, key=len)
    if len(best) != 10_000:
        raise ValueError(f"found {len(best)} labels where CIFAR-10's file has 10,000")
    return best
