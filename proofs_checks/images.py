"""Real images for measurements on networks: scikit-learn's digits, and CIFAR-10 where it is."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

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

    torchvision compares every file with its published MD5 sum before it unpickles any.

    Raises:
        RuntimeError: a file is missing, or is another one.
    """
    from torchvision.datasets import CIFAR10

    found = CIFAR10(str(folder.parent))
    images = torch.tensor(found.data[:10_000], dtype=torch.float32).permute(0, 3, 1, 2)
    mean, sd = images.mean(dim=(0, 2, 3), keepdim=True), images.std(dim=(0, 2, 3), keepdim=True)
    return Images("cifar10", (images - mean) / sd, torch.tensor(found.targets[:10_000]))
