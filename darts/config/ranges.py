"""Ranges that every config's numbers must lie in; what lies outside is refused by name."""

from math import inf
from typing import Any

from darts.networks.width import MOST

LARGEST = {"channels": MOST, "cells": 1000, "padding": 1000, "cutout": 1000}
"""Sizes beyond which a network or an image is not built: no machine could hold it."""


def require_ranges(config: Any, at_least_one: str, positive: str, not_negative: str) -> None:
    """Raise ValueError unless the entries, names separated by spaces, lie where they must."""
    name = type(config).__name__
    for entry, most in LARGEST.items():
        value = getattr(config, entry)
        if isinstance(value, int) and value > most:
            raise ValueError(f"{name}({entry}={value}): it must be {most:,} or less.")
    for entry in at_least_one.split():
        value = getattr(config, entry)
        if value < 1:
            raise ValueError(f"{name}({entry}={value}): it must be 1 or more.")
    for entry in positive.split():
        value = getattr(config, entry)
        if not 0 < value < inf:
            raise ValueError(f"{name}({entry}={value}): it must be positive and finite.")
    for entry in not_negative.split():
        value = getattr(config, entry)
        if not 0 <= value < inf:
            raise ValueError(f"{name}({entry}={value}): it must be finite and not negative.")


def require_share(config: Any, entry: str, value: float) -> None:
    if not 0 < value < 1:
        raise ValueError(
            f"{type(config).__name__}({entry}={value}): it must lie strictly between 0 and 1."
        )


def require_checkpoint_share(config: Any) -> None:
    if not 0 < config.checkpoint_share <= 1:
        raise ValueError(
            f"{type(config).__name__}(checkpoint_share={config.checkpoint_share}): it must lie "
            "above 0 and be at most 1, which is a checkpoint after every step."
        )


def require_decay(config: Any, entry: str, value: float) -> None:
    if not 0 <= value < 1:
        raise ValueError(
            f"{type(config).__name__}({entry}={value}): it must be at least 0 and below 1."
        )
