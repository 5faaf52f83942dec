"""A task: the loss of a network's outputs, their measures, and the form of labels."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Measure:
    """A number that networks are compared by.

    Attributes:
        name: its name in records, after the split's name: "test_accuracy_percent".
        words: its name in sentences.
        unit: its unit; empty where it has none, or that of the labels.
        higher_is_better: whether larger numbers are better.
    """

    name: str
    words: str
    unit: str = ""
    higher_is_better: bool = True

    def better(self, value: float) -> float:
        """A number that is larger where the measure is better, to sort by."""
        return value if self.higher_is_better else -value


@dataclass(frozen=True)
class Task(ABC):
    """The task of a network. Its head is linear, one output a class, label or number."""

    name: ClassVar[str]
    measure: ClassVar[Measure]
    """The first of its measures: networks are compared by it."""

    @abstractmethod
    def loss(self, outputs: Float[Tensor, "b outputs"], labels: Tensor) -> Tensor:
        """The mean loss of a batch, of a search: it has second derivatives in every mode.

        Half precision is widened to float32.

        Args:
            outputs: outputs of the network.
            labels: labels in the form that `require` accepts.
        """

    def training_loss(self, outputs: Tensor, labels: Tensor, label_smoothing: float) -> Tensor:
        """The mean loss of a batch, of a retraining."""
        return self.loss(outputs, labels)

    @abstractmethod
    def sums(self, outputs: Tensor, labels: Tensor) -> Float[Tensor, " k"]:
        """Sums over a batch that the measures follow from: float64, the sum of losses first."""

    @abstractmethod
    def measures(self, sums: Sequence[float], images: int) -> dict[str, float]:
        """All measures by name, of `sums` over so many images."""

    @abstractmethod
    def require(self, labels: Tensor, outputs: int) -> None:
        """Raise ValueError unless labels [n ...] fit the task with so many outputs."""

    def require_part(self, labels: Tensor) -> None:
        """Raise ValueError if networks could not be evaluated on a split with these labels."""
        return

    def require_smoothing(self, label_smoothing: float) -> None:
        """Raise ValueError if labels cannot be smoothed, and are to be."""
        if label_smoothing:
            raise ValueError(
                f"--retrain.label-smoothing {label_smoothing:g} with the task {self.name}: it "
                "spreads a class's label over the other classes. Leave it out."
            )

    def to_dict(self) -> dict[str, Any]:
        """As records hold it."""
        return {"name": self.name, **asdict(self)}


def widened(outputs: Tensor) -> Tensor:
    """In float32 if they are in half precision, else as they are."""
    return outputs.to(torch.promote_types(outputs.dtype, torch.float32))
