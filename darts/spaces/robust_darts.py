"""The reduced spaces of RobustDARTS (Zela et al. 2020, §4), in which DARTS is known to fail.

Its S1 to S4 are other spaces than the paper's S1 and S2; here they are `robust-s1` to `robust-s4`.
"""

from darts.spaces.darts_space import S1
from darts.spaces.space import NONE, Space

_ONE = ("max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3", "dil_conv_3x3",
        "dil_conv_5x5")  # fmt: skip
_NORMAL = """skip+dil3 skip+dil5
    skip+dil5 skip+sep3 skip+dil3
    max+skip skip+sep3 skip+sep3 skip+dil3
    skip+sep3 max+skip skip+dil3 dil3+dil5 dil3+dil5"""
_REDUCE = """max+avg max+dil3
    max+avg max+avg skip+dil5
    max+avg max+sep3 skip+dil3 skip+dil5
    max+avg max+avg skip+dil5 skip+dil5 skip+dil5"""
"""The two operations of each edge, a line a node (automl/RobustDARTS, src/spaces.py @07f54ba)."""
_SHORT = dict(zip(("max", "avg", "skip", "sep3", "dil3", "dil5"), _ONE, strict=True))


def _rows(table: str) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(_SHORT[word] for word in edge.split("+")) for edge in table.split())


def _on_all_edges(name: str, *operations: str) -> Space:
    return Space(name, operations, nodes=S1.nodes, edges=S1.edges, keep_edges=2)


ROBUST_S1 = Space(
    "robust-s1",
    _ONE,
    nodes=S1.nodes,
    edges=S1.edges,
    keep_edges=2,
    edge_operations=(_rows(_NORMAL), _rows(_REDUCE)),
)
"""Two operations on each edge, found by dropping the weakest; they differ from edge to edge."""

ROBUST_S2 = _on_all_edges("robust-s2", "skip_connect", "sep_conv_3x3")
ROBUST_S3 = _on_all_edges("robust-s3", NONE, "skip_connect", "sep_conv_3x3")
ROBUST_S4 = _on_all_edges("robust-s4", "noise", "sep_conv_3x3")
"""noise draws N(0, 1) in place of its input: a harmful operation that a search should avoid."""
