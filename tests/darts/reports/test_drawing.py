"""Drawings of cells, measured as they are drawn: what touches what, read from the SVG alone."""

import re
from itertools import combinations, pairwise, product

import pytest

from darts.methods.random_search import random_genotype
from darts.reports.drawing import (
    LETTER,
    DrawnEdge,
    as_file,
    cell_svg,
    genotype_edges,
    in_words,
    mixing_edges,
    operation_label,
    sides,
)
from darts.spaces import NASBENCH201, S1, CellGenotype
from darts.spaces.published import DARTS_V2, PUBLISHED

CELLS = [cell for entry in PUBLISHED.values() for cell in entry.genotype.cells]
CELLS += [cell for seed in range(10) for cell in random_genotype(NASBENCH201, seed).cells]

EDGE = re.compile(
    r'data-edge="(\d+)"><path class="line" d="([^"]+)" stroke-width="[\d.]+"/>'
    r'<path class="head" d="M([\d.]+) ([\d.]+)L.*?<text x="([\d.]+)" y="([\d.]+)"[^>]*>([^<]*)<'
)
BOX = re.compile(r'class="box" x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)"')


def segments(path):
    """The straight lines between the corners of a line: right angles, rounded or not."""
    numbers = [float(n) for n in re.findall(r"[\d.]+", path)]
    (x0, y0, _, lane, _, _, _, _, _, y1, _, _, x1) = numbers
    corners = [(x0, y0), (lane, y0), (lane, y1), (x1, y1)]
    return list(pairwise(corners))


def meet(one, other):
    """Whether two upright or level segments have a point in common."""
    (ax, ay), (bx, by) = one
    (cx, cy), (dx, dy) = other
    return (max(min(ax, bx), min(cx, dx)) <= min(max(ax, bx), max(cx, dx))) and max(
        min(ay, by), min(cy, dy)
    ) <= min(max(ay, by), max(cy, dy))


def parts(svg):
    """By edge: its segments, the tip of its arrow, the sides of its label's box."""
    found = {}
    for number, path, x, y, label_x, label_y, label in EDGE.findall(svg):
        middle, base = float(label_x), float(label_y)
        half = len(label) * LETTER / 2
        label_box = (middle - half, middle + half, base - 9, base + 3)
        found[int(number)] = (segments(path), (float(x), float(y)), label_box)
    return found


def crossings(drawn):
    return sum(
        any(meet(p, q) for p in one[0] for q in other[0])
        for one, other in combinations(drawn.values(), 2)
    )


def fewest(edges):
    """Of all ways to put the edges on two sides, by trying them all."""
    foes = [
        (i, j)
        for i, j in combinations(range(len(edges)), 2)
        for (a, b), (c, d) in [sorted((edges[i], edges[j]))]
        if a < c < b < d
    ]
    return min(
        sum(side[i] == side[j] for i, j in foes) for side in product((0, 1), repeat=len(edges))
    )


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.kind)
def test_lines_cross_only_where_no_sides_would_avoid_it(cell):
    drawn = parts(cell_svg(cell))
    assert len(drawn) == len(cell.edges)
    ends = [(edge.source, edge.target) for edge in genotype_edges(cell)]
    assert crossings(drawn) == fewest(ends)


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.kind)
def test_no_line_cuts_a_label_and_every_arrow_reaches_its_box(cell):
    svg = cell_svg(cell)
    drawn = parts(svg)
    boxes = [tuple(map(float, box)) for box in BOX.findall(svg)]
    for number, (_, (x, y), (left, right, top, bottom)) in drawn.items():
        for lines, _, _ in drawn.values():
            for line in lines:
                assert not meet(line, ((left, top), (right, top)))
                assert not meet(line, ((left, bottom), (right, bottom)))
        edge = genotype_edges(cell)[number]
        box_left, box_top, width, height = boxes[edge.target]
        assert min(abs(x - box_left), abs(x - box_left - width)) < 0.11
        assert box_top < y < box_top + height


def test_the_checks_see_a_crossing_and_a_cut_label():
    cell = CellGenotype("cell", (("sep_conv_3x3", 0), ("skip_connect", 1)) * 2, (2, 3))
    assert crossings(parts(cell_svg(cell))) == 0
    assert meet(((0, 5), (10, 5)), ((5, 0), (5, 10)))
    assert not meet(((0, 5), (4, 5)), ((5, 0), (5, 10)))
    assert fewest([(0, 2), (1, 3), (0, 3)]) == 0
    assert fewest([(0, 3), (1, 4), (2, 5)]) == 1  # each crosses each
    assert sorted(sides([(0, 2), (1, 3)])) == [0, 1]


def test_weights_are_widths_and_what_is_not_kept_has_no_label():
    cell = DARTS_V2["normal"]
    operations = ("skip_connect", "sep_conv_3x3", "dil_conv_3x3")
    weights = [[0.2, 0.5, 0.3]] * len(S1.edges)
    drawn = mixing_edges(cell, S1.edges, operations, weights)
    assert sum(edge.kept for edge in drawn) == len(cell.edges)
    kept = {(edge.source, edge.target): edge for edge in drawn if edge.kept}
    assert kept[0, 4].operation == "skip_connect"  # DARTS_V2's, though sep conv is stronger
    assert kept[0, 4].weight == 0.2
    assert DrawnEdge(0, 1, "skip_connect", 0.5).look == ("edge skip", 4.5, "skip")
    assert DrawnEdge(0, 1, "skip_connect", 0.5, kept=False).look == ("edge skip unkept", 4.5, "")
    assert cell_svg(cell, drawn).count("unkept") == len(S1.edges) - len(cell.edges)


def test_places_depend_on_states_alone_so_that_epochs_can_be_compared():
    weights = [[0.2, 0.5, 0.3]] * len(S1.edges)
    operations = ("skip_connect", "sep_conv_3x3", "dil_conv_3x3")
    first, second = (
        cell_svg(cell, mixing_edges(cell, S1.edges, operations, weights), letters=12)
        for cell in (DARTS_V2["normal"], PUBLISHED["DARTS_V1"].genotype["normal"])
    )

    def lines(svg):
        return {number: found[:2] for number, found in parts(svg).items()}

    assert lines(first) == lines(second)
    assert first != second


def test_a_file_of_its_own_has_its_colours_and_says_the_cell_in_words():
    text = as_file(cell_svg(DARTS_V2["normal"]))
    assert text.startswith('<svg xmlns="http://www.w3.org/2000/svg"')
    assert "prefers-color-scheme:dark" in text
    assert "1 = sep conv 3×3 of k−2 + sep conv 3×3 of k−1" in text
    assert in_words(DARTS_V2["normal"]).count(";") == 3
    assert "<title>reduction cell: 1 = " in as_file(cell_svg(DARTS_V2["reduce"]))
    assert operation_label("sep_conv_3x3") == "sep conv 3×3"
    assert operation_label("skip_connect") == "skip"
