"""The statistics that go with a report's numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot, sqrt
from statistics import mean, stdev

Z = 1.959964
"""Of a 95 % interval."""


@dataclass(frozen=True)
class Interval:
    """A 95 % interval, in per cent or points."""

    low: float
    high: float

    @property
    def has_zero(self) -> bool:
        return self.low <= 0 <= self.high


def wilson_interval(accuracy_percent: float, images: int) -> Interval:
    """Wilson's 95 % interval for a share of `images` independent images.

    It covers the choice of test images, not the seed of the run.
    """
    p = accuracy_percent / 100
    centre = (p + Z * Z / (2 * images)) / (1 + Z * Z / images)
    reach = Z * sqrt(p * (1 - p) / images + Z * Z / (4 * images**2)) / (1 + Z * Z / images)
    return Interval(100 * (centre - reach), 100 * (centre + reach))


def unpaired_difference(first: float, second: float, images: int) -> Interval:
    """Of two shares in per cent, first − second, each of so many images (Newcombe 1998, 10).

    For two models on the same images it is too wide, for their errors go together.
    """
    one, other = wilson_interval(first, images), wilson_interval(second, images)
    middle = first - second
    return Interval(
        middle - hypot(first - one.low, other.high - second),
        middle + hypot(one.high - first, second - other.low),
    )


def paired_difference(first: Sequence[bool], second: Sequence[bool]) -> Interval:
    """Of the shares of right answers to the same images, first − second (Agresti and Min 2005).

    Half an image is added to each of the four cases right or wrong, right or wrong. It covers the
    choice of test images, not the seeds of the two trainings.

    Raises:
        ValueError: there is no image, or not as many answers of one as of the other.
    """
    if not first or len(first) != len(second):
        raise ValueError(
            f"{len(first)} answers beside {len(second)}: pairs are of the same images."
        )
    pairs = list(zip(first, second, strict=True))
    gained = sum(one and not other for one, other in pairs) + 0.5
    lost = sum(other and not one for one, other in pairs) + 0.5
    images = len(pairs) + 2
    middle = (gained - lost) / images
    reach = Z * sqrt(gained + lost - (gained - lost) ** 2 / images) / images
    return Interval(100 * (middle - reach), 100 * (middle + reach))


def mean_difference(first: Sequence[float], second: Sequence[float]) -> Interval | None:
    """Of the means of two samples, first − second (Welch 1947); None with one value in either."""
    from scipy.stats import t

    if min(len(first), len(second)) < 2:
        return None
    parts = [stdev(values) ** 2 / len(values) for values in (first, second)]
    middle, spread = mean(first) - mean(second), sqrt(sum(parts))
    if spread == 0:
        return Interval(middle, middle)
    freedom = sum(parts) ** 2 / sum(
        part**2 / (len(values) - 1) for part, values in zip(parts, (first, second), strict=True)
    )
    reach = float(t.ppf(0.975, freedom)) * spread
    return Interval(middle - reach, middle + reach)


def mean_and_deviation(values: Sequence[float], digits: int = 2) -> str:
    """ "99.01 ± 0.22", the deviation being that of a sample (n − 1)."""
    if len(values) == 1:
        return f"{values[0]:.{digits}f}"
    return f"{mean(values):.{digits}f} ± {stdev(values):.{digits}f}"
