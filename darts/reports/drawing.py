"""A cell as an SVG: its states from top to bottom, its operations in lanes beside them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import combinations, product

from darts.reports.cell_names import cell_called
from darts.spaces import CellGenotype

BOX, GAP = 44.0, 10.0
"""Width of a state's box, and the room between two."""
ENTRY, EXIT = 25.0, 9.0
"""Height that an edge takes at the box it enters, its label included, and at the one it leaves."""
LETTER, LANE, HEAD, BEND = 6.9, 13.0, 8.0, 9.0
"""Width of a letter of a label, distance of two lanes, length of an arrow's head, a corner."""

COLOURS = {
    "skip": ("#c8443a", "#ff8a80"),
    "none": ("#7b8290", "#8a92a0"),
    "max": ("#9a6412", "#e2b04f"),
    "avg": ("#9a6412", "#e2b04f"),
    "sep": ("#2563a8", "#7db4f0"),
    "dil": ("#2a7a52", "#6ccf9c"),
}
"""Colour of an operation on white and on black, by the first word of its name."""

_RULES = (
    ".cell{font:12px 'Helvetica Neue',Helvetica,Arial,'Liberation Sans',sans-serif}"
    ".cell .line{fill:none}.cell text{fill:currentColor;stroke:none}"
    ".cell .edge{stroke:currentColor;fill:currentColor;color:var(--op-other)}"
    ".cell .head{stroke:none}.cell .none .line{stroke-dasharray:3 3}"
    ".cell .unkept{color:var(--op-unkept)}.cell .unkept .head{opacity:.7}"
    ".cell .box{fill:var(--op-node)}.cell .input .box{fill:var(--op-input)}"
    ".cell .state{color:var(--op-node-text);font-weight:700}"
    ".cell .input{color:var(--op-input-text);font-weight:400}"
    + "".join(f".cell .{name}:not(.unkept){{color:var(--op-{name})}}" for name in COLOURS)
)
GREYS = {
    "other": ("#23272f", "#e6e8ec"),
    "unkept": ("#d3d8df", "#3b424d"),
    "node": ("#23272f", "#e6e8ec"),
    "node-text": ("#ffffff", "#14171c"),
    "input": ("#e3e6ea", "#333a44"),
    "input-text": ("#23272f", "#e6e8ec"),
}


def _variables(dark: int) -> str:
    table = {**COLOURS, **GREYS}
    return "".join(f"--op-{name}:{pair[dark]};" for name, pair in table.items())


STYLE = (
    f":root{{{_variables(0)}}}@media (prefers-color-scheme:dark){{:root{{{_variables(1)}}}}}"
    f"@media print{{:root{{{_variables(0)}}}}}{_RULES}"
)
"""Rules of the drawings, light and dark: once for a page, and in a file of its own."""


@dataclass(frozen=True)
class DrawnEdge:
    """An edge of a drawing.

    Attributes:
        source, target: states, numbered from 0 with the cell's inputs first.
        operation: name of the operation.
        weight: its mixing weight in [0, 1], drawn as the width of the line; None where a
            genotype says no weight.
        kept: whether the operation is in the genotype; others are pale and have no label.
    """

    source: int
    target: int
    operation: str
    weight: float | None = None
    kept: bool = True

    @property
    def look(self) -> tuple[str, float, str]:
        """Its classes, width in pixels and label: all that changes from epoch to epoch."""
        width = 1.8 if self.weight is None else 1.0 + 7.0 * min(self.weight, 1.0)
        family = self.operation.split("_")[0]
        family = family if family in COLOURS else "other"
        classes = f"edge {family}" + ("" if self.kept else " unkept")
        return classes, round(width, 2), operation_label(self.operation) if self.kept else ""


def genotype_edges(cell: CellGenotype) -> list[DrawnEdge]:
    """The edges of a cell of a genotype, which knows no weights."""
    return [
        DrawnEdge(source, node + cell.first, operation)
        for node in range(cell.nodes)
        for operation, source in cell.inputs(node)
    ]


def mixing_edges(
    cell: CellGenotype,
    edges: Sequence[tuple[int, int]],
    operations: Sequence[str],
    weights: Sequence[Sequence[float]],
) -> list[DrawnEdge]:
    """All edges of a search's cell: what the genotype keeps of each, or else its strongest.

    Args:
        cell: the genotype that these weights stand for.
        edges: (source, target) of each row.
        operations: the operation of each column.
        weights: mixing weights, [edges operations].
    """
    kept = cell.by_ends
    drawn = []
    for (source, target), row in zip(edges, weights, strict=True):
        chosen = kept.get((source, target))
        column = operations.index(chosen) if chosen else max(range(len(row)), key=row.__getitem__)
        drawn.append(DrawnEdge(source, target, operations[column], row[column], chosen is not None))
    return drawn


def operation_label(name: str) -> str:
    """sep_conv_3x3 → sep conv 3×3."""
    words = name.replace("_connect", "").split("_")
    return " ".join(word.replace("x", "×") if word[:1].isdigit() else word for word in words)


def state_label(state: int, inputs: int) -> str:
    """k−2, k−1 for the cells before this one, then 1, 2, ... for its nodes."""
    return f"k−{inputs - state}" if state < inputs else str(state - inputs + 1)


def cell_svg(
    cell: CellGenotype, edges: Sequence[DrawnEdge] | None = None, letters: int | None = None
) -> str:
    """A cell as an SVG element, to be set on a page that has `STYLE`.

    Edges that would cross on one side of the states go to different sides, if all can: then no
    two lines cross. A line ends in an arrow at the box of its target, and its label stands over
    its last stretch, which no other line enters.

    Args:
        cell: the cell, for its states.
        edges: the edges to draw, by default the cell's own. With the same states, edges in the
            same order have the same places, whatever their operations and weights.
        letters: number of letters that labels have room for; by default those of the longest.
    """
    edges = genotype_edges(cell) if edges is None else edges
    longest = letters or max(len(edge.look[2]) for edge in edges)
    return _Layout(cell, edges, max(longest, 4)).svg()


def as_file(svg: str) -> str:
    """The element as a file of its own, in the colours of the reader's scheme."""
    start = svg.index(">") + 1
    head = svg[:start].replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
    return f"{head}<style>{STYLE}</style>{svg[start:]}\n"


def in_words(cell: CellGenotype) -> str:
    """ "1 = sep conv 3×3 of k−2 + skip of k−1; 2 = ..."."""
    nodes = []
    for node in range(cell.nodes):
        terms = (
            f"{operation_label(name)} of {state_label(source, cell.first)}"
            for name, source in cell.inputs(node)
        )
        nodes.append(f"{node + 1} = {' + '.join(terms)}")
    return "; ".join(nodes)


def sides(edges: Sequence[tuple[int, int]]) -> list[int]:
    """A side, 0 or 1, for each edge (source, target) of states on a line.

    Two edges cross on one side if one begins within the other and ends outside. Up to `MOST_TRIED`
    edges all ways are tried, and of those with the fewest crossings one is taken whose nodes have
    their inputs on both sides; with more edges, no single one could change its side and cross
    fewer.
    """
    count = len(edges)
    pairs = [(i, j) for i, j in combinations(range(count), 2) if _cross(edges[i], edges[j])]

    def cost(chosen: Iterable[int]) -> tuple[int, int]:
        chosen = tuple(chosen)
        at: dict[int, int] = {}
        for (_, target), side in zip(edges, chosen, strict=True):
            at[target] = at.get(target, 0) + 2 * side - 1
        return sum(chosen[i] == chosen[j] for i, j in pairs), sum(map(abs, at.values()))

    if count <= MOST_TRIED:
        best: tuple[int, ...] = min(product((0, 1), repeat=count), key=cost)
        return list(best)
    side = [number % 2 for number in range(count)]
    improved = True
    while improved:
        improved = False
        for edge in range(count):
            other = [*side[:edge], 1 - side[edge], *side[edge + 1 :]]
            if cost(other)[0] < cost(side)[0]:
                side, improved = other, True
    return side


MOST_TRIED = 14
"""DARTS's cells have 14 edges while they are searched, and 8 then."""


def _cross(one: tuple[int, int], other: tuple[int, int]) -> bool:
    (a, b), (c, d) = sorted((one, other))
    return a < c < b < d


class _Layout:
    """Places of boxes, lanes and ports."""

    def __init__(self, cell: CellGenotype, edges: Sequence[DrawnEdge], letters: int) -> None:
        self.cell, self.edges = cell, edges
        ends = [(edge.source, edge.target) for edge in edges]
        self.side = sides(ends)
        self.lane = self._lanes(ends)
        self.label = letters * LETTER + HEAD + 6
        reach = [
            max((self.lane[k] for k in range(len(edges)) if self.side[k] == side), default=-1)
            for side in (0, 1)
        ]
        spread = [self.label + BEND + LANE * (most + 0.6) if most >= 0 else 4 for most in reach]
        self.centre = spread[0] + BOX / 2
        self.width = sum(spread) + BOX
        self.leaves = [0.0] * len(edges)
        self.enters = [0.0] * len(edges)
        self.boxes: list[tuple[float, float]] = []
        top = 2.0
        for state in range(cell.nodes + cell.first):
            height = max(self._ports(state, side, top) for side in (0, 1))
            self.boxes.append((top, max(height, 26.0)))
            top += self.boxes[-1][1] + GAP
        self.height = top - GAP + 2

    def _lanes(self, ends: Sequence[tuple[int, int]]) -> list[int]:
        """The distance of each edge's lane: beyond all on its side that lie within it."""
        lane = [-1] * len(ends)
        for k in sorted(range(len(ends)), key=lambda k: ends[k][1] - ends[k][0]):
            (source, target), side = ends[k], self.side[k]
            taken = [
                lane[j]
                for j, (start, stop) in enumerate(ends)
                if lane[j] >= 0 and self.side[j] == side and start < target and source < stop
            ]
            lane[k] = max(taken, default=-1) + 1
        return lane

    def _ports(self, state: int, side: int, top: float) -> float:
        """Place the ends of a side's edges at a state; the height they take.

        Entering edges stand over leaving ones. The outer of two that enter stands below, the outer
        of two that leave above: so neither cuts the other's lane.
        """
        own = [k for k in range(len(self.edges)) if self.side[k] == side]
        entering = [k for k in own if self.edges[k].target == state]
        leaving = [k for k in own if self.edges[k].source == state]
        below = top
        for k in sorted(entering, key=lambda k: self.lane[k]):
            below += ENTRY
            self.enters[k] = below - 5
        for k in sorted(leaving, key=lambda k: -self.lane[k]):
            below += EXIT
            self.leaves[k] = below - 1
        return below - top + 5

    def svg(self) -> str:
        """Lines first, then boxes."""
        whole = f"{self.width:.0f}", f"{self.height:.0f}"
        output = ", ".join(state_label(state, self.cell.first) for state in self.cell.concat)
        title = f"{cell_called(self.cell.kind)}: {in_words(self.cell)}; output: {output}"
        parts = [
            f'<svg class="cell" viewBox="0 0 {whole[0]} {whole[1]}" width="{whole[0]}" '
            f'height="{whole[1]}" role="img"><title>{escape(title)}</title>'
        ]
        # kept edges over the others
        order = sorted(range(len(self.edges)), key=lambda k: self.edges[k].kept)
        parts += [self._edge(k) for k in order]
        parts += [self._box(state) for state in range(len(self.boxes))]
        return "".join(parts) + "</svg>"

    def _edge(self, k: int) -> str:
        classes, width, label = self.edges[k].look
        out = 1 if self.side[k] else -1
        near = self.centre + out * BOX / 2
        lane = near + out * (self.label + BEND + LANE * self.lane[k])
        start, stop = self.leaves[k], self.enters[k]
        bend = out * min(BEND, (stop - start) / 2)
        tall = abs(bend)
        line = (
            f"M{near:.1f} {start:.1f}H{lane - bend:.1f}Q{lane:.1f} {start:.1f} {lane:.1f} "
            f"{start + tall:.1f}V{stop - tall:.1f}Q{lane:.1f} {stop:.1f} {lane - bend:.1f} "
            f"{stop:.1f}H{near + out * (HEAD - 1):.1f}"
        )
        back = near + out * HEAD
        head = f"M{near:.1f} {stop:.1f}L{back:.1f} {stop - 4.5:.1f}V{stop + 4.5:.1f}Z"
        middle = near + out * (HEAD + (self.label - HEAD) / 2)
        return (
            f'<g class="{classes}" data-edge="{k}"><path class="line" d="{line}" '
            f'stroke-width="{width}"/><path class="head" d="{head}"/><text x="{middle:.1f}" '
            f'y="{stop - 7:.1f}" text-anchor="middle">{escape(label)}</text></g>'
        )

    def _box(self, state: int) -> str:
        top, height = self.boxes[state]
        kind = "state input" if state < self.cell.first else "state"
        ring = (
            f'<rect x="{self.centre - BOX / 2 + 3:.1f}" y="{top + 3:.1f}" width="{BOX - 6:.0f}" '
            f'height="{height - 6:.1f}" rx="4" fill="none" stroke="var(--op-node-text)"/>'
            if state in self.cell.concat
            else ""
        )
        return (
            f'<g class="{kind}"><rect class="box" x="{self.centre - BOX / 2:.1f}" y="{top:.1f}" '
            f'width="{BOX:.0f}" height="{height:.1f}" rx="7"/>{ring}<text x="{self.centre:.1f}" '
            f'y="{top + height / 2 + 4:.1f}" text-anchor="middle">'
            f"{state_label(state, self.cell.first)}</text></g>"
        )
