"""Classification: one class an image."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from darts.tasks.task import Measure, Task, widened

TOP = 5
"""Answers a network has where the right one among them counts (ImageNet's second measure)."""


@dataclass(frozen=True)
class Classification(Task):
    """One of several classes, labels int64 [n]; cross-entropy.

    Measures: accuracy_percent, images whose class has the largest output; with more than five
    classes top5_percent too, images whose class is among the five largest.
    """

    name = "classification"
    measure = Measure("accuracy_percent", "accuracy", " %")

    def loss(self, outputs: Float[Tensor, "b classes"], labels: Int[Tensor, " b"]) -> Tensor:
        """Mean cross-entropy in nats.

        F.cross_entropy would not do: its forward mode writes in place.
        """
        logits = widened(outputs)
        centred = logits - logits.detach().amax(1, keepdim=True)
        chosen = centred.gather(1, labels[:, None]).squeeze(1)
        return (centred.exp().sum(1).log() - chosen).mean()

    def training_loss(self, outputs: Tensor, labels: Tensor, label_smoothing: float) -> Tensor:
        """With a share of each target spread over all classes, its own among them."""
        return F.cross_entropy(widened(outputs), labels, label_smoothing=label_smoothing)

    def sums(self, outputs: Tensor, labels: Tensor) -> Float[Tensor, " k"]:
        found = [
            F.cross_entropy(outputs, labels, reduction="sum"),
            (outputs.argmax(dim=1) == labels).sum(),
        ]
        if outputs.shape[1] > TOP:
            found.append(within_top(outputs, labels, TOP).sum())
        return torch.stack([one.double() for one in found])

    def measures(self, sums: Sequence[float], images: int) -> dict[str, float]:
        _, *counts = sums
        names = ("accuracy_percent", "top5_percent")
        return {name: 100 * n / images for name, n in zip(names, counts, strict=False)}

    def require(self, labels: Tensor, outputs: int) -> None:
        if labels.ndim != 1 or labels.dtype != torch.int64:
            raise ValueError(
                f"A classification needs one int64 label an image, shape [{len(labels)}]; found "
                f"{labels.dtype} of shape {list(labels.shape)}."
            )
        lowest, highest = int(labels.min()), int(labels.max())
        if lowest < 0 or highest >= outputs:
            raise ValueError(
                f"Labels must lie in 0…{outputs - 1} for {outputs} classes; found "
                f"{lowest}…{highest}."
            )

    def require_smoothing(self, label_smoothing: float) -> None:
        """Any share will do."""


CLASSIFICATION = Classification()


def within_top(logits: Tensor, labels: Tensor, top: int) -> Tensor:
    """Which images have their class among the `top` largest logits, bool [b].

    Of equal logits the lower class comes first, as in `argmax`; one that is not a number comes
    before all others and is right for none. With no more than `top` classes every class is among
    them.

    Args:
        logits: [b classes].
        labels: [b], in [0, classes).
        top: number of the largest logits that count.
    """
    own = logits.gather(1, labels[:, None])
    classes = torch.arange(logits.shape[1], device=logits.device)
    before = ~(logits <= own) | ((logits == own) & (classes < labels[:, None]))
    return before.sum(dim=1) < min(top, logits.shape[1])
