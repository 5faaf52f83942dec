"""Fixed edges that are not the paper's: each node takes the two states before it.

The paper joins node i to node i − 1 and to c_{k−2} (§4.1.2), which is `S1_FIXED`. There are run
folders whose config.json calls edges from i − 2 and i − 1 "s1-fixed" or "s2". They are read under
the names of the spaces here, so that they can be resumed, retrained and told apart.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from darts.spaces.darts_space import S1_FIXED, s2
from darts.spaces.space import Space

_EDGES = tuple(
    (source, target) for target in S1_FIXED.targets for source in (target - 2, target - 1)
)

S1_ADJACENT = replace(S1_FIXED, name="s1-fixed-adjacent", edges=_EDGES)
"""7¹⁶ genotypes, as many as S1_FIXED has."""


def s2_adjacent(cells: int = 20) -> Space:
    """S2 on these edges: 2^(8·cells) genotypes."""
    space = s2(cells)
    return replace(space, name=_NAMES["s2"] + space.name.removeprefix("s2"), edges=_EDGES)


_NAMES: Mapping[str, str] = {"s1-fixed": S1_ADJACENT.name, "s2": "s2-adjacent"}
"""Other names that a file may have for them."""


def named_by_edges(space: Mapping[str, Any]) -> dict[str, Any]:
    """A space of a config.json; one with these edges has the name that it has here."""
    name, colon, cells = str(space.get("name")).partition(":")
    if name in _NAMES and space.get("edges") == [list(edge) for edge in _EDGES]:
        return {**space, "name": _NAMES[name] + colon + cells}
    return dict(space)
