"""A supernet whose norms are fixed, so that it has stationary points, and its training to one."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bilevel.problem import BilevelProblem
from bilevel.vector import Vector
from darts.networks.adapter import SupernetAdapter
from darts.networks.architecture import Alpha, Architecture
from darts.networks.supernet import Supernet
from darts.spaces.normalization import BatchNorm
from proofs_checks.on_supernet import SMALL, smooth_supernet

IMAGES = 200
FLOOR = 0.1
"""Added to the variance in every norm: without it gains reach hundreds and training stalls."""


class Fixed(nn.Module):
    """A norm that stays in evaluation mode: x ↦ (x − m)/√(s² + 0.1), m and s² given numbers.

    A function of its weights' length then, unlike a norm by the batch (T13).
    """

    def __init__(self, norm: BatchNorm) -> None:
        super().__init__()
        norm.eps = FLOOR
        self.norm = norm.eval()

    def train(self, mode: bool = True) -> Fixed:
        return self

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.norm(x)
        return output


def fix_norms(net: nn.Module) -> None:
    """Put a `Fixed` around every batch norm, with the running statistics as they are."""
    for parent in list(net.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, BatchNorm) and not isinstance(parent, Fixed):
                setattr(parent, name, Fixed(child))


@dataclass(frozen=True)
class FixedNormCase:
    """A supernet of two cells, 712 weights, tanh, float64; α drawn with scale 0.3; 4×4 digits.

    Both cells reduce, so that of α only the half for reduction cells (m = 8) has any influence.
    """

    net: Supernet
    architecture: Architecture
    alpha: Alpha
    images: Tensor
    labels: Tensor

    @property
    def start(self) -> Vector:
        return Vector.of(SupernetAdapter(self.net, self.architecture, 0.0).omega).detach()

    @property
    def outers(self) -> int:
        """Disjoint validation batches that the images left over make."""
        return len(self.labels) // IMAGES - 1

    def problem(self, decay: float, outer: int) -> BilevelProblem:
        """The first 200 images train; validation batch `outer` is one of the next 200s."""

        def batch(start: int) -> tuple[Tensor, Tensor]:
            return self.images[start : start + IMAGES], self.labels[start : start + IMAGES]

        adapter = SupernetAdapter(self.net, self.architecture, decay)
        return adapter.problem(batch(0), batch((1 + outer) * IMAGES), 0)


def fixed_norm_case(seed: int) -> FixedNormCase:
    """Weights, α and image order from `seed`; the norms hold the training images' statistics."""
    net, images, labels = smooth_supernet(seed, cells=2)
    architecture = Architecture(SMALL)
    alpha = architecture.initial(seed, scale=0.3, dtype=torch.float64)
    training = (images[:IMAGES], labels[:IMAGES])
    SupernetAdapter(net, architecture, 0.0).update_statistics([training], alpha)
    fix_norms(net)
    return FixedNormCase(net, architecture, alpha, images, labels)
