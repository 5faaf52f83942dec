"""The arguments of a loss: (ω, α), or (ω, α, batch)."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import optree
from torch import Tensor

from bilevel.vector import Tree

Loss = Callable[..., Tensor]
"""(ω, α) ↦ a scalar, or (ω, α, batch) ↦ a scalar; it gets the structures that the caller passed."""


@dataclass(frozen=True, eq=False)
class OnBatch:
    """A loss of (ω, α, batch) on one batch, which is anything that the loss can read."""

    loss: Loss
    batch: Any

    def __call__(self, omega: Tree, alpha: Tree) -> Tensor:
        """The loss on the batch.

        Raises:
            ValueError: it wrote to a tensor of the batch.
        """
        before = self._versions()
        value = self.loss(omega, alpha, self.batch)
        if self._versions() != before:
            raise ValueError(
                "a loss wrote to its batch in place (x.sub_(...), x += ..., x[...] = ...), so that "
                "its next evaluation is another function. Compute a new tensor from it instead."
            )
        return value

    def _versions(self) -> list[int]:
        """How often tensors of the batch have been written to."""
        return [
            leaf._version
            for leaf in optree.tree_leaves(self.batch)
            if isinstance(leaf, Tensor) and not leaf.is_inference()
        ]


def takes_batch(loss: Loss) -> bool:
    """Whether the loss needs a batch; False for one whose third argument has a default."""
    return not _accepts(loss, 2)


def refuse_other_arguments(which: str, loss: Loss, first: str = "omega") -> None:
    """Raise if the loss can be called neither with two arguments nor with three.

    Args:
        which: "inner" or "outer".
        first: the name of its first argument, for the message.

    Raises:
        TypeError: it has other arguments, which the message lists.
    """
    if not callable(loss):
        raise TypeError(
            f"the {which} loss is a {type(loss).__name__}, not a function of ({first}, alpha)."
        )
    if not (_accepts(loss, 2) or _accepts(loss, 3)):
        raise TypeError(
            f"the {which} loss takes {inspect.signature(loss)}. It is called as "
            f"{which}({first}, alpha), or as {which}({first}, alpha, batch) on the batch that "
            "problem.on(train_batch, val_batch) gives it."
        )


def on_batch(which: str, loss: Loss, batch: Any) -> OnBatch:
    """The loss on that batch.

    Raises:
        TypeError: it takes none, or has one already; or the batch, or an entry of it, is an
            iterator.
    """
    for entry in (batch, *_entries(batch)):
        if isinstance(entry, Iterator):
            raise TypeError(
                f"problem.on(train_batch, val_batch): the batch of the {which} loss is or holds a "
                f"{type(entry).__name__}. An iterator is used up by the first evaluation, and the "
                "next one would find nothing, or other examples. Take next(...) of it for one "
                "batch, or list(...) for all."
            )
    if not _accepts(loss, 3):
        raise TypeError(
            f"problem.on(train_batch, val_batch): the {which} loss takes no batch, or has one "
            f"already. Write it as {which}(omega, alpha, batch); one that closes over its data "
            "needs no `on`."
        )
    return OnBatch(loss, batch)


def _entries(batch: Any) -> Iterable[Any]:
    """The entries of a plain container; none of anything else."""
    if isinstance(batch, Mapping):
        return batch.values()
    return batch if isinstance(batch, tuple | list) else ()


def refuse_without_batch(which: str, loss: Loss) -> None:
    """Raise if the loss is called as it is, but needs a batch.

    Raises:
        TypeError: it needs a batch; the message has the remedy.
    """
    if takes_batch(loss):
        raise TypeError(
            f"the {which} loss takes (omega, alpha, batch), and there is no batch. Use "
            "problem.on(train_batch, val_batch) where a problem is asked for."
        )


def like(loss: Loss) -> Callable[[Callable[..., Tensor]], Loss]:
    """A decorator: the function passes on its arguments, so that it takes what `loss` takes."""
    return functools.wraps(loss, assigned=(), updated=())


def _accepts(loss: Loss, arguments: int) -> bool:
    """Whether it can be called with so many; True where Python cannot tell."""
    try:
        signature = inspect.signature(loss)
    except (TypeError, ValueError):
        return True
    try:
        signature.bind(*[None] * arguments)
    except TypeError:
        return False
    return True
