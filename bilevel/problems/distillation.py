"""Data-set distillation: learn a few images such that a model trained on them does well."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from bilevel.problem import BilevelProblem
from bilevel.problems.digits import CLASSES, PIXELS, Examples, digits
from bilevel.problems.ready import ReadyProblem


@dataclass(frozen=True)
class Distillation(ReadyProblem):
    """F = mean cross-entropy on the images α + ½λ‖ω‖², G = mean cross-entropy on real images.

    α are the pixels of a few images with fixed labels, ω softmax regression without bias.

    Attributes:
        test: images that neither loss sees.
    """

    test: Examples

    def accuracy_percent(self, omega: Float[Tensor, "64 10"]) -> float:
        """Accuracy on the test images."""
        guess = (self.test.images @ omega).argmax(dim=1)
        return 100 * float((guess == self.test.labels).double().mean())


def distillation(
    *,
    per_class: int = 1,
    train: int = 1000,
    weight_decay: float = 1e-2,
    seed: int = 0,
    dtype: torch.dtype = torch.float64,
) -> Distillation:
    """On digits. The images α begin as the first real ones of each class.

    Args:
        per_class: number of learned images of each class.
        train: number of real images in G.
        weight_decay: λ, part of the inner loss; without it ω*(α) is at infinity.
    """
    real, test = digits(train, 1797 - train, seed=seed, dtype=dtype)
    labels = torch.arange(CLASSES).repeat_interleave(per_class)
    first = [real.images[real.labels == label][:per_class] for label in range(CLASSES)]

    def inner(w: Tensor, a: Tensor) -> Tensor:
        return F.cross_entropy(a @ w, labels) + 0.5 * weight_decay * (w**2).sum()

    def outer(w: Tensor, a: Tensor) -> Tensor:
        return F.cross_entropy(real.images @ w, real.labels)

    omega = torch.zeros(PIXELS, CLASSES, dtype=dtype)
    return Distillation(BilevelProblem(inner, outer), omega, torch.cat(first), test)
