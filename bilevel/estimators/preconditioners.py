"""Preconditioners for `ConjugateGradient`: an M that resembles H and is cheap to invert."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from bilevel.arguments import check_count, check_not_negative, check_positive
from bilevel.krylov.cg import Preconditioner
from bilevel.krylov.nystrom import nystrom
from bilevel.linear import LinearOperator


class Precondition(ABC):
    """A way to build M⁻¹ ≻ 0 from products with H."""

    @abstractmethod
    def __call__(self, hessian: LinearOperator) -> tuple[Preconditioner, int]:
        """The map r ↦ M⁻¹r, and the Hessian products spent on it."""


@dataclass(frozen=True)
class DiagonalPreconditioner(Precondition):
    """M = diag(H), estimated by z ∘ Hz over random signs z (Bekas, Kokiopoulou & Saad 2007).

    Exact for a diagonal H with one probe. Each entry is kept above `floor` times the estimated
    length of H's row, which bounds it, so that M ≻ 0 whatever the noise.

    Args:
        probes: number of products to spend.
        floor: smallest entry, in units of the row's length.
        seed: seed of the signs.
    """

    probes: int = 10
    floor: float = 0.05
    seed: int = 0

    def __post_init__(self) -> None:
        check_count(self, probes=self.probes)
        check_positive(self, floor=self.floor)

    def __call__(self, hessian: LinearOperator) -> tuple[Preconditioner, int]:
        generator = torch.Generator().manual_seed(self.seed)
        prototype = hessian.domain.leaves[0]
        shape = (self.probes, hessian.domain.numel)
        draws = torch.randint(2, shape, generator=generator, device=generator.device)
        signs = 2 * draws.to(prototype) - 1
        images = hessian.many(signs)
        length = images.square().mean(0).sqrt()
        entries = torch.maximum((signs * images).mean(0), self.floor * length)
        entries = entries.clamp_min(torch.finfo(entries.dtype).tiny)
        return lambda r: r / entries, self.probes


@dataclass(frozen=True)
class NystromPreconditioner(Precondition):
    """M = U(Λ + ρI)Uᵀ/(λ_r + ρ) + (I − UUᵀ) (Frangella, Tropp & Udell 2023).

    Levels the r largest eigenvalues with the rest. Pays where H has a few large eigenvalues and
    the same H is solved with to high accuracy: r products are spent before the first iteration.

    Args:
        rank: r.
        damping: ρ ≥ 0: the curvature that H is known to have everywhere, such as weight decay.
        seed: seed of the random directions.
    """

    rank: int = 20
    damping: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        check_count(self, rank=self.rank)
        check_not_negative(self, damping=self.damping)

    def __call__(self, hessian: LinearOperator) -> tuple[Preconditioner, int]:
        low = nystrom(hessian, self.rank, self.seed)
        if len(low.eigenvalues) == 0:  # no positive curvature: nothing to level
            return lambda r: r, low.products
        smallest = float(low.eigenvalues[-1])
        levelled = (smallest + self.damping) / (low.eigenvalues + self.damping) - 1

        def apply(r: Tensor) -> Tensor:
            return low.apply(levelled, 1.0, r)

        return apply, low.products
