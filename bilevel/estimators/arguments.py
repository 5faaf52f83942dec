"""Checks of an estimator's arguments."""

from __future__ import annotations


def check_not_negative(estimator: object, **values: float) -> None:
    """Refuse parameters that are negative, infinite or NaN."""
    for name, value in values.items():
        if not 0 <= value < float("inf"):
            raise ValueError(
                f"{type(estimator).__name__}({name}={value}): {name} must be finite and not "
                "negative."
            )


def check_positive(estimator: object, **values: float) -> None:
    """Refuse parameters that are not positive and finite."""
    for name, value in values.items():
        if not 0 < value < float("inf"):
            raise ValueError(
                f"{type(estimator).__name__}({name}={value}): {name} must be positive and finite."
            )
