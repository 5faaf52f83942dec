"""Intervals of means and of paired differences by Student's t."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.stats import t

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Interval:
    """A mean of n numbers and its 95 % interval by Student's t.

    The interval supposes that the numbers are independent draws of one normal distribution, which
    a handful of seeds cannot show. With one number it is all of the line.
    """

    mean: float
    low: float
    high: float
    deviation: float
    n: int

    def __str__(self) -> str:
        if self.n < 2:
            return f"{self.mean:+.2f} (n = {self.n})"
        return f"{self.mean:+.2f} [{self.low:+.2f}, {self.high:+.2f}] (n = {self.n})"


def interval(values: Sequence[float]) -> Interval:
    """The mean of at least one number, with its interval.

    Raises:
        ValueError: there is no number.
    """
    n = len(values)
    if n == 0:
        raise ValueError("interval: found 0 numbers; a mean needs one.")
    mean = statistics.fmean(values)
    if n == 1:
        return Interval(mean, -math.inf, math.inf, math.nan, 1)
    deviation = statistics.stdev(values)
    reach = float(t.ppf((1 + CONFIDENCE) / 2, n - 1)) * deviation / math.sqrt(n)
    return Interval(mean, mean - reach, mean + reach, deviation, n)
