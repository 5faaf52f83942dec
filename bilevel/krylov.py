"""Krylov iterations on Hq = v as sequences of iterates: who consumes them says when to stop.

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

from bilevel.problem import finite_curvature
from bilevel.spectrum import Tridiagonal

Product = Callable[[Tensor], Tensor]
"""x ↦ Hx."""
Preconditioner = Callable[[Tensor], Tensor]
"""r ↦ M⁻¹r, for a symmetric positive definite M that resembles H."""


class Iterate(NamedTuple):
    """One iterate of a Krylov method.

    Attributes:
        value: q.
        residual: ‖v − Hq‖, by the method's recurrence.
        products: Hessian products spent so far.
        lowest: the smallest Rayleigh quotient pᵀHp/pᵀp of the directions so far.
        highest: the largest.
        sketch: T̲ of the Lanczos process behind it; None for CG.
        remainder: v − Hq itself, by the same recurrence; None for MINRES.
    """

    value: Float[Tensor, " n"]
    residual: float
    products: int
    lowest: float = math.inf
    highest: float = -math.inf
    sketch: Tridiagonal | None = None
    remainder: Float[Tensor, " n"] | None = None

    @property
    def indefinite(self) -> bool:
        """A direction with pᵀHp ≤ 0 was met: this is the last iterate, from before it."""
        return self.lowest <= 0


def conjugate_gradient(
    product: Product,
    slope: Float[Tensor, " n"],
    start: Float[Tensor, " n"] | None = None,
    precondition: Preconditioner | None = None,
) -> Iterator[Iterate]:
    """Hestenes & Stiefel 1952: iterate k minimises the error in the norm of H ≻ 0.

    Yields the starting point, then one iterate a product. Ends by itself at the working
    precision, and on a direction of curvature ≤ 0, with the iterate from before it.
    """
    products = 0 if start is None else 1
    q = torch.zeros_like(slope) if start is None else start
    r = slope if start is None else slope - product(start)
    negligible = torch.finfo(slope.dtype).eps * float(vector_norm(slope))
    lowest, highest = math.inf, -math.inf
    p, before = None, 0.0
    while True:
        z = r if precondition is None else precondition(r)
        energy = float(r.dot(z))
        residual = math.sqrt(energy) if z is r else float(vector_norm(r))
        # the iterate is handed out after it has moved: what converged is what is returned
        yield Iterate(q, residual, products, lowest, highest, remainder=r)
        if residual <= negligible:
            return
        p = z if p is None else z.add(p, alpha=energy / before)
        image = product(p)
        products += 1
        curvature = finite_curvature(float(p.dot(image)))
        quotient = curvature / float(p.dot(p))
        lowest, highest = min(lowest, quotient), max(highest, quotient)
        if curvature <= 0:
            yield Iterate(q, residual, products, lowest, highest, remainder=r)
            return
        step, before = energy / curvature, energy
        q, r = q.add(p, alpha=step), r.sub(image, alpha=step)


def minres(
    product: Product, slope: Float[Tensor, " n"], start: Float[Tensor, " n"] | None = None
) -> Iterator[Iterate]:
    """Paige & Saunders 1975: iterate k minimises ‖v − Hq‖, for any symmetric H.

    Lanczos on H, and a QR factorisation of its T̲ by one rotation a step. Yields the starting
    point, then one iterate a product. Ends by itself where the Krylov space is exhausted.
    """
    products = 0 if start is None else 1
    q = torch.zeros_like(slope) if start is None else start
    r = slope if start is None else slope - product(start)
    beta = phi = float(vector_norm(r))
    yield Iterate(q, phi, products)
    negligible = torch.finfo(slope.dtype).eps * float(vector_norm(slope))
    if phi <= negligible:
        return
    current, before = r / beta, torch.zeros_like(r)
    direction = older = torch.zeros_like(r)
    cosine, sine, older_cosine, older_sine = 1.0, 0.0, 1.0, 0.0
    beta = 0.0
    diagonal: list[float] = []
    below: list[float] = []
    lowest, highest = math.inf, -math.inf
    scale, eps = 0.0, torch.finfo(slope.dtype).eps
    while True:
        image = product(current)
        products += 1
        alpha = finite_curvature(float(current.dot(image)))
        image = image.sub(before, alpha=beta).sub_(current, alpha=alpha)
        following = float(vector_norm(image))
        diagonal.append(alpha)
        below.append(following)
        scale = max(scale, abs(alpha), following)
        lowest, highest = min(lowest, alpha), max(highest, alpha)
        # the new column of T̲ under the two rotations before, then the one that clears `following`
        corner = cosine * alpha - older_cosine * sine * beta
        above, top = sine * alpha + older_cosine * cosine * beta, older_sine * beta
        pivot = math.hypot(corner, following)
        if pivot <= eps * scale:  # H is singular on the Krylov space, which holds no better iterate
            return
        older_cosine, older_sine = cosine, sine
        cosine, sine = corner / pivot, following / pivot
        new = current.sub(older, alpha=top).sub_(direction, alpha=above).div_(pivot)
        older, direction = direction, new
        q = q.add(direction, alpha=cosine * phi)
        phi = -sine * phi
        sketch = Tridiagonal(tuple(diagonal), tuple(below))
        yield Iterate(q, abs(phi), products, lowest, highest, sketch)
        if following <= eps * scale or abs(phi) <= negligible:
            return
        before, current, beta = current, image / following, following
