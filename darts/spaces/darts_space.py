"""The spaces of the paper: DARTS's with its 14 edges, S1 with its 8 fixed edges, and S2."""

from darts.spaces.macro_architecture import OnePerCell
from darts.spaces.space import NONE, Space

_OPERATIONS = (
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)

S1 = Space(
    name="s1",
    operations=(NONE, *_OPERATIONS),
    nodes=4,
    edges=tuple((source, target) for target in range(2, 6) for source in range(target)),
    keep_edges=2,
)
"""DARTS's space (Liu et al. 2019), in which §4.1.1 works: 14 edges, 8 operations; a genotype keeps
two inputs a node. (180·7⁸)²."""

S1_FIXED = Space(
    name="s1-fixed",
    operations=_OPERATIONS,
    nodes=4,
    edges=tuple((source, target) for target in range(2, 6) for source in (0, target - 1)),
    keep_edges=None,
)
"""The paper's S1 (§4.1.2, §4.1.3): node i takes node i − 1 and c_{k−2}; without `none`. 7¹⁶."""


def s2(cells: int = 20) -> Space:
    """The paper's second space, S2, with another number of cells; `S2` has its 20.

    Every cell has its own choice on each of the fixed edges: 2^(8·cells) genotypes.
    """
    return Space(
        name="s2" if cells == 20 else f"s2:cells={cells}",
        operations=("skip_connect", "sep_conv_3x3"),
        nodes=4,
        edges=S1_FIXED.edges,
        keep_edges=None,
        macro_architecture=OnePerCell(cells),
    )


S2 = s2()
"""§4.1.3: 20 cells that share nothing, two operations, fixed edges. 2¹⁶⁰."""
