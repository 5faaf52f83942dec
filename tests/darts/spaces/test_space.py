"""The sizes that the papers print, and spaces that cannot be."""

from itertools import product

import pytest

from darts.spaces import S1, S1_FIXED, Space
from darts.spaces.genotype import CellGenotype, Genotype


def test_s1_has_as_many_genotypes_as_the_paper_prints():
    assert S1.size == (180 * 7**8) ** 2
    assert f"{S1.size:.1e}" == "1.1e+18"
    assert len(S1.edges) == 14
    assert len(S1.operations) == 8


def test_s1_with_fixed_edges_has_as_many_genotypes_as_the_paper_prints():
    assert S1_FIXED.size == 7**16
    assert f"{S1_FIXED.size:.1e}" == "3.3e+13"
    assert len(S1_FIXED.edges) == 8
    assert "none" not in S1_FIXED.operations


def test_fixed_edges_join_each_node_to_the_two_states_before_it():
    for source, target in S1_FIXED.edges:
        assert target - source in (1, 2)
    assert set(S1_FIXED.edges) <= set(S1.edges)


def test_size_counts_the_genotypes_that_the_space_accepts():
    """Every cell with two nodes, written down and offered to a space small enough to count."""
    space = Space(
        "small",
        ("none", "skip_connect", "max_pool_3x3"),
        nodes=2,
        edges=((0, 2), (1, 2), (0, 3), (1, 3), (2, 3)),
        keep_edges=2,
        cell_kinds=("normal",),
    )
    accepted = set()
    operations = ("none", "skip_connect", "max_pool_3x3")
    for names in product(operations, repeat=4):
        for sources in product(range(2), range(2), range(3), range(3)):
            edges = tuple(zip(names, sources, strict=True))
            genotype = Genotype((CellGenotype("normal", edges, (2, 3)),))
            try:
                genotype.require(space)
            except ValueError:
                continue
            accepted.add((frozenset(edges[:2]), frozenset(edges[2:])))
    assert len(accepted) == space.size == 1 * 2**2 * 3 * 2**2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"operations": ("none",)}, r"at least one besides 'none'"),
        ({"operations": ("skip_connect", "skip_connect")}, r"name each once"),
        ({"edges": ((0, 2), (2, 2))}, r"edge 2 → 2 does not run forward"),
        ({"edges": ((0, 2), (1, 3))}, r"edge 1 → 3 does not run forward .* nodes 2 to 2"),
        ({"edges": ((0, 2), (0, 2))}, r"an edge is listed twice"),
        ({"edges": ((0, 2),)}, r"node 2 has 1 incoming edges; it needs 2"),
    ],
)
def test_impossible_spaces_are_refused(changes, message):
    good = {"operations": ("skip_connect",), "edges": ((0, 2), (1, 2))}
    Space("good", nodes=1, keep_edges=2, **good)
    with pytest.raises(ValueError, match=message):
        Space("bad", nodes=1, keep_edges=2, **(good | changes))
