"""Attributes computed when first asked for, and kept."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

Kept = TypeVar("Kept")


class Once(Generic[Kept]):
    """`functools.cached_property` without its lock, which Python 3.11 still takes.

    torch.compile cannot follow a lock, and would cut the graph at each.
    """

    def __init__(self, compute: Callable[[Any], Kept]) -> None:
        self.compute = compute
        self.__doc__ = compute.__doc__

    def __get__(self, owner: Any, kind: type) -> Kept:
        kept = self.compute(owner)
        owner.__dict__[self.compute.__name__] = kept  # found before this from now on
        return kept
