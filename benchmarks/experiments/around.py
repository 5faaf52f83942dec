"""Estimators that are made of another one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import torch

from bilevel.estimators import Estimator
from bilevel.vector import Tree


@dataclass(frozen=True)
class Around(Estimator):
    """An estimator that follows the optimiser of ω as the one within it does.

    Args:
        inner: the one within.
    """

    inner: Estimator

    def following(
        self, optimizer: torch.optim.Optimizer, omega: Tree, *, clip: float | None = None
    ) -> Self:
        return replace(self, inner=self.inner.following(optimizer, omega, clip=clip))
