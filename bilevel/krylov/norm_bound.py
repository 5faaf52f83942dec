"""An upper bound on ‖B‖ from products with B and its transpose."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from bilevel.krylov.lanczos import random_vector
from bilevel.linear import LinearOperator
from bilevel.problem import NonFiniteError


@dataclass(frozen=True)
class NormBound:
    """An upper bound on ‖B‖. (Power iteration would give a lower one.)

    Attributes:
        value: the bound.
        gram: BBᵀ in float64, where it was formed; the bound is then exact.
        products: products with B or Bᵀ spent.
        assumes: the assumptions of the bound, in words.
    """

    value: float
    gram: Float[Tensor, "m m"] | None
    products: int
    assumes: tuple[str, ...] = ()


def norm_bound(
    operator: LinearOperator,
    *,
    largest_gram: int = 64,
    probes: int = 10,
    seed: int = 0,
    symbol: str = "B",
) -> NormBound:
    """Bound ‖B‖ from above, where B is any operator; `symbol` is its name in `assumes`.

    Up to `largest_gram` rows: BBᵀ from m products with Bᵀ, whose largest eigenvalue is ‖B‖². For
    more rows: random probes g of A, ‖B‖ ≤ (10 √(2/π) max ‖(BBᵀ)² g‖)^(1/4), which fails with
    probability at most 10^(−probes) (Halko, Martinsson & Tropp 2011, Lemma 4.1, applied to the
    power). About 2 times ‖B‖ where one singular value stands out, 4 times where 1000 are alike;
    4 · `probes` products.
    """
    m = operator.codomain.numel
    if m <= largest_gram:
        identity = torch.eye(m, dtype=operator.codomain.dtype, device=operator.codomain.device)
        rows = operator.T.many(identity).double()
        gram = rows @ rows.T
        _require_finite(float(gram.abs().sum()), symbol)
        top = max(float(torch.linalg.eigvalsh(gram)[-1]), 0.0)
        return NormBound(math.sqrt(top) * (1 + 1e-6), gram, m)
    generator = torch.Generator().manual_seed(seed)
    longest = 0.0
    for _ in range(probes):
        u = random_vector(operator.codomain, generator)
        scale = 1.0
        for _ in range(2):
            u = operator @ (operator.T @ u)
            length = float(u.norm())
            _require_finite(length, symbol)
            if length == 0:
                break
            scale, u = scale * length, u / length
        longest = max(longest, scale if length > 0 else 0.0)
    value = (10 * math.sqrt(2 / math.pi) * longest) ** 0.25
    chance = (
        f"‖{symbol}‖ ≤ {value:.4g}, by {probes} random probes, wrong with probability 1e-{probes}"
    )
    return NormBound(value, None, 4 * probes, (chance,))


def _require_finite(size: float, symbol: str) -> None:
    if not math.isfinite(size):
        raise NonFiniteError(
            f"a product with {symbol} has norm {size}. A square root, norm or logarithm in the "
            "inner loss has no finite second derivative at this point, or it is too large for "
            "its dtype."
        )
