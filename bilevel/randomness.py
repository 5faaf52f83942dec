"""Whether a loss draws random numbers: two of its values are then two losses' values."""

from __future__ import annotations

import torch

from bilevel.reading import leaving

REMEDY = (
    "Two evaluations of it are two functions (dropout, drop-path, augmentation or sampling "
    "without a fixed seed). Pass problem.replaying(seed), with the step's number for the seed in a "
    "loop, or switch the randomness off (module.eval())."
)


class Draws:
    """Whether PyTorch's global generators have moved since this was made.

    Costs some microseconds and no evaluation. Generators of the loss's own, NumPy's and Python's
    are not seen; `bilevel.check` evaluates twice and sees all. Within `left_on_device` nothing is
    looked at: a captured step may not ask a GPU's generator.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._before = _states(device)

    def any(self) -> bool:
        now = _states(self._device)
        return not all(torch.equal(a, b) for a, b in zip(self._before, now, strict=True))


def _states(device: torch.device) -> list[torch.Tensor]:
    if leaving():
        return []
    states = [torch.get_rng_state()]
    if device.type == "cuda":
        states.append(torch.cuda.get_rng_state(device))
    return states
