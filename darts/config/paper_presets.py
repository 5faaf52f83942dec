"""The searches of the paper on CIFAR-10, one for each space of its text.

§4.1.1 searches DARTS's space with its 14 edges: C = 16, batches of 96, 500 epochs, η from 0 to 1.
From there on it is 100 epochs and η = 0.1. §4.1.2 changes three things, from most to least
important: the edges are fixed (S1), C is 36 as in retraining, and the search has Cutout, Dropout
and an auxiliary tower too; Table 1's row of S1 is that run. §4.1.3 takes 20 cells that share
nothing (S2); the text does not repeat the three changes there, and does not take them back.

The text gives Cutout, Dropout and the tower no sizes: they are those of DARTS's retraining, whose
Dropout is drop-path. What else it leaves open is DARTS's setting too ("similarly as DARTS").
Its networks are retrained for 600 epochs, with 20 cells and in §4.1.2 with 8 as well.
"""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from darts.config.full import FullConfig
from darts.config.retrain import RetrainConfig
from darts.config.search import SearchConfig
from darts.data import Cifar10
from darts.spaces import S1, S1_FIXED, S2

CIFAR_ROOT = "data"
"""Where CIFAR-10 is looked for unless --data-root says otherwise."""

_ALL_EDGES = SearchConfig(space=S1, epochs=500)
_CONSISTENT = SearchConfig(
    space=S1_FIXED, channels=36, cutout=16, drop_path=0.2, auxiliary_weight=0.4
)
_NOTHING_SHARED = replace(_CONSISTENT, space=S2, cells=20)

PAPER_SEARCHES: Mapping[str, SearchConfig] = MappingProxyType(
    {search.space.name: search for search in (_ALL_EDGES, _CONSISTENT, _NOTHING_SHARED)}
)
"""By the name of the space."""

PAPER_CELLS = (8, 20)
"""Of retrained networks (§4.1.2)."""


def _run(name: str, search: SearchConfig) -> FullConfig:
    return FullConfig(name, Cifar10(root=CIFAR_ROOT), search, RetrainConfig())


PAPER_PRESETS: dict[str, FullConfig] = {
    config.preset: config
    for config in (
        _run("cifar10-s1-all-edges", _ALL_EDGES),
        _run("cifar10-s1-consistent", _CONSISTENT),
        _run("cifar10-s2", _NOTHING_SHARED),
        # §4.1.2's fixed edges alone: C = 16, nothing added; no row of the paper
        _run("cifar10-s1", SearchConfig(space=S1_FIXED)),
    )
}
