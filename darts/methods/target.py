"""Targets for the cost of the network found, multiply-adds or a latency, as a term of L_val."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor


@dataclass(frozen=True)
class Target(ABC):
    """How the cost of the network joins the loss that α lowers.

    Cost is in millions of multiply-adds; in milliseconds where the search has a latency table. It
    is that of the network to be retrained, not of the supernet. It does not depend on ω, so that
    estimators find it in the direct term g₁, and in no curvature product.

    Attributes:
        drawn: the expected cost is taken under the weights of the step, chance included; else
            under the mixing weights of the candidates, divided by their sum.
    """

    drawn: ClassVar[bool] = False

    @abstractmethod
    def loss(self, loss: Tensor, expected: Tensor, found: Tensor) -> Tensor:
        """L_val with the term.

        Args:
            loss: the loss of the validation batch.
            expected: the expected cost, a function of α.
            found: the cost of the genotype that α stands for now; it has no gradient.
        """


@dataclass(frozen=True)
class CostWeight(Target):
    """L_val + weight · E[cost]: the latency loss of ProxylessNAS (Cai et al. 2019, Eq. 8).

    Args:
        weight: per million multiply-adds, or per millisecond.
    """

    weight: float

    def __post_init__(self) -> None:
        _require_positive(self, "weight", self.weight)

    def loss(self, loss: Tensor, expected: Tensor, found: Tensor) -> Tensor:
        return loss + self.weight * expected


@dataclass(frozen=True)
class CostLimit(Target):
    """L_val + strength · max(0, cost/most − 1), the larger of the expected and the found cost.

    The gradient is that of the expected cost. So α moves to cheaper operations as long as either
    exceeds the limit, and by the data alone below it. That a search ends below it is not
    guaranteed: a run says whether it did.

    Args:
        most: millions of multiply-adds, or milliseconds.
        strength: what twice the limit costs, in units of the loss.
    """

    most: float
    strength: float = 10.0

    def __post_init__(self) -> None:
        _require_positive(self, "most", self.most)
        _require_positive(self, "strength", self.strength)

    def loss(self, loss: Tensor, expected: Tensor, found: Tensor) -> Tensor:
        larger = expected + (found - expected).detach().relu()
        return loss + self.strength * (larger / self.most - 1).relu()


@dataclass(frozen=True)
class CostProduct(Target):
    """L_val · scale · log(E[cost])^exponent (FBNet, Wu et al. 2019, Eq. 2), by the step's weights.

    The cost under the logarithm is in thousands: of multiply-adds, or microseconds, so that it is
    above 1.

    Args:
        scale: α of the paper.
        exponent: β of the paper.
    """

    scale: float = 0.2
    exponent: float = 0.6
    drawn: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _require_positive(self, "scale", self.scale)
        _require_positive(self, "exponent", self.exponent)

    def loss(self, loss: Tensor, expected: Tensor, found: Tensor) -> Tensor:
        # below two thousand the logarithm's power would be steep, and below one not real
        thousands = (1000 * expected).clamp(min=2.0)
        return loss * self.scale * thousands.log() ** self.exponent


def _require_positive(target: Target, name: str, value: float) -> None:
    if not 0 < value < float("inf"):
        raise ValueError(f"{type(target).__name__}({name}={value}): it must be positive, finite.")
