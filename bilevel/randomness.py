"""Whether a loss draws random numbers: if so, two of its values belong to two losses."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from bilevel.reading import leaving

REMEDY = (
    "Two evaluations of it are two functions (dropout, drop-path, augmentation or sampling "
    "without a fixed seed). Pass problem.replaying(seed), with the step's number for the seed in a "
    "loop, or switch the randomness off (module.eval()). A DataLoader that a loss reads draws a "
    "seed each time, though it does not shuffle: give it generator=torch.Generator()."
)


class Draws:
    """Whether a global generator has moved since this was made: PyTorch's, NumPy's or Python's.

    Costs some ten microseconds and no evaluation. Generators of the loss's own are not seen;
    `bilevel.check` evaluates twice and sees all. Within `left_on_device` nothing is
    looked at: a captured step may not ask a GPU's generator.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._before = _states(device)

    def any(self) -> bool:
        now = _states(self._device)
        return not all(_same(a, b) for a, b in zip(self._before, now, strict=True))


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed the three global generators for a block, and put their states back after it."""
    ours, numpys = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            torch.manual_seed(seed)
            random.seed(seed)
            np.random.seed(seed % 2**32)
            yield
    finally:
        random.setstate(ours)
        np.random.set_state(numpys)


def _states(device: torch.device) -> list[Any]:
    if leaving():
        return []
    states: list[Any] = [torch.get_rng_state(), random.getstate(), np.random.get_state()]
    if device.type == "cuda":
        states.append(torch.cuda.get_rng_state(device))
    return states


def _same(before: Any, now: Any) -> bool:
    if isinstance(before, torch.Tensor):
        return torch.equal(before, now)
    if isinstance(before[1], np.ndarray):  # NumPy's: a name, a key, and numbers
        return bool((before[1] == now[1]).all()) and before[2:] == now[2:]
    return bool(before == now)
