"""The learning rate along a run."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import cos, pi


def half_cosine(start: float, end: float, progress: float) -> float:
    """From `start` at progress 0 to `end` at 1, along half a cosine (Loshchilov & Hutter, 2017).

    DARTS moves along it once an epoch; runs here do at each step, which differs by less than
    one epoch's change and lets runs of few epochs cool down fully.
    """
    return end + (start - end) * (1 + cos(pi * progress)) / 2


@dataclass(frozen=True)
class Schedule(ABC):
    """How the learning rate goes from its start to its end; it moves at each step."""

    @abstractmethod
    def __call__(self, start: float, end: float, progress: float) -> float:
        """The rate at a share `progress` of the whole run, 0 at its first step."""


@dataclass(frozen=True)
class HalfCosine(Schedule):
    """Along half a cosine; see `half_cosine`."""

    def __call__(self, start: float, end: float, progress: float) -> float:
        return half_cosine(start, end, progress)


@dataclass(frozen=True)
class Linear(Schedule):
    """Along a straight line.

    PC-DARTS's code for ImageNet goes down once an epoch, to 0.002 at epoch 244 of 250, and in the
    five left from 0.002 to 0.0004; this has 0.012 there, and goes from 0.01 to 0. A stored version
    of P-DARTS's code rises in those five epochs, from 0.0004 to 0.002.
    """

    def __call__(self, start: float, end: float, progress: float) -> float:
        return start + (end - start) * progress


def warm_up(epochs_passed: float, epochs: int) -> float:
    """The share of the scheduled rate that is taken at first: from 1/epochs to 1, linearly.

    At the first step of epoch e = 0, 1, ... it is (e + 1)/epochs, as in the code of PC-DARTS, which
    keeps to that for the whole epoch; here it rises at each step. So it is 1 from the beginning of
    the last epoch of warm-up on. With 0 epochs it is 1 everywhere.
    """
    return min(1.0, (epochs_passed + 1) / epochs) if epochs else 1.0
