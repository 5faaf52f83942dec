"""Krylov iterations on Hq = v as sequences of iterates: who consumes them says when to stop."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from bilevel.linear import LinearOperator
from bilevel.problem import NonFiniteError
from bilevel.spectrum import Tridiagonal
from bilevel.vector import Vector

Preconditioner = Callable[[Vector], Vector]
"""r ↦ M⁻¹r, for a symmetric positive definite M that resembles H."""


@dataclass(frozen=True)
class Iterate:
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

    value: Vector
    residual: float
    products: int
    lowest: float = math.inf
    highest: float = -math.inf
    sketch: Tridiagonal | None = None
    remainder: Vector | None = None

    @property
    def indefinite(self) -> bool:
        """A direction with pᵀHp ≤ 0 was met: this is the last iterate, from before it."""
        return self.lowest <= 0


def plus(y: Vector, scale: float, x: Vector) -> Vector:
    """y + scale·x in one pass, without a temporary."""
    return Vector(tuple(torch._foreach_add(y.leaves, x.leaves, alpha=scale)), y.treespec)


def conjugate_gradient(
    operator: LinearOperator,
    slope: Vector,
    start: Vector | None = None,
    precondition: Preconditioner | None = None,
) -> Iterator[Iterate]:
    """Hestenes & Stiefel 1952: iterate k minimises the error in the norm of H ≻ 0.

    Yields the starting point, then one iterate a product. Ends by itself at the working
    precision, and on a direction of curvature ≤ 0, with the iterate from before it.
    """
    products = 0 if start is None else 1
    q = slope.zeros_like() if start is None else start
    r = slope if start is None else slope - operator @ start
    negligible = torch.finfo(slope.dtype).eps * float(slope.norm())
    z = r if precondition is None else precondition(r)
    p, energy = z, float(r.dot(z))
    latest = Iterate(q, float(r.norm()), products, remainder=r)
    yield latest
    while latest.residual > negligible:
        image = operator @ p
        products += 1
        curvature = _finite(float(p.dot(image)))
        quotient = curvature / float(p.dot(p))
        lowest, highest = min(latest.lowest, quotient), max(latest.highest, quotient)
        if curvature <= 0:
            yield Iterate(q, latest.residual, products, lowest, highest, remainder=r)
            return
        step = energy / curvature
        q, r = plus(q, step, p), plus(r, -step, image)
        # the iterate is handed out after it has moved: what converged is what is returned
        latest = Iterate(q, float(r.norm()), products, lowest, highest, remainder=r)
        yield latest
        z = r if precondition is None else precondition(r)
        before, energy = energy, float(r.dot(z))
        p = plus(z, energy / before, p)


def minres(
    operator: LinearOperator, slope: Vector, start: Vector | None = None
) -> Iterator[Iterate]:
    """Paige & Saunders 1975: iterate k minimises ‖v − Hq‖, for any symmetric H.

    Lanczos on H, and a QR factorisation of its T̲ by one rotation a step. Yields the starting
    point, then one iterate a product. Ends by itself where the Krylov space is exhausted.
    """
    products = 0 if start is None else 1
    q = slope.zeros_like() if start is None else start
    r = slope if start is None else slope - operator @ start
    beta = phi = float(r.norm())
    yield Iterate(q, phi, products)
    negligible = torch.finfo(slope.dtype).eps * float(slope.norm())
    if phi <= negligible:
        return
    current, before = r / beta, r.zeros_like()
    direction = older = r.zeros_like()
    cosine, sine, older_cosine, older_sine = 1.0, 0.0, 1.0, 0.0
    beta = 0.0
    diagonal: list[float] = []
    below: list[float] = []
    lowest, highest = math.inf, -math.inf
    scale, eps = 0.0, torch.finfo(slope.dtype).eps
    while True:
        image = operator @ current
        products += 1
        alpha = _finite(float(current.dot(image)))
        image = plus(plus(image, -beta, before), -alpha, current)
        following = float(image.norm())
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
        older, direction = (
            direction,
            plus(plus(current, -top, older), -above, direction) / pivot,
        )
        q = plus(q, cosine * phi, direction)
        phi = -sine * phi
        sketch = Tridiagonal(tuple(diagonal), tuple(below))
        yield Iterate(q, abs(phi), products, lowest, highest, sketch)
        if following <= eps * scale or abs(phi) <= negligible:
            return
        before, current, beta = current, image / following, following


def _finite(number: float) -> float:
    if not math.isfinite(number):
        raise NonFiniteError(
            f"a Hessian product gave curvature {number}. A square root, norm or logarithm in the "
            "inner loss has no finite second derivative at this point."
        )
    return number
