"""The view that a callback of `solve` has of a step: a record, and copies of ω and α."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bilevel.alternation import Step
from bilevel.vector import Tree, Vector


@dataclass(frozen=True)
class StepRecord:
    """The numbers that are kept of a step.

    Attributes:
        number: the step's number, from 0.
        outer_loss, inner_loss, inner_gradient_norm: as in `Step`.
        direct_norm, implicit_norm, total_norm: of g₁, the estimate of g₂, and their sum.
        products: Hessian products spent on q; None for estimators without a q.
        residual: ‖v − Hq‖/‖v‖, where the method knows it.
        status: how the solve for q ended, by name.
    """

    number: int
    outer_loss: float
    inner_loss: float
    inner_gradient_norm: float
    direct_norm: float
    implicit_norm: float
    total_norm: float
    products: int | None
    residual: float | None
    status: str | None

    @staticmethod
    def of(number: int, step: Step) -> StepRecord:
        hypergradient, solve = step.hypergradient, step.hypergradient.solve
        direct, implicit, total = (
            float(Vector.of(term).norm())
            for term in (hypergradient.direct, hypergradient.implicit, hypergradient.total)
        )
        return StepRecord(
            number,
            step.outer_loss,
            step.inner_loss,
            step.inner_gradient_norm,
            direct,
            implicit,
            total,
            None if solve is None else solve.products,
            None if solve is None else solve.residual,
            None if solve is None else solve.status.name,
        )


@dataclass(frozen=True)
class Progress:
    """The argument of a callback after each step: its record, and copies of ω and α."""

    record: StepRecord
    omega: Tree
    alpha: Tree


class Shown:
    """The point of a solve as callbacks see it. A callback that writes to it is refused, for
    writing there moves nothing.

    Args:
        omega, alpha: the solve's own point.
        passed: the caller's own trees, of which the solve has copies.
    """

    def __init__(self, omega: Vector, alpha: Vector, *, passed: tuple[Tree, Tree]) -> None:
        self.own = {"omega": omega, "alpha": alpha}
        leaves = [leaf for tree in passed for leaf in Vector.of(tree).leaves]
        # tensors of inference mode do not count their versions
        self.passed = [(leaf, leaf._version) for leaf in leaves if not leaf.is_inference()]

    def to(self, callback: Callable[[Progress], None], progress: Progress) -> None:
        """Call the callback, and look whether it wrote to what it was shown.

        Raises:
            ValueError: the callback wrote to a copy, or to a tensor that the caller had passed.
        """
        callback(progress)
        name = name_of_function(callback)
        remedy = "To keep α in a set give solve(constraint=...), such as constraints.Box(0, 1)."
        for symbol, own in self.own.items():
            if not _equal_bits(Vector.of(getattr(progress, symbol)), own):
                raise ValueError(
                    f"the callback {name} wrote to Progress.{symbol}, which is a copy: nothing in "
                    f"the solve moves by that. {remedy}"
                )
        if any(leaf._version != version for leaf, version in self.passed):
            raise ValueError(
                f"the callback {name} wrote to a tensor that solve was given, which it copied: "
                f"nothing in the solve moves by that. {remedy}"
            )


def name_of_function(function: Any) -> str:
    """The qualified name of a function, or its repr without the address; "None" for None."""
    return str(getattr(function, "__qualname__", None) or repr(function).split(" at 0x")[0])


def _equal_bits(shown: Vector, own: Vector) -> bool:
    """Whether a callback left its copy as it was, NaN included."""
    return shown.treespec == own.treespec and all(
        a.shape == b.shape and bool(((a == b) | (a.isnan() & b.isnan())).all())
        for a, b in zip(shown.leaves, own.leaves, strict=True)
    )
