"""Numbers in millions as they are shown."""

from math import floor, log10

DIGITS = 4
"""Of a small number that are shown; the sixth decimal is one."""


def millions(value: float, decimals: int) -> str:
    """A count in millions with so many decimals, and with more where it has fewer digits."""
    leading = floor(log10(value)) if value else 0
    return f"{value:.{min(6, max(decimals, DIGITS - 1 - leading))}f} M"
