"""Loss and accuracy of a network over a set of images."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from darts.data import Batch


class NonFiniteLossError(RuntimeError):
    """A run met a loss that is not finite; the state before it is in the last checkpoint."""


def ran_out_of_memory(error: BaseException) -> bool:
    """Whether an error is PyTorch's or Python's for memory that is not there, on any device."""
    if isinstance(error, MemoryError | torch.cuda.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


@dataclass(frozen=True)
class Evaluation:
    """Mean cross-entropy and share of right answers over `images` images."""

    loss: float
    accuracy_percent: float
    images: int


@torch.no_grad()
def evaluate(logits: Callable[[Tensor], Tensor], batches: Iterable[Batch]) -> Evaluation:
    """Evaluate a network, already in evaluation mode, on batches not augmented."""
    loss, right, count = 0.0, 0, 0
    for images, labels in batches:
        output = logits(images)
        loss += float(F.cross_entropy(output, labels, reduction="sum"))
        right += int((output.argmax(dim=1) == labels).sum())
        count += len(labels)
    return Evaluation(loss / count, 100 * right / count, count)
