"""Times of operations, measured on one device: a latency as a sum over a network's operations."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from darts.networks.blueprint import SIZES, Blueprint
from darts.networks.cost import CostTable, Place, operation_costs
from darts.spaces.space import NONE, Space

FORMAT = "darts latency 1"
_PLACE = ("operation", "channels", "stride", "height", "width")


@dataclass(frozen=True)
class LatencyTable:
    """Milliseconds of one forward pass by place, as `darts measure` writes them.

    The time of a network is taken to be the sum of its operations' times, and `fixed`. The sum
    knows nothing of work done at once, or of caches; the file records its error for some whole
    networks.

    Attributes:
        times: milliseconds by place.
        fixed: milliseconds of stem, preprocessing and classifier of the network that was measured.
        network: sizes of that network: channels, cells, classes, in_channels, height, width, and
            its stem, which tables written before it was recorded lack.
    """

    times: Mapping[Place, float]
    fixed: float
    network: Mapping[str, int | str]

    def costs(self, space: Space, blueprint: Blueprint, image: tuple[int, int]) -> CostTable:
        """The costs of a space's choices in a network.

        Raises:
            ValueError: the table is for a network of other sizes, or lacks an operation.
        """
        wanted = sizes(blueprint, image)
        known = {"stem": wanted["stem"], **self.network}
        unequal = [
            f"{name} {known.get(name)} ≠ {value}"
            for name, value in wanted.items()
            if known.get(name) != value
        ]
        if unequal:
            raise ValueError(
                f"the latency table is of a network of other sizes than the one to be retrained: "
                f"{', '.join(unequal)}. Measure that one: darts measure with its sizes."
            )

        def time(place: Place) -> float:
            if place.operation == NONE:
                return 0.0
            if place not in self.times:
                raise ValueError(
                    f"the latency table has no time of {place.operation} for {place.channels} "
                    f"channels, stride {place.stride}, {place.height}×{place.width} pixels. "
                    f"Measure the space: darts measure --space {space.name}."
                )
            return self.times[place]

        operations = operation_costs(space, blueprint, image, time)
        return CostTable(space, "ms", self.fixed, operations)

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "format": FORMAT,
            "network": dict(self.network),
            "fixed_milliseconds": self.fixed,
            "operations": [
                {**{name: getattr(place, name) for name in _PLACE}, "milliseconds": time}
                for place, time in self.times.items()
            ],
        }

    @staticmethod
    def from_dict(content: Any) -> "LatencyTable":
        """The inverse of `to_dict`; other entries are ignored.

        Raises:
            ValueError: the content is no latency table.
        """
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise ValueError(
                f"a latency table has the format {FORMAT!r}. Make one by darts measure."
            )
        entries, network = content.get("operations"), content.get("network")
        fixed = content.get("fixed_milliseconds")
        if not isinstance(entries, list) or not isinstance(network, dict) or not _is_time(fixed):
            raise ValueError(
                "a latency table has operations, network and fixed_milliseconds; this one is "
                "damaged. Measure again."
            )
        times: dict[Place, float] = {}
        for entry in entries:
            whole = isinstance(entry, dict) and isinstance(entry.get("operation"), str)
            if not (
                whole
                and all(type(entry.get(name)) is int for name in _PLACE[1:])
                and _is_time(entry.get("milliseconds"))
            ):
                raise ValueError(
                    f"an entry of the latency table is damaged: {str(entry)[:80]}. Measure again."
                )
            times[Place(*(entry[name] for name in _PLACE))] = float(entry["milliseconds"])
        assert isinstance(fixed, int | float)
        return LatencyTable(times, float(fixed), network)


def sizes(blueprint: Blueprint, image: tuple[int, int]) -> dict[str, int | str]:
    """All that times depend on besides the operations."""
    own = {name: getattr(blueprint, name) for name in SIZES}
    return {**own, "height": image[0], "width": image[1], "stem": blueprint.stem_name}


def _is_time(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value < 1e9
