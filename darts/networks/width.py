"""The widest network within a limit of multiply-adds: how mobile settings choose C."""

from bisect import bisect_right
from dataclasses import dataclass, replace

import torch

from darts.networks.blueprint import Blueprint
from darts.networks.counting import count_multiply_adds

MOST = 10_000
"""Channels beyond which no network is built."""


@dataclass(frozen=True)
class MultiplyAddLimit:
    """C is the largest that keeps one image within a number of multiply-adds.

    Args:
        millions: number of multiply-adds in millions. 600 is the mobile setting of ImageNet (Liu
            et al. 2019, §3.3).
    """

    millions: float = 600.0

    def __post_init__(self) -> None:
        if not 0 < self.millions < 1e9:
            raise ValueError(
                f"MultiplyAddLimit(millions={self.millions}): it must be positive, and below 1e9."
            )


Width = int | MultiplyAddLimit
"""C itself, or what it may cost."""


def channels_within(blueprint: Blueprint, image: tuple[int, int], limit: MultiplyAddLimit) -> int:
    """The largest C with which the network of `blueprint` stays within the limit, by bisection.

    Every layer's multiply-adds grow with C, so that bisection finds what a linear scan would. A
    network is counted about 2 log₂ C times, a quarter of a second each at 14 cells.

    Args:
        blueprint: the network; its own number of channels does not matter.
        image: (height, width) of an image.
        limit: largest number of multiply-adds that is allowed.

    Raises:
        ValueError: the narrowest network exceeds the limit, or `MOST` channels keep to it.
    """
    step = 2 if blueprint.stem.even else 1

    def cost(channels: int) -> int:
        return multiply_adds(replace(blueprint, channels=channels), image)

    most = limit.millions * 1e6
    if cost(step) > most:
        raise ValueError(
            f"No network of these {blueprint.cells} cells keeps to {limit.millions:g} M "
            f"multiply-adds at {image[0]}×{image[1]}: with C = {step}, the least, it has "
            f"{cost(step) / 1e6:.3f} M. Raise the limit, or take fewer cells."
        )
    beyond = 2 * step
    while cost(beyond) <= most:
        if beyond > MOST:
            raise ValueError(
                f"A limit of {limit.millions:g} M multiply-adds at {image[0]}×{image[1]} leaves "
                f"more than {MOST:,} channels. Give a lower limit, or the channels themselves."
            )
        beyond *= 2
    candidates = range(beyond // 2, beyond, step)
    return candidates[bisect_right(candidates, most, key=cost) - 1]


def multiply_adds(blueprint: Blueprint, image: tuple[int, int]) -> int:
    """Multiply-adds for one image; no memory is taken for weights."""
    with torch.device("meta"):
        network = blueprint.build()
    return count_multiply_adds(network, (blueprint.in_channels, *image))
