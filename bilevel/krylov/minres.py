"""MINRES on Hq = v as a sequence of iterates on flat vectors; the caller decides when to stop."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.linalg import vector_norm

from bilevel.krylov.lanczos import Tridiagonal
from bilevel.lost import refuse_lost_curvature
from bilevel.problem import finite_curvature


class Iterate(NamedTuple):
    """One iterate.

    Attributes:
        value: q.
        residual: ‖v − Hq‖, by the recurrence.
        products: Hessian products spent so far.
        sketch: T̲ of the Lanczos process behind it; None at the starting point.
    """

    value: Float[Tensor, " n"]
    residual: float
    products: int
    sketch: Tridiagonal | None = None


def minres(
    product: Callable[[Tensor], Tensor],
    v: Float[Tensor, " n"],
    start: Float[Tensor, " n"] | None = None,
) -> Iterator[Iterate]:
    """Paige & Saunders 1975: iterate k minimises ‖v − Hq‖, for any symmetric H.

    Lanczos on H, and a QR factorisation of its T̲ by one rotation a step. Yields the starting
    point, then one iterate a product. Ends by itself where the Krylov space is exhausted.
    """
    products = 0 if start is None else 1
    q = torch.zeros_like(v) if start is None else start
    r = v if start is None else v - product(start)
    beta = phi = float(vector_norm(r))
    yield Iterate(q, phi, products)
    negligible = torch.finfo(v.dtype).eps * float(vector_norm(v))
    if phi <= negligible:
        return
    current, before = r / beta, torch.zeros_like(r)
    direction = older = torch.zeros_like(r)
    cosine, sine, older_cosine, older_sine = 1.0, 0.0, 1.0, 0.0
    beta = 0.0
    diagonal: list[float] = []
    below: list[float] = []
    scale, eps = 0.0, torch.finfo(v.dtype).eps
    while True:
        image = product(current)
        products += 1
        alpha = finite_curvature(float(current.dot(image)))
        image = image.sub(before, alpha=beta).sub_(current, alpha=alpha)
        following = float(vector_norm(image))
        diagonal.append(alpha)
        below.append(following)
        scale = max(scale, abs(alpha), following)
        refuse_lost_curvature(scale, v.numel(), v.dtype)
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
        yield Iterate(q, abs(phi), products, sketch)
        if following <= eps * scale or abs(phi) <= negligible:
            return
        before, current, beta = current, image / following, following
