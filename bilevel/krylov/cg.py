"""Conjugate gradients on Hq = v as a sequence of iterates; the caller decides when to stop.

Vectors are flat here, `Vector.flat()`: a model of many tensors then costs no more operations an
iteration than one of a single tensor.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.linalg import vector_norm

from bilevel.lost import refuse_lost
from bilevel.problem import finite_curvature

Product = Callable[[Tensor], Tensor]
"""x ↦ Hx."""
Preconditioner = Callable[[Tensor], Tensor]
"""r ↦ M⁻¹r, for a symmetric positive definite M that resembles H."""


class Iterate(NamedTuple):
    """One iterate.

    Attributes:
        value: q.
        residual: ‖v − Hq‖, by the recurrence.
        remainder: v − Hq itself, by the same recurrence.
        products: Hessian products spent so far.
        lowest: the smallest Rayleigh quotient pᵀHp/pᵀp of the directions so far.
        highest: the largest.
    """

    value: Float[Tensor, " n"]
    residual: float
    remainder: Float[Tensor, " n"]
    products: int
    lowest: float
    highest: float

    @property
    def indefinite(self) -> bool:
        """Whether a direction with pᵀHp ≤ 0 was met; this is then the iterate from before it."""
        return self.lowest <= 0


def conjugate_gradient(
    product: Product,
    v: Float[Tensor, " n"],
    start: Float[Tensor, " n"] | None = None,
    precondition: Preconditioner | None = None,
) -> Iterator[Iterate]:
    """Hestenes & Stiefel 1952: iterate k minimises the error in the norm of H ≻ 0.

    Yields the starting point, then one iterate a product. Ends by itself at the working
    precision, and on a direction of curvature ≤ 0, with the iterate from before it.
    """
    products = 0 if start is None else 1
    q = torch.zeros_like(v) if start is None else start
    r = v if start is None else v - product(start)
    negligible = torch.finfo(v.dtype).eps * float(vector_norm(v))
    lowest, highest = math.inf, -math.inf
    p, before = None, 0.0
    while True:
        z = r if precondition is None else precondition(r)
        energy = float(r.dot(z))
        residual = math.sqrt(energy) if z is r else float(vector_norm(r))
        # the iterate is handed out after it has moved: what converged is what is returned
        yield Iterate(q, residual, r, products, lowest, highest)
        if residual <= negligible:
            return
        p = z if p is None else z.add(p, alpha=energy / before)
        image = product(p)
        products += 1
        curvature = finite_curvature(float(p.dot(image)))
        length = float(p.dot(p))
        refuse_lost(length, "the square of a direction of conjugate gradients", v.dtype)
        quotient = curvature / length
        lowest, highest = min(lowest, quotient), max(highest, quotient)
        if curvature <= 0:
            yield Iterate(q, residual, r, products, lowest, highest)
            return
        step, before = energy / curvature, energy
        refuse_lost(step, "a step of conjugate gradients", v.dtype)
        q, r = q.add(p, alpha=step), r.sub(image, alpha=step)
