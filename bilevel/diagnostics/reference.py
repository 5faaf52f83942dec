"""The truth that estimates are measured against: a dense solve, or an iterative one to rounding."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import torch

from bilevel.estimators import Estimator, Hypergradient
from bilevel.estimators.exact import Exact, NoMinimumError
from bilevel.estimators.minres import Minres
from bilevel.problem import BilevelProblem
from bilevel.vector import Tree, Vector

LARGEST_DENSE = 2000
ITERATIONS = 2000


@dataclass(frozen=True)
class Summary:
    """A reference without its vectors."""

    description: str
    residual: float | None


@dataclass(frozen=True)
class Reference:
    """The best g₁ and g₂ that could be computed.

    Attributes:
        description: the method and its precision, in words.
        residual: ‖v − Hq‖/‖v‖ of its solve; errors much below cond(H) times it mean nothing.
        direct: g₁.
        implicit: g₂.
    """

    description: str
    residual: float | None
    direct: Vector
    implicit: Vector

    @property
    def total(self) -> Vector:
        """g₁ + g₂."""
        return self.direct + self.implicit

    def summary(self) -> Summary:
        return Summary(self.description, self.residual)


def refuse_other_references(asked: object, alpha: Vector) -> None:
    """Raise if what was asked for can be no reference.

    Raises:
        TypeError: it is neither an estimator nor a hypergradient.
        ValueError: it is a hypergradient of another α.
    """
    if asked is None or isinstance(asked, Estimator):
        return
    if not isinstance(asked, Hypergradient):
        raise TypeError(
            f"compare(reference=...) is a {type(asked).__name__}; it takes an estimator, such as "
            "Exact(), or what one returned. For a vector of your own pass "
            "Hypergradient(direct, implicit, outer_loss), both terms in the structure of α."
        )
    for name, term in (("direct", asked.direct), ("implicit", asked.implicit)):
        found = Vector.of(term)
        if not alpha.fits(found):
            raise ValueError(
                f"compare(reference=...): its {name} term has {found.shapes()}, and α has "
                f"{alpha.shapes()}. Pass one that was taken at this α."
            )


def reference_for(
    problem: BilevelProblem,
    omega: Vector,
    alpha: Vector,
    asked: Estimator | Hypergradient | None,
) -> Reference:
    """The reference that was asked for, or the best that the size allows.

    Raises:
        ValueError: the estimator asked for raised one.
    """
    point: tuple[BilevelProblem, Tree, Tree] = problem, omega.tree(), alpha.tree()
    if isinstance(asked, Hypergradient):
        return _reference("as given", asked)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the description says what they would
        if asked is not None:
            return _reference(type(asked).__name__, asked(*point))
        indefinite = ""
        if omega.numel <= LARGEST_DENSE:
            try:
                return _reference("Exact", Exact()(*point))
            except NoMinimumError:
                indefinite = ", as H is not positive definite"
        # MINRES and not CG: its residual bounds the error whatever the signs of the spectrum
        tolerance = max(1e-12, 10 * torch.finfo(omega.dtype).eps)
        solved = Minres(iterations=ITERATIONS, tolerance=tolerance)(*point)
        return _reference(f"MINRES{indefinite}", solved)


def _reference(name: str, found: Hypergradient) -> Reference:
    residual = None if found.solve is None else found.solve.residual
    how_well = "" if residual is None else f", residual {residual:.1g}"
    return Reference(name + how_well, residual, Vector.of(found.direct), Vector.of(found.implicit))
