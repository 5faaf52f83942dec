"""Leaves of ω or α that a loss reads past its arguments, from the caller's own tensors."""

from __future__ import annotations

import torch

from bilevel.diagnostics.check_report import Finding
from bilevel.point import expanded_axes
from bilevel.problem import BilevelProblem
from bilevel.vector import Vector


def read_past_arguments(
    problem: BilevelProblem, omega: Vector, alpha: Vector, **given: Vector
) -> list[Finding]:
    """The leaves that a loss takes from its scope, though they require no gradient.

    The losses are evaluated at copies, before and while the caller's own tensors are changed; they
    are put back bit by bit. Two values of each loss, and more where something is found.

    Args:
        problem: one whose losses give the same value twice.
        omega, alpha: copies of what the caller passed.
        given: by symbol, the tensors that were passed.
    """

    def values() -> tuple[object, ...]:
        try:
            return tuple(
                loss(omega, alpha).item() for loss in (problem.inner_value, problem.outer_value)
            )
        except Exception as error:  # a loss cannot bear what it should not have read
            return (str(error),)

    def moves(leaves: list[torch.Tensor]) -> bool:
        kept = [leaf.clone() for leaf in leaves]
        try:
            for leaf in leaves:
                _write(leaf, leaf + 0.1 * (1 + leaf.abs()))
            return values() != before
        finally:
            for leaf, own in zip(leaves, kept, strict=True):
                _write(leaf, own)

    with torch.no_grad():
        before = values()
        # through .data, so that graphs of the caller's do not take it for a change
        own = {symbol: [leaf.data for leaf in point.leaves] for symbol, point in given.items()}
        if not moves([leaf for leaves in own.values() for leaf in leaves]):
            return []
        return [
            _finding(symbol, name)
            for symbol, point in given.items()
            for leaf, name in zip(own[symbol], point.names(), strict=True)
            if moves([leaf])
        ]


def _write(leaf: torch.Tensor, numbers: torch.Tensor) -> None:
    """Put numbers into a leaf, also one that is expanded, or was made in inference mode."""
    for axis in expanded_axes(leaf):
        leaf, numbers = leaf.narrow(axis, 0, 1), numbers.narrow(axis, 0, 1)
    with torch.inference_mode(leaf.is_inference()):
        leaf.copy_(numbers)


def _finding(symbol: str, name: str) -> Finding:
    return Finding(
        f"{symbol}{name}",
        "a loss reads it from the enclosing scope too, past its argument, and no derivative sees "
        "that. Compute the losses from the arguments; where a constant is meant, such as the "
        "centre of a penalty, give them a clone().",
        wrong=symbol == "α",
    )
