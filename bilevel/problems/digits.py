"""The digits that ready problems learn from: scikit-learn's 1,797 images, split and scaled."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

CLASSES = 10
PIXELS = 64


@dataclass(frozen=True)
class Examples:
    """Images as rows of grey levels in [0, 1], with their labels."""

    images: Float[Tensor, "count 64"]
    labels: Int[Tensor, " count"]

    def __len__(self) -> int:
        return len(self.labels)


def digits(*sizes: int, seed: int, dtype: torch.dtype = torch.float64) -> tuple[Examples, ...]:
    """Disjoint random parts of the given sizes.

    Raises:
        ValueError: the sizes add up to more than the 1,797 images.
    """
    from sklearn.datasets import load_digits

    bundled = load_digits()
    images = torch.from_numpy(bundled.data).to(dtype) / 16
    labels = torch.from_numpy(bundled.target).long()
    if sum(sizes) > len(labels):
        raise ValueError(
            f"parts of {sizes} images need {sum(sizes)}; digits has {len(labels)}. Ask for less."
        )
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    parts = torch.split(order[: sum(sizes)], list(sizes))
    return tuple(Examples(images[part], labels[part]) for part in parts)


def with_wrong_labels(
    examples: Examples, share: float, *, seed: int
) -> tuple[Examples, Int[Tensor, " count"]]:
    """The same images with `share` of the labels replaced by other ones, and which (0 or 1)."""
    if not 0 <= share < 1:
        raise ValueError(f"share={share}: it must be in [0, 1).")
    generator = torch.Generator().manual_seed(seed)
    count = round(share * len(examples))
    chosen = torch.randperm(len(examples), generator=generator)[:count]
    labels = examples.labels.clone()
    shift = torch.randint(1, CLASSES, (count,), generator=generator)
    labels[chosen] = (labels[chosen] + shift) % CLASSES
    wrong = torch.zeros_like(labels)
    wrong[chosen] = 1
    return Examples(examples.images, labels), wrong
