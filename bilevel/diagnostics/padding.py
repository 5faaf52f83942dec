"""Rows of embeddings that stand for padding: they are used, and are constants by design."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bilevel.diagnostics.agreement import (
    STEPS,
    Direction,
    gaussian,
    gradient_agreement,
    sized_norm,
)
from bilevel.diagnostics.check_report import Finding
from bilevel.problem import BilevelProblem, NonFiniteError
from bilevel.unsupported import nodes
from bilevel.vector import Vector

Rows = tuple[tuple[int, int], ...]
"""Leaves of ω by their place, and a row of each."""
MOVED = 1e-6
"""Of the whole change of a gradient, what is more than rounding in the rows of padding."""


def padding_rows(value: Tensor, at: Vector) -> Rows:
    """The rows of ω that `embedding(padding_idx=...)` gives no gradient, in a loss's graph."""
    places = {id(leaf): place for place, leaf in enumerate(at.leaves)}
    found: set[tuple[int, int]] = set()
    for name, node in nodes([value]):
        row = getattr(node, "_saved_padding_idx", None) if name == "Embedding" else None
        if row is None or row >= node._saved_weight_sym_argsize_0:  # none is 2⁶⁴ − 1
            continue
        leaf = getattr(node.next_functions[0][0], "variable", None)
        if leaf is not None and id(leaf) in places:
            found.add((places[id(leaf)], row))
    return tuple(sorted(found))


@dataclass(frozen=True)
class Padding:
    """The findings, and the number of values of L_train that they took."""

    findings: list[Finding]
    values: int = 0


def padding_that_counts(
    problem: BilevelProblem,
    omega: Vector,
    alpha: Vector,
    direction: Direction,
    generator: torch.Generator,
) -> Padding:
    """What to say of rows of padding on which L_train depends: one gradient and four values.

    Where it does, four more values and two more gradients; nothing where there are no such rows.
    A row is a constant where the embedding is all that reads it, or a decay moves it: H and B are
    those of the other weights. Where the loss takes a gradient in it elsewhere, training follows
    the gradient of no function.

    Args:
        direction: a random one, 0 in the rows.
    """
    if not direction.padding:
        return Padding([])
    try:
        return _looked(problem, omega, alpha, direction, generator)
    except NonFiniteError:  # a loss that has no value beside such a row
        return Padding([])


def _looked(
    problem: BilevelProblem,
    omega: Vector,
    alpha: Vector,
    direction: Direction,
    generator: torch.Generator,
) -> Padding:
    drawn, along = gaussian(omega, generator, direction.sizes), omega.zeros_like()
    for place, row in direction.padding:
        along.leaves[place][row] = drawn.leaves[place][row]
    omega = omega + along  # rows of padding begin at 0, where a loss may have no slope
    _, gradient, _ = problem.inner_gradients(omega, alpha)
    slope, scale = float(gradient.dot(along)), sized_norm(gradient, direction.sizes)
    for number, step in enumerate(STEPS[:2], start=1):
        sides = (step, -step, step / 2, -step / 2)
        values = [problem.inner_value(omega + side * along, alpha).item() for side in sides]
        eps = torch.finfo(omega.dtype).eps
        if not gradient_agreement(values, slope, scale, step, eps).wrong:
            return Padding([], 4 * number)
    near, far = (omega + side * direction.v for side in (STEPS[0], -STEPS[0]))
    change = problem.inner_gradients(near, alpha)[1] - problem.inner_gradients(far, alpha)[1]
    names = omega.names()
    findings = [
        _finding(
            f"ω{names[place]}",
            row,
            trained=bool(change.leaves[place][row].norm() > MOVED * change.norm()),
        )
        for place, row in direction.padding
    ]
    return Padding(findings, 8)


def _finding(where: str, row: int, *, trained: bool) -> Finding:
    first = f"its row {row} is the padding of an embedding, and L_train depends on it. "
    if trained:
        return Finding(
            where,
            f"{first}PyTorch gives the row no gradient there, and another use of it does (a tied "
            "output layer, a penalty): what training follows is the gradient of no function, and "
            "H is not symmetric. Build the embedding without padding_idx, and mask what is not to "
            "count.",
        )
    return Finding(
        where,
        f"{first}PyTorch gives the row no gradient, so that training, H and B take it for a "
        "constant, and so does this check. Build the embedding without padding_idx if the row is "
        "to be trained.",
        wrong=False,
    )
