"""Loss and measures of a network over a set of images."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from darts.data import Batch
from darts.data.seeds import derive_seed, seeded
from darts.parallel.ranks import ALONE, Ranks
from darts.tasks import CLASSIFICATION, Task


def same_draws(device: str) -> AbstractContextManager[None]:
    """A block in which a trained network that draws noise, in `robust-s4`, draws it as ever.

    So each evaluation of it, in batches of the same size, has the same answers.
    """
    return seeded(derive_seed(0, "evaluation of a network"), device)


class NonFiniteLossError(RuntimeError):
    """A run met a loss that is not finite; the state before it is in the last checkpoint."""


def ran_out_of_memory(error: BaseException) -> bool:
    """Whether an error is PyTorch's or Python's for memory that is not there, on any device."""
    if isinstance(error, MemoryError | torch.cuda.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


@dataclass(frozen=True)
class Evaluation:
    """Mean loss and measures over `images` images.

    Attributes:
        loss: mean of the task's loss; of a classification cross-entropy in nats.
        measures: numbers by their names in the task; of a classification accuracy_percent,
            and top5_percent with more than five classes.
        images: their number.
    """

    loss: float
    measures: Mapping[str, float]
    images: int

    @property
    def accuracy_percent(self) -> float:
        """Images whose class has the largest logit; of a classification alone."""
        return self.measures["accuracy_percent"]

    @property
    def top5_percent(self) -> float:
        """Images whose class is among the five likeliest; of more than five classes alone."""
        return self.measures["top5_percent"]

    def to_dict(self) -> dict[str, Any]:
        """As results hold it: "loss", every measure, "images"."""
        return {"loss": self.loss, **self.measures, "images": self.images}

    @staticmethod
    def from_dict(content: Mapping[str, Any]) -> "Evaluation":
        """The inverse of `to_dict`."""
        measures = dict(content)
        loss, images = measures.pop("loss"), measures.pop("images")
        return Evaluation(loss, measures, images)

    def to_record(self, prefix: str) -> dict[str, float]:
        """As an epoch's record holds it: "test_loss", "test_accuracy_percent", ..."""
        return {
            f"{prefix}_{key}": value for key, value in self.to_dict().items() if key != "images"
        }

    @staticmethod
    def from_record(record: Mapping[str, Any], prefix: str, images: int) -> "Evaluation":
        """The inverse of `to_record`."""
        start = f"{prefix}_"
        found = {key.removeprefix(start): record[key] for key in record if key.startswith(start)}
        return Evaluation.from_dict({**found, "images": images})


@torch.no_grad()
def evaluate(
    outputs: Callable[[Tensor], Tensor],
    batches: Iterable[Batch],
    ranks: Ranks = ALONE,
    task: Task = CLASSIFICATION,
) -> Evaluation:
    """Evaluate a network, already in evaluation mode, on batches not augmented.

    Processes that share an evaluation have batches of their own; all get the same answer.
    """
    total: Tensor | None = None  # a read for each batch would keep a GPU waiting
    count = 0
    for images, labels in batches:
        found = task.sums(outputs(images), labels)
        total = found if total is None else total + found
        count += len(labels)
    read = [] if total is None else total.tolist()
    # a process may be without a batch; the first one has the first
    length = ranks.from_first(lambda: len(read))
    *sums, counts = ranks.sums(*(read or [0.0] * length), count)
    return Evaluation(sums[0] / counts, task.measures(sums, int(counts)), int(counts))
