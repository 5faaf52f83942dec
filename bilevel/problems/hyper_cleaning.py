"""Data hyper-cleaning: learn a weight per training example when a share of the labels is wrong."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from bilevel.problem import BilevelProblem
from bilevel.problems.digits import CLASSES, PIXELS, Examples, digits, with_wrong_labels
from bilevel.problems.ready import ReadyProblem
from bilevel.vector import Tree, Vector


@dataclass(frozen=True)
class HyperCleaning(ReadyProblem):
    """F = mean of σ(αᵢ)·cross-entropyᵢ + ½λ‖ω‖², G = mean cross-entropy on clean images.

    G does not involve α, so g₁ = 0 and first-order estimates learn nothing.

    Attributes:
        train: the images with the labels that are trained on.
        val: clean ones.
        test: clean ones that neither loss sees.
        wrong: 1 where a training label was replaced.
    """

    train: Examples
    val: Examples
    test: Examples
    wrong: Int[Tensor, " count"]

    def detection(self, weights: Float[Tensor, " count"]) -> float:
        """AUC: the chance that a right label has a larger α than a wrong one."""
        from sklearn.metrics import roc_auc_score

        return float(roc_auc_score(1 - self.wrong.numpy(), weights.detach().numpy()))

    def accuracy_percent(self, omega: Tree, examples: Examples) -> float:
        """The share of the images that ω classifies as labelled."""
        guess = _logits(omega, examples.images).argmax(dim=1)
        return 100 * float((guess == examples.labels).double().mean())


def hyper_cleaning(
    *,
    train: int = 500,
    val: int = 500,
    share_wrong: float = 0.3,
    hidden: int | None = None,
    weight_decay: float = 1e-2,
    seed: int = 0,
    dtype: torch.dtype = torch.float64,
) -> HyperCleaning:
    """On digits. The point is α = 0 (all weights ½) and an ω that is not trained yet.

    Args:
        train: number of images with a weight each.
        val: number of clean images that α is learned on; the rest is for the test.
        share_wrong: share of the training labels that are replaced.
        hidden: width of a tanh layer; None for softmax regression, whose H is positive definite.
        weight_decay: λ, part of the inner loss.
    """
    dirty, clean, test = digits(train, val, 1797 - train - val, seed=seed, dtype=dtype)
    noisy, wrong = with_wrong_labels(dirty, share_wrong, seed=seed)

    def inner(w: Tree, a: Tensor) -> Tensor:
        losses = F.cross_entropy(_logits(w, noisy.images), noisy.labels, reduction="none")
        decay = Vector.of(w).dot(Vector.of(w))
        return (torch.sigmoid(a) * losses).mean() + 0.5 * weight_decay * decay

    def outer(w: Tree, a: Tensor) -> Tensor:
        return F.cross_entropy(_logits(w, clean.images), clean.labels)

    generator = torch.Generator().manual_seed(seed)
    omega = _weights(hidden, generator, dtype)
    alpha = torch.zeros(train, dtype=dtype)
    return HyperCleaning(BilevelProblem(inner, outer), omega, alpha, noisy, clean, test, wrong)


def mlp_cleaning(*, seed: int = 0, dtype: torch.dtype = torch.float64) -> HyperCleaning:
    """The benchmark's: a 64-16-10 tanh network (1,210 weights), 500 training images, λ = 5·10⁻³."""
    return hyper_cleaning(hidden=16, weight_decay=5e-3, seed=seed, dtype=dtype)


def _weights(hidden: int | None, generator: torch.Generator, dtype: torch.dtype) -> Tree:
    def normal(rows: int, columns: int) -> Tensor:
        draw = torch.randn(rows, columns, generator=generator, dtype=torch.float64)
        return (draw / math.sqrt(rows)).to(dtype)

    if hidden is None:
        shapes = {"weight": (PIXELS, CLASSES), "bias": (CLASSES,)}
        return {name: torch.zeros(shape, dtype=dtype) for name, shape in shapes.items()}
    return {
        "hidden_weight": normal(PIXELS, hidden),
        "hidden_bias": torch.zeros(hidden, dtype=dtype),
        "weight": normal(hidden, CLASSES),
        "bias": torch.zeros(CLASSES, dtype=dtype),
    }


def _logits(w: Tree, x: Tensor) -> Tensor:
    if "hidden_weight" in w:
        x = torch.tanh(x @ w["hidden_weight"] + w["hidden_bias"])
    logits: Tensor = x @ w["weight"] + w["bias"]
    return logits
