"""Evaluations of one function at one point, time and again, with other directions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

Entry = TypeVar("Entry")


class Repeated:
    """What evaluations at one point have in common, for those parts that can use it.

    A part of the function asks `entry` (below) once in each evaluation, and the n-th to ask gets
    the n-th entry, every time. Nothing says that it is asked by the same part, at the same point:
    who uses an entry compares first. Entries live as long as this object.
    """

    def __init__(self) -> None:
        self._entries: list[Any] = []
        self._asked = 0

    @contextmanager
    def evaluation(self) -> Iterator[None]:
        """One evaluation of the function."""
        self._asked = 0
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)

    def next(self, kind: Callable[[], Entry]) -> Entry:
        """The next entry, made of `kind` where there is none, or one of another kind."""
        place = self._asked
        self._asked += 1
        if place == len(self._entries):
            self._entries.append(kind())
        elif not isinstance(self._entries[place], kind):  # type: ignore[arg-type]
            self._entries[place] = kind()
        found: Entry = self._entries[place]
        return found


_current: ContextVar[Repeated | None] = ContextVar("repeated", default=None)


def entry(kind: Callable[[], Entry]) -> Entry | None:
    """The entry of whoever asks, in the evaluation at hand; None where nothing is to be kept."""
    repeated = _current.get()
    return None if repeated is None else repeated.next(kind)


@contextmanager
def nothing_kept() -> Iterator[None]:
    """Parts evaluated in here have no entries."""
    token = _current.set(None)
    try:
        yield
    finally:
        _current.reset(token)
