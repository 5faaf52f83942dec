"""Where estimates point at one moment of a search, beside references on a large batch."""

from __future__ import annotations

import math
import statistics
import warnings
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
import torch
from scipy.linalg import eigh_tridiagonal

from benchmarks.experiments.record import short
from bilevel import BilevelProblem, Vector
from bilevel.derivatives import Autograd
from bilevel.diagnostics import angle, relative_error, stationarity
from bilevel.estimators import Certified, ConjugateGradient, Estimator, Minres
from bilevel.estimators.alerts import HypergradientWarning
from bilevel.estimators.results import Hypergradient, Status
from bilevel.krylov.lanczos import Tridiagonal, lanczos_steps
from darts.data.batches import Batch
from darts.training.searching import Searching

BATCHES = 4
"""Pairs of the search's own batches, looked at one by one; together they are the large pair."""
LANCZOS = 20
"""Products that the ends of the spectrum and its negative share come from."""
ITERATIONS = 60
"""Most products of a reference."""
TOLERANCE = 1e-3
"""Relative residual of a reference at which it is good enough: what is read has two digits."""
CERTIFIED_ERROR = 1e-2
"""The same of a certified reference, as a bound on its g₂'s own relative error."""
DAMPED, UNDAMPED = "damped", "undamped"
REFERENCES = (DAMPED, UNDAMPED)


def measured(
    searching: Searching,
    after: int,
    estimators: Mapping[str, Estimator],
    exact_twin: Mapping[str, str],
) -> dict[str, Any]:
    """All numbers of one moment as JSON; nothing of the search is changed.

    Costs some 100 products on the large batch and some 50 on each small one.

    Args:
        searching: after whole epochs.
        after: how many; the batches are those that come next.
        estimators: by name, as the search would use them.
        exact_twin: of estimators that take differences, the name of that with exact products.
    """
    pairs = [searching.batches.at(after, step) for step in range(BATCHES)]
    problems = [searching.problem(after, step) for step in range(BATCHES)]
    train, val = (_joined([pair[side] for pair in pairs]) for side in (0, 1))
    large = searching.adapter.problem(train, val, 0, alpha=searching.alpha)
    omega, alpha = (Vector.of(x).detach() for x in (searching.omega, searching.alpha))
    point = omega.tree(), alpha.tree()
    named = {
        name: estimator.following(searching.inner, searching.omega, clip=searching.config.clip)
        for name, estimator in estimators.items()
    }
    with warnings.catch_warnings():  # what they would say is among the numbers
        warnings.simplefilter("ignore", HypergradientWarning)
        sketch = spectrum_of(large, omega, alpha)
        references, solves = references_at(large, point, float(sketch.ritz_values()[0]))
        on_large = {name: each(large, *point) for name, each in named.items()}
        on_small = {name: [each(p, *point) for p in problems] for name, each in named.items()}
    still = stationarity(large, *point)
    return {
        "images": len(train.labels),
        "inner_gradient_norm": short(still.inner_gradient_norm),
        "slope_norm": short(still.outer_gradient_norm),
        "lowest_ritz_value": short(float(sketch.ritz_values()[0])),
        "highest_ritz_value": short(float(sketch.ritz_values()[-1])),
        "negative_share": short(negative_share(sketch)),
        "direct_norm": short(float(Vector.of(references[DAMPED].direct).norm())),
        "references": solves,
        "estimators": {
            name: {
                reference: beside(
                    on_large[name],
                    on_small[name],
                    on_small[exact_twin[name]] if name in exact_twin else None,
                    references[reference],
                )
                for reference in REFERENCES
            }
            for name in named
        },
    }


def _joined(batches: Sequence[Batch]) -> Batch:
    return Batch(*(torch.cat(parts) for parts in zip(*batches, strict=True)))


def spectrum_of(problem: BilevelProblem, omega: Vector, alpha: Vector) -> Tridiagonal:
    """A sketch of H's spectrum by `LANCZOS` products from a random vector."""
    hessian = Autograd()(problem, omega, alpha).hessian
    *_, sketch = islice(lanczos_steps(hessian, 0), LANCZOS)
    return sketch


def negative_share(sketch: Tridiagonal) -> float:
    """Of the sum of |λ| over all eigenvalues of H, the part that negative ones have.

    By Gauss's quadrature from a random start (Golub & Meurant 2010): a Ritz value weighs as much
    as the squared first component of its vector.
    """
    values, vectors = eigh_tridiagonal(sketch.diagonal, sketch.below[: len(sketch.diagonal) - 1])
    masses = vectors[0] ** 2 * np.abs(values)
    return float(masses[values < 0].sum() / masses.sum())


def references_at(
    problem: BilevelProblem, point: tuple[Any, Any], lowest: float
) -> tuple[dict[str, Hypergradient], dict[str, Any]]:
    """The hypergradients that estimates are measured against, and how well they are known.

    Undamped: where no Ritz value is negative the certified estimator, else MINRES. Damped: CG on
    H + ρI, with ρ twice the size of the lowest Ritz value, and doubled until CG meets no negative
    curvature.
    """
    damping = 2 * max(-lowest, 0.0)
    while True:
        damped = ConjugateGradient(ITERATIONS, damping=damping, tolerance=TOLERANCE)(
            problem, *point
        )
        assert damped.solve is not None
        if damped.solve.status is not Status.NEGATIVE_CURVATURE:
            break
        damping = 2 * damping or 1e-3 * abs(damped.solve.curvature or 1.0)
    certified = lowest > 0
    solver = (
        Certified(relative_error=CERTIFIED_ERROR, products=10 * ITERATIONS)
        if certified
        else Minres(ITERATIONS, tolerance=TOLERANCE)
    )
    undamped = solver(problem, *point)
    assert undamped.solve is not None
    found = {DAMPED: damped, UNDAMPED: undamped}
    solves = {
        name: {
            "by": "conjugate gradients"
            if name == DAMPED
            else ("certified" if certified else "MINRES"),
            "damping": short(damping) if name == DAMPED else 0.0,
            "converged": each.solve.status is Status.CONVERGED,
            "residual": short(each.solve.residual),
            "products": each.solve.products,
            "implicit_norm": short(float(Vector.of(each.implicit).norm())),
        }
        for name, each in found.items()
        if each.solve is not None
    }
    return found, solves


def beside(
    large: Hypergradient,
    small: Sequence[Hypergradient],
    exact: Sequence[Hypergradient] | None,
    reference: Hypergradient,
) -> dict[str, Any]:
    """An estimator beside a reference; errors in units of the reference's ‖g₂‖.

    Attributes of the result:
        cosine, error: of its g₂ on the large batch; error is the bias of the estimator.
        total_cosine, total_error: of g₁ + g₂ there, against the reference's total.
        batch_cosines, batch_total_cosines: of what it says on each small batch.
        noise: root mean square distance of the small batches' terms from their mean.
        shift: distance of that mean from the term on the large batch.
        kink: of differences, root mean square distance from exact products on the same batch.
    """
    truth = Vector.of(reference.implicit)
    length = float(truth.norm())
    terms = [Vector.of(each.implicit) for each in small]
    mean = sum(terms[1:], terms[0]) / len(terms)
    kink = None
    if exact is not None:
        gaps = [a - Vector.of(b.implicit) for a, b in zip(terms, exact, strict=True)]
        kink = short(math.sqrt(statistics.fmean(float(g.norm()) ** 2 for g in gaps)) / length)
    spread = sum(float((term - mean).norm()) ** 2 for term in terms) / (len(terms) - 1)
    return {
        "cosine": short(cosine(large.implicit, reference.implicit)),
        "error": short(relative_error(large.implicit, reference.implicit)),
        "total_cosine": short(cosine(large.total, reference.total)),
        "total_error": short(relative_error(large.total, reference.total)),
        "batch_cosines": [short(cosine(each.implicit, reference.implicit)) for each in small],
        "batch_total_cosines": [short(cosine(each.total, reference.total)) for each in small],
        "noise": short(math.sqrt(spread) / length),
        "shift": short(float((mean - Vector.of(large.implicit)).norm()) / length),
        "kink": kink,
    }


def cosine(first: Any, second: Any) -> float | None:
    """None where one of the two is zero: it points nowhere."""
    if min(float(Vector.of(each).norm()) for each in (first, second)) == 0:
        return None
    return math.cos(math.radians(angle(first, second)))
