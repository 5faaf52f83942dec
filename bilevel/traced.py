"""The name of a way of taking derivatives that there is no more; it says what to take instead."""

from __future__ import annotations

from typing import NoReturn


def Traced(*_: object, **__: object) -> NoReturn:  # noqa: N802
    """Refuse.

    Raises:
        NotImplementedError: always.
    """
    raise NotImplementedError(
        "Traced() is no part of this package: a program recorded at one point gave wrong products "
        "at others. Take Autograd(), which is the default."
    )
