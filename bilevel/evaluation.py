"""One evaluation of a loss, which must not write to ω or α."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn.utils import parametrize

from bilevel.changed_gradients import hooks_watched
from bilevel.losses import Loss
from bilevel.reentrant import none_without_gradients
from bilevel.scope import gradient_changes_noted, refuse_written, versions
from bilevel.unsupported import Explaining
from bilevel.vector import Vector


def evaluated(loss: Loss, omega: Vector, alpha: Vector) -> Any:
    """The value of the loss at (ω, α).

    A loss that takes a derivative in ω or α itself is evaluated again with both tracked, if they
    were not and it failed for that.

    Raises:
        ValueError: the loss wrote to ω or α.
    """
    before = versions((omega, alpha))
    try:
        value = _called(loss, omega, alpha)
    except RuntimeError as error:
        known = all(leaf.requires_grad for leaf in (*omega.leaves, *alpha.leaves))
        if known or re.search(r"requires?[_ ]grad", str(error)) is None:
            raise
        with torch.enable_grad():
            value = _called(loss, *map(_tracked_too, (omega, alpha)))
    refuse_written(before, ω=omega, α=alpha)
    return value


def _called(loss: Loss, omega: Vector, alpha: Vector) -> Any:
    with (
        Explaining(loss=True),
        _parametrizations_computed_afresh(),
        none_without_gradients(),
        hooks_watched(gradient_changes_noted(), (*omega.leaves, *alpha.leaves)),
    ):
        return loss(omega.tree(), alpha.tree())


@contextmanager
def _parametrizations_computed_afresh() -> Iterator[None]:
    """Within `parametrize.cached()`, what an evaluation has computed is not there for the next."""
    kept = parametrize._cache
    parametrize._cache = {}
    try:
        yield
    finally:
        parametrize._cache = kept


def _tracked_too(point: Vector) -> Vector:
    leaves = (  # views, which keep the tangents of forward mode
        leaf if leaf.requires_grad else leaf.view_as(leaf).requires_grad_() for leaf in point.leaves
    )
    return Vector(tuple(leaves), point.treespec)
