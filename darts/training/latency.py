"""Times of operations on this device, and the accuracy of their sum for whole networks."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import chain
from statistics import mean
from typing import Any

import torch
from torch import Tensor

from darts.data.seeds import derive_seed
from darts.methods.random_search import lightest_genotype, random_genotype
from darts.networks.blueprint import Blueprint
from darts.networks.cost import Place, places_of
from darts.networks.latency import LatencyTable, sizes
from darts.spaces.feature_map import FeatureMap
from darts.spaces.operations import build, derived_recipe
from darts.spaces.space import NONE, Space

MOST_OFF, MOST_SCALE = 0.25, 3.0
"""Error of a network's time, and ratio to times alone, beyond which a table is doubted."""
WARM_UP = 3
"""Passes before any is timed: kernels are chosen, and memory is found."""


@dataclass(frozen=True)
class Measured:
    """A table, and whole networks beside it.

    Attributes:
        table: times of operations within a network.
        scale: ratio of these to the times that operations take alone.
        networks: "measured" and "predicted" milliseconds of other random genotypes.
    """

    table: LatencyTable
    scale: float
    networks: list[dict[str, float]]

    @property
    def doubt(self) -> str | None:
        """Why the table tells little about networks, in words; None if nothing speaks against it.

        The bounds are rules of thumb: a quiet machine keeps to them, one that does something else
        meanwhile does not.
        """
        off = max((abs(n["predicted"] / n["measured"] - 1) for n in self.networks), default=0.0)
        doubts = []
        if off > MOST_OFF:
            doubts.append(f"it is up to {off:.0%} off for the networks above")
        if not 1 / MOST_SCALE <= self.scale <= MOST_SCALE:
            doubts.append(f"operations take {self.scale:.2f} times in a network what they do alone")
        if not self.table.fixed:
            doubts.append("nothing is left for all that is no operation")
        return "; ".join(doubts) or None

    def to_dict(self) -> dict[str, Any]:
        return {**self.table.to_dict(), "scale": self.scale, "whole_networks": self.networks}


def measure_latency(
    space: Space,
    blueprint: Blueprint,
    image: tuple[int, int],
    *,
    device: str = "cpu",
    repeats: int = 30,
    networks: int = 3,
    tick: Callable[[int, int], None] = lambda done, all_: None,
) -> Measured:
    """The least time of a forward pass of one image, for every choice of a space.

    The least of several passes is one that no other work on the machine disturbed. Operations are
    in evaluation mode, as in the network that a search finds. In a network they take longer than
    alone: their outputs are added up, and caches are cold. So two kinds of whole network are
    measured, with the lightest cells and with random ones. They give the time of all that is no
    operation, and one factor for all operations. Further networks show how far that holds.

    Args:
        space: the space whose operations are measured.
        blueprint: sizes of the network; its genotype does not matter.
        image: (height, width) of an image.
        device: the device to time on.
        repeats: number of passes, of which the quickest counts.
        networks: number of random networks for the factor, and as many to compare with.
        tick: called with the number of operations done and the number of all.

    Raises:
        ValueError: the times of whole networks do not fit those of their operations.
    """
    light = replace(blueprint, genotype=lightest_genotype(space))
    times = {}
    wanted = _timed_places(space, light, image)
    for done, place in enumerate(wanted):
        tick(done, len(wanted))
        times[place] = _milliseconds(_pass(place, device), device, repeats)
    bare = LatencyTable(times, 0.0, sizes(light, image))

    def whole(network: Blueprint) -> float:
        return _milliseconds(_whole(network, image, device), device, repeats)

    costs = bare.costs(space, light, image)

    def drawn(purpose: str) -> list[tuple[float, float]]:
        """(measured, by the table) of some random networks."""
        found = []
        for number in range(networks):
            genotype = random_genotype(space, derive_seed(0, purpose, number))
            found.append((whole(replace(blueprint, genotype=genotype)), costs.of(genotype)))
        return found

    least, alone = whole(light), costs.of(light.genotype)
    heavy = drawn("latency, scale")
    scale = (mean(taken for taken, _ in heavy) - least) / (mean(sum_ for _, sum_ in heavy) - alone)
    if scale <= 0:
        raise ValueError(
            f"random networks take {mean(taken for taken, _ in heavy):.3g} ms, and that of the "
            f"lightest cells {least:.3g} ms, no less: no sum tells these times. Measure when the "
            "machine does nothing else, or with more --repeats."
        )
    fixed = max(0.0, least - scale * alone)
    scaled = {place: scale * taken for place, taken in times.items()}
    compared = [
        {"measured": taken, "predicted": fixed + scale * sum_}
        for taken, sum_ in drawn("latency, comparison")
    ]
    return Measured(replace(bare, times=scaled, fixed=fixed), scale, compared)


def _timed_places(space: Space, blueprint: Blueprint, image: tuple[int, int]) -> list[Place]:
    """Every place of an operation once; `none` takes no time."""
    places = chain.from_iterable(places_of(space, blueprint, image).values())
    return [place for place in dict.fromkeys(places) if place.operation != NONE]


def _pass(place: Place, device: str) -> Callable[[], Tensor]:
    recipe = derived_recipe()
    operation = build(place.operation, place.channels, place.stride, recipe).to(device)
    operation.eval()
    shape = (1, place.channels, place.height, place.width)
    image = torch.ones(shape, device=device).contiguous(memory_format=torch.channels_last)
    evaluate: Callable[[FeatureMap], Tensor] = operation.__call__
    return lambda: evaluate(FeatureMap(image, recipe.activation))


def _whole(blueprint: Blueprint, image: tuple[int, int], device: str) -> Callable[[], Tensor]:
    network = blueprint.build().to(device).eval()
    images = torch.ones(1, blueprint.in_channels, *image, device=device)
    return lambda: network(images)


def _milliseconds(work: Callable[[], Tensor], device: str, repeats: int) -> float:
    """The least of `repeats` passes."""
    taken = []
    with torch.no_grad():
        for number in range(WARM_UP + repeats):
            _wait(device)
            began = time.perf_counter()
            work()
            _wait(device)
            if number >= WARM_UP:
                taken.append(1000 * (time.perf_counter() - began))
    return min(taken)


def _wait(device: str) -> None:
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)
