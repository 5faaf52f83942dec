"""A DARTS mixture as a plain problem: which operation should each edge of a small network have?"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from bilevel.problem import BilevelProblem
from bilevel.problems.digits import CLASSES, PIXELS, digits
from bilevel.problems.ready import ReadyProblem
from bilevel.vector import Tree, Vector

OPERATIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "none": lambda x, w: 0 * x,
    "skip": lambda x, w: x,
    "linear": lambda x, w: x @ w,
    "tanh": lambda x, w: torch.tanh(x @ w),
}


@dataclass(frozen=True)
class Mixture(ReadyProblem):
    """x ↦ Σ_o softmax(α_e)_o · o(x) on every edge e of a chain; both losses involve α (Eq. 1).

    Here g₁ is not zero, as in architecture search; F has weight decay, and α is not penalised.
    """

    def operations(self, alpha: Tensor) -> tuple[str, ...]:
        """The strongest operation of each edge."""
        names = list(OPERATIONS)
        return tuple(names[int(row.argmax())] for row in alpha)


def mixture(
    *,
    edges: int = 2,
    width: int = 12,
    train: int = 400,
    val: int = 400,
    weight_decay: float = 1e-2,
    seed: int = 0,
    dtype: torch.dtype = torch.float64,
) -> Mixture:
    """On digits: a linear stem to `width` features, `edges` mixed edges, a linear classifier."""
    first, second = digits(train, val, seed=seed, dtype=dtype)
    generator = torch.Generator().manual_seed(seed)

    def normal(rows: int, columns: int) -> Tensor:
        draw = torch.randn(rows, columns, generator=generator, dtype=torch.float64)
        return (draw / math.sqrt(rows)).to(dtype)

    weighted = ("linear", "tanh")
    omega = {
        "stem": normal(PIXELS, width),
        "edges": [{name: normal(width, width) for name in weighted} for _ in range(edges)],
        "classifier": normal(width, CLASSES),
    }

    def logits(w: Tree, a: Tensor, x: Tensor) -> Tensor:
        x = x @ w["stem"]
        for weights, row in zip(w["edges"], torch.softmax(a, dim=1), strict=True):
            mixed = [
                share * operation(x, weights[name] if name in weighted else x)
                for share, (name, operation) in zip(row, OPERATIONS.items(), strict=True)
            ]
            x = torch.stack(mixed).sum(dim=0)
        result: Tensor = x @ w["classifier"]
        return result

    def inner(w: Tree, a: Tensor) -> Tensor:
        decay = Vector.of(w).dot(Vector.of(w))
        return (
            F.cross_entropy(logits(w, a, first.images), first.labels) + 0.5 * weight_decay * decay
        )

    def outer(w: Tree, a: Tensor) -> Tensor:
        return F.cross_entropy(logits(w, a, second.images), second.labels)

    alpha = 1e-3 * torch.randn(edges, len(OPERATIONS), generator=generator, dtype=torch.float64)
    return Mixture(BilevelProblem(inner, outer), omega, alpha.to(dtype))
