"""Genotypes survive a round trip through JSON; everything else is refused with a reason."""

import json

import pytest

from darts.spaces import S1, S1_FIXED, Genotype
from darts.spaces.published import DARTS_V1, DARTS_V2


def dictionary() -> dict:
    return json.loads(DARTS_V2.to_json())


def fixed() -> dict:
    """A genotype of the space with fixed edges."""
    edges = [["sep_conv_3x3", source] for source, _ in S1_FIXED.edges]
    cells = {"normal": edges, "reduce": edges}
    return cells | {f"{kind}_concat": [2, 3, 4, 5] for kind in cells}


@pytest.mark.parametrize("genotype", [DARTS_V1, DARTS_V2])
def test_genotype_survives_a_round_trip(genotype):
    assert Genotype.from_json(genotype.to_json(), S1) == genotype
    assert Genotype.from_dict(genotype.to_dict()) == genotype


def test_genotype_of_fixed_edges_survives_a_round_trip():
    genotype = Genotype.from_dict(fixed(), S1_FIXED)
    assert Genotype.from_json(genotype.to_json(), S1_FIXED) == genotype
    assert genotype["normal"].inputs(3) == (("sep_conv_3x3", 0), ("sep_conv_3x3", 4))


def test_json_is_the_customary_form():
    assert dictionary()["normal"][0] == ["sep_conv_3x3", 0]
    assert sorted(dictionary()) == ["normal", "normal_concat", "reduce", "reduce_concat"]


def with_edge(kind: str, position: int, edge: object) -> dict:
    content = dictionary()
    content[kind][position] = edge
    return content


def with_normal(edges: list) -> dict:
    return dictionary() | {"normal": edges}


MALFORMED = {
    "unknown operation": (
        with_edge("reduce", 3, ["sep_conv_9x9", 1]),
        r"cell 'reduce' of the genotype, edge 3: unknown operation 'sep_conv_9x9'; known are none,",
    ),
    "source too late": (
        with_edge("normal", 2, ["skip_connect", 3]),
        r"'normal' .* edge 2 into state 3: source 3 is out of range; it must be from 0 to 2",
    ),
    "source negative": (
        with_edge("normal", 0, ["skip_connect", -1]),
        r"source -1 is out of range; it must be from 0 to 1",
    ),
    "odd number of edges": (
        with_normal(dictionary()["normal"][:7]),
        r"has 7 edges; every node takes 2",
    ),
    "no edges": (with_normal([]), r"has 0 edges"),
    "edge not a pair": (with_edge("normal", 1, ["skip_connect"]), r"edge 1: expected \[operation"),
    "source not an integer": (
        with_edge("normal", 1, ["skip_connect", 1.0]),
        r"found \['skip_connect', 1.0\]",
    ),
    "source a boolean": (with_edge("normal", 1, ["skip_connect", True]), r"edge 1: expected"),
    "edges not a list": (dictionary() | {"normal": "sep"}, r"must be a list .* found sep"),
    "concat out of range": (
        dictionary() | {"normal_concat": [2, 6]},
        r"concatenates states \(2, 6\); give at least one, each from 2 to 5",
    ),
    "concat of an input": (dictionary() | {"normal_concat": [1, 2]}, r"each from 2 to 5"),
    "concat empty": (dictionary() | {"normal_concat": []}, r"at least one"),
    "concat twice": (dictionary() | {"normal_concat": [2, 2]}, r"one state twice"),
    "concat not numbers": (dictionary() | {"normal_concat": ["2"]}, r"list of states' numbers"),
    "entry missing": (
        {key: value for key, value in dictionary().items() if key != "reduce_concat"},
        r"two entries, as 'normal' and 'normal_concat'; found 'normal'",
    ),
    "entry missing the other way": (
        {key: value for key, value in dictionary().items() if key != "reduce"},
        r"two entries",
    ),
    "empty": ({}, r"found none"),
    "a list": ([], r"is a JSON object .* found list"),
}


@pytest.mark.parametrize(("content", "message"), MALFORMED.values(), ids=MALFORMED)
def test_malformed_genotype_is_refused(content, message):
    with pytest.raises(ValueError, match=message):
        Genotype.from_json(json.dumps(content))


FOREIGN = {
    "other edges": (
        S1_FIXED,
        dictionary(),
        r"'s1-fixed' has no edge 1 → 3; state 3 takes \[0, 2\]",
    ),
    "too few edges": (
        S1,
        with_normal(dictionary()["normal"][:6]) | {"normal_concat": [2, 3, 4]},
        r"has 6 edges; space 's1' keeps 8 \(4 nodes\)",
    ),
    "operation of another space": (
        S1,
        with_edge("normal", 0, ["sep_conv_7x7", 0]),
        r"'sep_conv_7x7' is no choice of space 's1', which has max_pool_3x3",
    ),
    "none": (S1, with_edge("normal", 0, ["none", 0]), r"“none” is never chosen"),
    "one input twice": (
        S1,
        with_edge("normal", 0, ["sep_conv_3x3", 1]),
        r"state 2 takes state 1 twice",
    ),
    "one kind of cell": (
        S1,
        {key: dictionary()[key] for key in ("normal", "normal_concat")},
        r"has cells \('normal',\); space 's1' has \('normal', 'reduce'\)",
    ),
    "shorter concat": (
        S1,
        dictionary() | {"reduce_concat": [4, 5]},
        r"cells of space 's1' concatenate \(2, 3, 4, 5\)",
    ),
}


@pytest.mark.parametrize(("space", "content", "message"), FOREIGN.values(), ids=FOREIGN)
def test_genotype_of_another_space_is_refused(space, content, message):
    Genotype.from_json(json.dumps(content))  # a genotype it is
    with pytest.raises(ValueError, match=message):
        Genotype.from_json(json.dumps(content), space)


def test_text_that_is_not_json_is_refused():
    with pytest.raises(ValueError, match=r"must hold JSON; this one fails at line 1, column 1"):
        Genotype.from_json("Genotype(normal=[('sep_conv_3x3', 0)])")


def test_cell_of_unknown_kind_is_named():
    with pytest.raises(KeyError, match=r"has cells \['normal', 'reduce'\], not 'third'"):
        DARTS_V1["third"]
