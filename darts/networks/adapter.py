"""A supernet on two batches, as a bilevel problem: ω its parameters, α its architecture."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from bilevel.problem import BilevelProblem, BoundModule
from bilevel.vector import Tree
from darts.networks.architecture import Alpha, Architecture
from darts.networks.supernet import Supernet
from darts.spaces.normalization import BatchNorm

Batch = tuple[Float[Tensor, "_ _ _ _"], Int[Tensor, " _"]]
"""(images [b c h w], labels [b])"""


@dataclass(frozen=True)
class SupernetAdapter:
    """The losses of a supernet, functions of (ω, α).

    L_train(ω, α) = cross-entropy(train batch) + weight_decay/2 · ‖ω‖², because SGD with weight
    decay minimises that; the optimiser of ω then has none of its own. L_val(ω, α) =
    cross-entropy(val batch). Both are means over the batch, by its own batch-norm statistics.

    Args:
        supernet: evaluated in training mode; left in training mode.
        architecture: makes mixing weights of α.
        weight_decay: λ ≥ 0. The paper searches S1 with 3e-4.

    Raises:
        ValueError: the spaces differ, or the weight decay is negative.
    """

    supernet: Supernet
    architecture: Architecture
    weight_decay: float

    def __post_init__(self) -> None:
        if self.supernet.space != self.architecture.space:
            raise ValueError(
                f"the supernet is of space {self.supernet.space.name!r}, the architecture of "
                f"{self.architecture.space.name!r}. Make both of one space."
            )
        if not self.weight_decay >= 0:
            raise ValueError(f"weight_decay={self.weight_decay}: it must not be negative.")
        self.supernet.train()

    @property
    def omega(self) -> dict[str, Tensor]:
        """ω: the supernet's own parameters, not copies; an optimiser of them moves the supernet."""
        return dict(self.supernet.named_parameters())

    def problem(self, train: Batch, val: Batch, seed: int) -> BilevelProblem:
        """The problem of one step.

        Evaluations write nothing: parameters are replaced by ω, buffers by scratch copies, and
        every evaluation runs under the random state of `seed` and leaves the global one alone.
        """

        def inner(omega: Tree, alpha: Tree) -> Tensor:
            loss = self._cross_entropy(omega, alpha, train)
            if self.weight_decay == 0:
                return loss
            flat = torch.cat([leaf.flatten() for leaf in omega.values()])
            return loss + self.weight_decay / 2 * flat.square().sum()

        def outer(omega: Tree, alpha: Tree) -> Tensor:
            return self._cross_entropy(omega, alpha, val)

        self.supernet.train()
        return BilevelProblem(inner, outer).replaying(seed)

    def _cross_entropy(self, omega: Tree, alpha: Tree, batch: Batch) -> Tensor:
        images, labels = batch
        logits = BoundModule(self.supernet, omega)(images, self.architecture.mixing(alpha))
        return F.cross_entropy(logits, labels)

    @torch.no_grad()
    def update_statistics(self, batches: Iterable[Batch], alpha: Alpha) -> None:
        """Set the running statistics to the plain average over `batches`, at the current ω and α.

        The only thing here that writes buffers. Call it before `logits`, after ω or α moved.
        """
        norms = [module for module in self.supernet.modules() if isinstance(module, BatchNorm)]
        mixing = self.architecture.mixing(alpha)
        self.supernet.train()
        count = 0
        try:
            for count, (images, _) in enumerate(batches, start=1):
                for norm in norms:
                    if count == 1:
                        norm.reset_statistics()
                    norm.momentum = 1 / count  # a cumulative average
                self.supernet(images, mixing)
        finally:
            for norm in norms:
                norm.momentum = None
        if count == 0:
            raise ValueError(
                "update_statistics got no batches, so the statistics are as they were. Give at "
                "least one training batch."
            )

    @torch.no_grad()
    def logits(self, images: Float[Tensor, "b c h w"], alpha: Alpha) -> Float[Tensor, "b classes"]:
        """The supernet's answer in evaluation mode, by its running statistics."""
        self.supernet.eval()
        try:
            return cast(Tensor, self.supernet(images, self.architecture.mixing(alpha)))
        finally:
            self.supernet.train()
