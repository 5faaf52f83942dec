"""Regression: one or several numbers for each image."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

from darts.tasks.task import Measure, Task, widened


@dataclass(frozen=True)
class Regression(Task):
    """Numbers for each image, labels float32 [n k] in their own units; squared error.

    A network's outputs are standardised: y = mean + sd · output. The loss is the mean of
    (output − (y − mean) / sd)² over images and numbers, so that rates of learning do not depend
    on units, and a network that always answers the mean has a loss near 1.

    Measures, each the plain average over the k numbers: mae, the mean absolute error, and rmse,
    the root of the mean squared error, both in the labels' own units; r2, the share of a number's
    variance that is explained: 1 at best, 0 for a network that always answers the mean. A number
    that never varies among the images evaluated counts 1 if it is met exactly, else 0.

    Args:
        mean: mean of each number over the training images.
        sd: standard deviation of each number there, above 0.

    Raises:
        ValueError: the two have unequal lengths or none, or a deviation is not positive.
    """

    name = "regression"
    measure = Measure("mae", "mean absolute error", higher_is_better=False)

    mean: tuple[float, ...]
    sd: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.mean or len(self.mean) != len(self.sd) or not all(x > 0 for x in self.sd):
            raise ValueError(
                f"Regression(mean={self.mean}, sd={self.sd}): give a mean and a positive standard "
                "deviation for every number. A number that never varies cannot be learnt."
            )

    @staticmethod
    def measured(labels: Float[Tensor, "n k"], names: Sequence[str] = ()) -> "Regression":
        """With the means and deviations of training labels.

        Raises:
            ValueError: one of the numbers is the same in all of them; it is named. Or labels are
                not finite.
        """
        _require_finite(labels)
        wide = labels.double()
        sd = wide.std(dim=0, correction=0).tolist()
        for index, deviation in enumerate(sd):
            if not deviation > 0:
                name = names[index] if names else f"number {index}"
                raise ValueError(
                    f"The label {name} is {float(labels[0, index]):g} in all {len(labels)} "
                    "training images: there is nothing to learn. Leave it out."
                )
        return Regression(tuple(wide.mean(dim=0).tolist()), tuple(sd))

    def loss(self, outputs: Float[Tensor, "b k"], labels: Float[Tensor, "b k"]) -> Tensor:
        """Mean squared error of standardised numbers."""
        wide = widened(outputs)
        return (wide - self._standardised(labels).to(wide.dtype)).square().mean()

    def sums(self, outputs: Tensor, labels: Tensor) -> Float[Tensor, " k"]:
        truth = self._standardised(labels)
        errors = outputs.double() - truth
        rows = (errors.abs(), errors.square(), truth, truth.square())
        loss = errors.square().mean(dim=1).sum()[None]
        return torch.cat([loss, *(row.sum(dim=0) for row in rows)])

    def measures(self, sums: Sequence[float], images: int) -> dict[str, float]:
        k = len(self.sd)
        absolute, squared, total, squares = (sums[1 + k * i : 1 + k * (i + 1)] for i in range(4))
        shares = []
        for error, first, second in zip(squared, total, squares, strict=True):
            spread = second - first * first / images
            # rounding of the two sums, each of at most `images` terms
            if spread <= 4 * images * torch.finfo(torch.float64).eps * second:
                shares.append(1.0 if error == 0 else 0.0)
            else:
                shares.append(1 - error / spread)
        pairs = list(zip(absolute, squared, self.sd, strict=True))
        return {
            "mae": sum(sd * error / images for error, _, sd in pairs) / k,
            "rmse": sum(sd * (error / images) ** 0.5 for _, error, sd in pairs) / k,
            "r2": sum(shares) / k,
        }

    def require(self, labels: Tensor, outputs: int) -> None:
        if labels.ndim != 2 or labels.dtype != torch.float32 or labels.shape[1] != outputs:
            raise ValueError(
                f"A regression of {outputs} numbers needs float32 labels of shape "
                f"[{len(labels)}, {outputs}]; found {labels.dtype} of shape {list(labels.shape)}."
            )
        if outputs != len(self.mean):
            raise ValueError(
                f"The regression has means for {len(self.mean)} numbers, the labels {outputs}."
            )
        _require_finite(labels)

    def _standardised(self, labels: Tensor) -> Tensor:
        """In float64: labels far from 0 keep their differences."""
        mean, sd = (_row(x, labels.device) for x in (self.mean, self.sd))
        return (labels.double() - mean) / sd


MOST_ROUNDING = 1e-3
"""Of a label on its way to float32, as a share of the labels' deviation."""


def as_float32(labels: Float[Tensor, "n k"], names: Sequence[str]) -> Tensor:
    """Numbers in float64 as the float32 that training takes; those that are not finite stay so.

    Raises:
        ValueError: labels that differ would become alike, or lie beyond float32's.
    """
    rounded = labels.float()
    worst = (rounded.double() - labels).abs().amax(dim=0)
    spread = labels.std(dim=0, correction=0)
    largest = labels.abs().amax(dim=0)
    for index, (off, deviation) in enumerate(zip(worst.tolist(), spread.tolist(), strict=True)):
        if off == float("inf") or off > MOST_ROUNDING * deviation > 0:
            name = names[index] if index < len(names) else f"number {index}"
            raise ValueError(
                f"The label {name} has values up to {float(largest[index]):.12g}, with the "
                f"deviation {deviation:.4g}; in float32, in which training has them, they are "
                f"up to {off:.4g} off. Subtract one number from all of them, or divide them by one."
            )
    return rounded


def _require_finite(labels: Tensor) -> None:
    unfit = ~torch.isfinite(labels).all(dim=1)
    if bool(unfit.any()):
        raise ValueError(
            f"{int(unfit.sum())} of {len(labels)} labels are not finite, number "
            f"{int(unfit.nonzero()[0])} first. Leave these images out."
        )


@lru_cache(maxsize=16)
def _row(values: tuple[float, ...], device: torch.device) -> Tensor:
    """Sent to a device once, not for every batch."""
    return torch.tensor(values, dtype=torch.float64, device=device)
