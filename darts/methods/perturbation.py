"""SDARTS: ω learns at perturbed mixing weights, so that L_val is flat around the architecture."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

Weights = Mapping[str, Tensor]
"""Mixing weights by kind of cell, each row in the simplex."""


@dataclass(frozen=True)
class Perturbation(ABC):
    """SDARTS (Chen & Hsieh 2020, Eq. 2): L_train is taken at weights w + δ with ‖δ‖∞ ≤ ε.

    δ is added to the mixing weights, after the softmax as in their code, and each row is brought
    back into the simplex: clipped to [0, 1] and divided by its sum. It is drawn or found once a
    step, and L_val never sees it. ε grows linearly along the search.

    Args:
        start: ε at the beginning (their code: 0.03).
        end: ε at the end (their code: 0.3).
    """

    start: float = 0.03
    end: float = 0.3

    def __post_init__(self) -> None:
        if not 0 <= self.start <= self.end < 1:
            raise ValueError(
                f"{type(self).__name__}(start={self.start}, end={self.end}): perturbations are of "
                "weights between 0 and 1 and grow. Give 0 ≤ start ≤ end < 1."
            )

    def radius(self, progress: float) -> float:
        """ε, `progress` in [0, 1) of the way through the search."""
        return self.start + (self.end - self.start) * progress

    @abstractmethod
    def offsets(
        self,
        weights: Weights,
        loss: Callable[[Weights], Tensor],
        radius: float,
        generator: torch.Generator,
    ) -> dict[str, Tensor]:
        """δ for every kind of cell, |δ| ≤ radius, without gradient.

        Args:
            weights: the mixing weights at the beginning of the step.
            loss: L_train on this step's batch, a function of mixing weights.
            radius: ε.
            generator: of all that is random, on the CPU.
        """


@dataclass(frozen=True)
class RandomPerturbation(Perturbation):
    """SDARTS-RS: δ uniform in [−ε, ε], one draw a step: random smoothing. No further gradient."""

    def offsets(
        self,
        weights: Weights,
        loss: Callable[[Weights], Tensor],
        radius: float,
        generator: torch.Generator,
    ) -> dict[str, Tensor]:
        return {kind: _uniform(row, radius, generator) for kind, row in weights.items()}


@dataclass(frozen=True)
class AdversarialPerturbation(Perturbation):
    """SDARTS-ADV: δ by projected ascent of L_train from a random start: `steps` more gradients.

    Every step goes 2ε/steps along the sign of the gradient (their code).

    Args:
        steps: of ascent (their code: 7).
    """

    steps: int = 7

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.steps < 1:
            raise ValueError(
                f"AdversarialPerturbation(steps={self.steps}): it needs a step or more. Without "
                "any it is RandomPerturbation()."
            )

    def offsets(
        self,
        weights: Weights,
        loss: Callable[[Weights], Tensor],
        radius: float,
        generator: torch.Generator,
    ) -> dict[str, Tensor]:
        around = {kind: row.detach() for kind, row in weights.items()}
        delta = {kind: _uniform(row, radius, generator) for kind, row in around.items()}
        for _ in range(self.steps):
            point = {kind: row.requires_grad_() for kind, row in delta.items()}
            with torch.enable_grad():
                value = loss(perturbed(around, point))
                gradients = torch.autograd.grad(value, list(point.values()), materialize_grads=True)
            length = 2 * radius / self.steps
            delta = {
                kind: (row.detach() + length * gradient.sign()).clamp(-radius, radius)
                for (kind, row), gradient in zip(point.items(), gradients, strict=True)
            }
        return delta


def perturbed(weights: Weights, offsets: Weights) -> dict[str, Tensor]:
    """w + δ, each row clipped to [0, 1] and divided by its sum; weights of 0 stay 0."""
    moved = {
        kind: torch.where(row > 0, (row + offsets[kind]).clamp(0, 1), row)
        for kind, row in weights.items()
    }
    # a row whose every weight is clipped away keeps what it was
    return {
        kind: torch.where(
            row.sum(-1, keepdim=True) > 0,
            row / row.sum(-1, keepdim=True).clamp_min(1e-12),
            weights[kind],
        )
        for kind, row in moved.items()
    }


def _uniform(like: Tensor, radius: float, generator: torch.Generator) -> Tensor:
    drawn = torch.rand(like.shape, generator=generator, dtype=like.dtype)
    return ((2 * drawn - 1) * radius).to(like.device)
