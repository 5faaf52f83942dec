"""What a node keeps of one evaluation for the next at the same point, where tangents differ."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class Kept:
    """The node and what its units give, none of which a tangent changes.

    Whether the next evaluation is at the same point is not believed but compared: parameters and
    weights by value, feature maps too, unless they are the very memory that was read before.
    """

    def __init__(self) -> None:
        self.units: list[list[Tensor]] = []
        self.z = torch.empty(0)
        self.sources: list[Tensor] = []
        self._versions: list[int] = []
        self._small: list[Tensor] = []

    def keep(
        self,
        sources: Sequence[Tensor],
        small: Sequence[Tensor],
        units: list[list[Tensor]],
        z: Tensor,
    ) -> None:
        """Keep what `units` gave and their sum z, for these sources, weights and parameters."""
        self.units, self.z = units, z
        self.sources = [x.detach() for x in sources]  # without the graph that made them
        self._versions = [x._version for x in sources]
        self._small = [x.clone() for x in small]

    def of(self, sources: Sequence[Tensor], small: Sequence[Tensor]) -> Kept | None:
        """Itself, if it was kept for inputs equal to these."""
        if len(self.sources) != len(sources) or len(self._small) != len(small):
            return None
        if not all(map(_equal, self._small, small)):
            return None
        same = map(self._unchanged, range(len(sources)), sources)
        return self if all(same) else None

    def _unchanged(self, i: int, x: Tensor) -> bool:
        known = self.sources[i]
        if known._version != self._versions[i]:
            return False
        return _shares(known, x) or _equal(known, x)


def _shares(x: Tensor, y: Tensor) -> bool:
    same_layout = x.shape == y.shape and x.stride() == y.stride() and x.dtype == y.dtype
    return same_layout and x.data_ptr() == y.data_ptr() and x._version == y._version


def _equal(x: Tensor, y: Tensor) -> bool:
    return x.dtype == y.dtype and torch.equal(x, y)
