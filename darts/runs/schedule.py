"""The learning rate along a run."""

from math import cos, pi


def half_cosine(start: float, end: float, progress: float) -> float:
    """From `start` at progress 0 to `end` at 1, along half a cosine (Loshchilov & Hutter, 2017).

    DARTS moves along it once an epoch; runs here do at each step, which differs by less than
    one epoch's change and lets runs of few epochs cool down fully.
    """
    return end + (start - end) * (1 + cos(pi * progress)) / 2
