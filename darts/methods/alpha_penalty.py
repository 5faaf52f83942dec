"""Penalties on α alone, as a term of L_val: β-DARTS's decay, FairDARTS's zero-one loss."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor


class AlphaPenalty(ABC):
    """A term λ · P(α) of L_val. L_train does not have it.

    P sees neither images nor ω, so that every estimator finds the term in the direct term g₁, and
    in no curvature product. The largest eigenvalue of ∇²_αα L_val that a stopping rule reads
    leaves it out.

    Attributes:
        independent: of weights that each hang on one α alone; else of the softmax. A search has
            it only with a mixing that makes such weights.
    """

    independent: ClassVar[bool] = False

    @abstractmethod
    def weight(self, progress: float) -> float:
        """λ of an epoch that begins `progress` in [0, 1) of the way through the search."""

    @abstractmethod
    def value(self, logits: Float[Tensor, "edges operations"]) -> Tensor:
        """P.

        Args:
            logits: α of all edges of all kinds of cells, with −∞ where an edge does not have the
                operation.
        """


@dataclass(frozen=True)
class BetaDecay(AlphaPenalty):
    """β-DARTS (Ye et al. 2022): P = mean over the edges of log Σ_o exp(α_o); λ grows from 0.

    The gradient of P on an edge is softmax(α)/(number of edges): it adds up to the same on every
    edge, and an operation's α is lowered by its mixing weight, so that large weights decay. λ is
    `most` times the share of the search's epochs that are done, hence 0 in the first; a search in
    stages starts anew with each. It costs one logsumexp of α, nothing beside a gradient of L_val.

    Their code has α of one kind of cell. Here the mean is over the edges of all kinds together.

    Args:
        most: λ at the end, approached linearly, epoch by epoch. Their code has 50 in NAS-Bench-201,
            at 100 epochs, and no value for other spaces that it would run with.

    Raises:
        ValueError: `most` is not positive and finite.
    """

    most: float = 50.0

    def __post_init__(self) -> None:
        if not 0 < self.most < float("inf"):
            raise ValueError(
                f"BetaDecay(most={self.most}): the weight of the penalty at the end must be "
                "positive, finite. Leave the penalty out to have none."
            )

    def weight(self, progress: float) -> float:
        return self.most * progress

    def value(self, logits: Float[Tensor, "edges operations"]) -> Tensor:
        return torch.logsumexp(logits, dim=-1).mean()


@dataclass(frozen=True)
class ZeroOne(AlphaPenalty):
    """FairDARTS (Chu et al. 2020, Eq. 4): P = −mean of (σ(α) − 1/2)², over all operations.

    The gradient for an α is −2 (σ − 1/2) σ (1 − σ)/n, with n the number of all operations of all
    edges: it pushes σ away from 1/2, to 0 or to 1, and vanishes at all three. So the cell that is
    read off the supernet differs less from it. It costs one sigmoid of α, nothing beside a
    gradient of L_val.

    That every σ gets there is not guaranteed: the weight decay of α pulls to σ = 1/2, and L_val
    may do so too.

    Args:
        factor: w, the same in all epochs (theirs on CIFAR-10: 10).

    Raises:
        ValueError: `factor` is not positive and finite.
    """

    factor: float = 10.0
    independent: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not 0 < self.factor < float("inf"):
            raise ValueError(
                f"ZeroOne(factor={self.factor}): the weight of the loss must be positive, finite. "
                "Leave it out to have none."
            )

    def weight(self, progress: float) -> float:
        return self.factor

    def value(self, logits: Float[Tensor, "edges operations"]) -> Tensor:
        present = torch.isfinite(logits)
        squares = (torch.sigmoid(logits) - 0.5).square()
        return -squares.masked_fill(~present, 0.0).sum() / present.sum()
