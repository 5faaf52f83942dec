"""Learning the weights of a loss: per-class weights for a small network on rare classes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bilevel.bound_module import BoundModule
from bilevel.problem import BilevelProblem
from bilevel.problems.digits import CLASSES, Examples, digits
from bilevel.problems.ready import ReadyProblem
from bilevel.vector import Tree, Vector


@dataclass(frozen=True)
class LossWeights(ReadyProblem):
    """F = mean of exp(α_y)·cross-entropy + ½λ‖ω‖² on unbalanced classes, G on balanced ones.

    ω is the parameters of a convolutional network with tanh, so that derivatives are smooth.
    G does not involve α: g₁ = 0.

    Attributes:
        module: the network that ω belongs to.
        test: balanced images that neither loss sees.
        rare: the classes with few training images.
    """

    module: nn.Module
    test: Examples
    rare: tuple[int, ...]

    def recall_percent(self, omega: Tree, classes: tuple[int, ...]) -> float:
        """Mean share of the test images of `classes` that the network finds."""
        with torch.no_grad():
            images = _as_images(self.test.images)
            guess = torch.func.functional_call(self.module, omega, images).argmax(dim=1)
        found = [(guess[self.test.labels == label] == label).double().mean() for label in classes]
        return 100 * float(torch.stack(found).mean())


def loss_weights(
    *,
    train: int = 600,
    val: int = 400,
    kept: float = 0.1,
    channels: int = 6,
    weight_decay: float = 5e-3,
    seed: int = 0,
    dtype: torch.dtype = torch.float64,
) -> LossWeights:
    """On digits, where classes 5 to 9 keep only a share of their training images. α = 0.

    Args:
        train: number of images before the rare classes are thinned.
        kept: share of the images that a rare class keeps.
        channels: number of channels of the one convolution.
        weight_decay: λ, part of the inner loss.
    """
    full, balanced, test = digits(train, val, 1797 - train - val, seed=seed, dtype=dtype)
    rare = tuple(range(5, CLASSES))
    few = _thinned(full, rare, kept)
    with torch.random.fork_rng(devices=[]):  # modules draw their weights from the global state
        torch.manual_seed(seed)
        module = nn.Sequential(
            nn.Conv2d(1, channels, 3, padding=1),
            nn.Tanh(),
            nn.AvgPool2d(2),
            nn.Flatten(),
            nn.Linear(16 * channels, CLASSES),
        ).to(dtype)

    def inner(net: BoundModule, a: Tensor) -> Tensor:
        losses = F.cross_entropy(net(_as_images(few.images)), few.labels, reduction="none")
        decay = Vector.of(net.params).dot(Vector.of(net.params))
        return (torch.exp(a)[few.labels] * losses).mean() + 0.5 * weight_decay * decay

    def outer(net: BoundModule, a: Tensor) -> Tensor:
        return F.cross_entropy(net(_as_images(balanced.images)), balanced.labels)

    problem, params, alpha = BilevelProblem.from_module(
        module, inner, outer, hyperparams=torch.zeros(CLASSES, dtype=dtype)
    )
    omega = {name: parameter.detach() for name, parameter in params.items()}
    return LossWeights(problem, omega, alpha, module, test, rare)


def _as_images(rows: Tensor) -> Tensor:
    return rows.view(-1, 1, 8, 8)


def _thinned(examples: Examples, rare: tuple[int, ...], kept: float) -> Examples:
    keep = torch.ones(len(examples), dtype=torch.bool)
    for label in rare:
        places = (examples.labels == label).nonzero()[:, 0]
        keep[places[max(1, round(kept * len(places))) :]] = False
    return Examples(examples.images[keep], examples.labels[keep])
