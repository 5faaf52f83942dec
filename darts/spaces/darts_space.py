"""The spaces of DARTS: S1 with its edges searched, and S1 with its edges fixed."""

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
"""Liu et al. 2019: 14 edges, 8 operations; a genotype keeps two inputs a node. (180·7⁸)²."""

S1_FIXED = Space(
    name="s1-fixed",
    operations=_OPERATIONS,
    nodes=4,
    edges=tuple((source, target) for target in range(2, 6) for source in (target - 2, target - 1)),
    keep_edges=None,
)
"""The paper's second stage: node j takes states j − 2 and j − 1; no none. 7¹⁶."""
