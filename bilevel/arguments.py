"""Checks of the numbers that functions and estimators are given, before any work."""

from __future__ import annotations

from numbers import Integral, Real

from torch import Tensor


def check_not_negative(asked: object, **values: float) -> None:
    """Refuse parameters that are negative, infinite, NaN or no numbers."""
    for name, value in values.items():
        if not (_is_number(value) and 0 <= value < float("inf")):
            raise ValueError(
                f"{_name(asked)}({name}={value}): {name} must be finite and not negative."
            )


def check_positive(asked: object, **values: float) -> None:
    """Refuse parameters that are not positive and finite numbers."""
    for name, value in values.items():
        if not (_is_number(value) and 0 < value < float("inf")):
            raise ValueError(f"{_name(asked)}({name}={value}): {name} must be positive and finite.")


def check_count(asked: object, *, least: int = 1, **values: int) -> None:
    """Refuse parameters that are not whole numbers of at least `least`.

    Args:
        asked: an estimator, or the name of a function.
        least: the smallest number that makes sense.
        values: the parameters by name.
    """
    for name, value in values.items():
        whole = isinstance(value, Integral) and not isinstance(value, bool)
        if not (whole and value >= least):
            raise ValueError(
                f"{_name(asked)}({name}={value}): {name} must be a whole number, at least {least}."
            )


def check_clip(function: str, clip: float | None) -> None:
    """Refuse a largest norm of the gradient that would turn, stop or not clip the steps of ω.

    One that is a tensor is not read: it may lie on a device.
    """
    if clip is None or isinstance(clip, Tensor):
        return
    if not (_is_number(clip) and clip > 0):
        raise ValueError(
            f"{function}(clip={clip}): the largest norm of ∇_ω L_train to step with must be "
            "positive. None does not clip."
        )


def _is_number(value: object) -> bool:
    return isinstance(value, Real | Tensor) and not isinstance(value, bool)


def _name(asked: object) -> str:
    return asked if isinstance(asked, str) else type(asked).__name__
