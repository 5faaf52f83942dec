"""Multi-label classification: any number of labels an image."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from darts.tasks.task import Measure, Task, widened


@dataclass(frozen=True)
class MultiLabel(Task):
    """Yes or no for each of k labels, float32 [n k] of 0 and 1; binary cross-entropy.

    An output above 0 says yes. The loss is the mean over images and labels.

    Measures: f1_percent, the F₁ score of each label, 2tp / (2tp + fp + fn), averaged over the
    labels (macro); a label that is neither there nor said counts 0, as in scikit-learn.
    exact_percent, images with every label right. A network that always says no has f1_percent 0.
    """

    name = "multi-label"
    measure = Measure("f1_percent", "macro F1", " %")

    def loss(self, outputs: Float[Tensor, "b k"], labels: Float[Tensor, "b k"]) -> Tensor:
        """Mean binary cross-entropy in nats."""
        wide = widened(outputs)
        return (F.softplus(wide) - labels.to(wide.dtype) * wide).mean()

    def sums(self, outputs: Tensor, labels: Tensor) -> Float[Tensor, " k"]:
        said, there = outputs > 0, labels > 0.5
        each = F.binary_cross_entropy_with_logits(outputs, labels, reduction="none")
        head = [each.double().mean(dim=1).sum(), (said == there).all(dim=1).sum().double()]
        rows = (said & there, said & ~there, ~said & there)
        return torch.cat([torch.stack(head), *(row.sum(dim=0).double() for row in rows)])

    def measures(self, sums: Sequence[float], images: int) -> dict[str, float]:
        k = (len(sums) - 2) // 3
        right, wrong, missed = (sums[2 + k * i : 2 + k * (i + 1)] for i in range(3))
        scores = [
            2 * tp / (2 * tp + fp + fn) if tp else 0.0
            for tp, fp, fn in zip(right, wrong, missed, strict=True)
        ]
        return {"f1_percent": 100 * sum(scores) / k, "exact_percent": 100 * sums[1] / images}

    def require(self, labels: Tensor, outputs: int) -> None:
        if labels.ndim != 2 or labels.dtype != torch.float32 or labels.shape[1] != outputs:
            raise ValueError(
                f"{outputs} labels an image need float32 numbers of shape [{len(labels)}, "
                f"{outputs}]; found {labels.dtype} of shape {list(labels.shape)}."
            )
        if not bool(((labels == 0) | (labels == 1)).all()):
            raise ValueError(
                "Labels of a multi-label set are 0 and 1; found others. For numbers take the task "
                "regression."
            )

    def require_part(self, labels: Tensor) -> None:
        for index, count in enumerate(labels.sum(dim=0).tolist()):
            if count in (0, len(labels)):
                raise ValueError(
                    f"Label {index} is {'in none' if count == 0 else 'in every one'} of the "
                    f"{len(labels)} images of a split: nothing can be learnt or measured there. "
                    "Leave it out, or take more images."
                )
