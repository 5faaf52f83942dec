"""Loss and accuracy of a network over a set of images."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from darts.data import Batch
from darts.parallel.ranks import ALONE, Ranks


class NonFiniteLossError(RuntimeError):
    """A run met a loss that is not finite; the state before it is in the last checkpoint."""


def ran_out_of_memory(error: BaseException) -> bool:
    """Whether an error is PyTorch's or Python's for memory that is not there, on any device."""
    if isinstance(error, MemoryError | torch.cuda.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


TOP = 5
"""Answers a network has where the right one among them counts (ImageNet's second measure)."""


@dataclass(frozen=True)
class Evaluation:
    """Mean cross-entropy and shares of right answers over `images` images.

    Attributes:
        loss: mean cross-entropy in nats.
        accuracy_percent: images whose class has the largest logit (top-1).
        top5_percent: images whose class is among the five largest; 100 where there are no more.
        images: their number.
    """

    loss: float
    accuracy_percent: float
    top5_percent: float
    images: int

    def to_record(self, prefix: str) -> dict[str, float]:
        """As an epoch's record holds it: "test_loss", "test_accuracy_percent", ..."""
        return {f"{prefix}_{name}": getattr(self, name) for name in _RECORDED}

    @staticmethod
    def from_record(record: Mapping[str, Any], prefix: str, images: int) -> "Evaluation":
        """The inverse of `to_record`."""
        return Evaluation(**{name: record[f"{prefix}_{name}"] for name in _RECORDED}, images=images)


_RECORDED = ("loss", "accuracy_percent", "top5_percent")


@torch.no_grad()
def evaluate(
    logits: Callable[[Tensor], Tensor], batches: Iterable[Batch], ranks: Ranks = ALONE
) -> Evaluation:
    """Evaluate a network, already in evaluation mode, on batches not augmented.

    Processes that share an evaluation have batches of their own; all get the same answer.
    """
    total: Tensor | None = None  # a read for each batch would keep a GPU waiting
    count = 0
    for images, labels in batches:
        output = logits(images)
        found = torch.stack(
            [
                F.cross_entropy(output, labels, reduction="sum").double(),
                (output.argmax(dim=1) == labels).sum().double(),
                within_top(output, labels, TOP).sum().double(),
            ]
        )
        total = found if total is None else total + found
        count += len(labels)
    read = [0.0, 0.0, 0.0] if total is None else total.tolist()
    loss, rights, amongs, counts = ranks.sums(*read, count)
    return Evaluation(loss / counts, 100 * rights / counts, 100 * amongs / counts, int(counts))


def within_top(logits: Tensor, labels: Tensor, top: int) -> Tensor:
    """Which images have their class among the `top` largest logits, bool [b].

    Of equal logits the lower class comes first, as in `argmax`; one that is not a number comes
    before all others and is right for none. With no more than `top` classes every class is among
    them.

    Args:
        logits: [b classes].
        labels: [b], in [0, classes).
        top: how many.
    """
    own = logits.gather(1, labels[:, None])
    classes = torch.arange(logits.shape[1], device=logits.device)
    before = ~(logits <= own) | ((logits == own) & (classes < labels[:, None]))
    return before.sum(dim=1) < min(top, logits.shape[1])
