"""The sizes printed for the networks found in S1 and S2 (Tables 1 and 2, §4.2).

Their cells are drawn in Fig. 3 only. What can be checked is whether S2 has a network with all three
figures at once, and what such a network is made of: in cells of one width, every separable
convolution in place of a skip-connect adds the same to each figure, so that sums over the three
resolutions say which mixtures there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch

from darts.networks.counting import count_multiply_adds, count_parameters
from darts.networks.derived import DerivedNetwork
from darts.networks.stem_and_head import IMAGENET
from darts.spaces import S1_FIXED, S2
from darts.spaces.genotype import CellGenotype, Genotype
from darts.spaces.space import Space
from proofs_checks.definitions import Formulas
from proofs_checks.evidence import ExactExample, Exhibit
from proofs_checks.ledger import Claim, Verdict
from proofs_checks.printed_tables import MULTIPLY_ADDS, PARAMETERS, TABLE_1, TABLE_2

SKIP, SEPARABLE = "skip_connect", "sep_conv_3x3"
CELLS = 20
CHANNELS, MOBILE_CHANNELS = 36, 42
FIRST, SECOND, THIRD = range(6), range(7, 13), range(14, 20)  # cells that do not reduce
REDUCING = (6, 13)
MOST, UNITS = (48, 48, 48, 8, 8), (1, 1, 1, 8, 8)  # separable convolutions there, and at a time
OWN = "Amended-DARTS, S2"


def cell(space: Space, kind: str, operations: Sequence[str]) -> CellGenotype:
    """A cell with all edges of a space that fixes them, and one operation on each."""
    rows = [row for target in space.targets for row in space.incoming(target)]
    edges = tuple((op, space.edges[row][0]) for op, row in zip(operations, rows, strict=True))
    return CellGenotype(kind, edges, space.output)


def network_of(separable: Sequence[int]) -> Genotype:
    """The network of S2 with so many separable convolutions in each cell, on its first edges."""
    edges = len(S2.edges)
    return Genotype(
        tuple(
            cell(S2, kind, [SEPARABLE] * count + [SKIP] * (edges - count))
            for kind, count in zip(S2.cell_kinds, separable, strict=True)
        )
    )


@dataclass(frozen=True)
class Sizes:
    """Parameters on CIFAR-10 (C = 36), and on ImageNet (C = 42) with the multiply-adds there."""

    small: int
    large: int
    multiply_adds: int

    @property
    def as_printed(self) -> bool:
        return (
            f"{self.small / 1e6:.1f}" == TABLE_1.cell(OWN, PARAMETERS)
            and f"{self.large / 1e6:.1f}" == TABLE_2.cell(OWN, PARAMETERS)
            and f"{self.multiply_adds / 1e6:.0f}" == TABLE_2.cell(OWN, MULTIPLY_ADDS)
        )


@cache
def sizes(separable: tuple[int, ...]) -> Sizes:
    """Counted on the network itself."""
    genotype = network_of(separable)
    with torch.device("meta"):
        small = DerivedNetwork(genotype, channels=CHANNELS, cells=CELLS)
        large = DerivedNetwork(
            genotype, channels=MOBILE_CHANNELS, cells=CELLS, classes=1000, stem=IMAGENET
        )
    return Sizes(
        count_parameters(small),
        count_parameters(large),
        count_multiply_adds(large, (3, 224, 224)),
    )


def spread(total: int, cells: range) -> dict[int, int]:
    """`total` separable convolutions over cells, as evenly as can be."""
    each, more = divmod(total, len(cells))
    return {index: each + (position < more) for position, index in enumerate(cells)}


def separable_counts(first: int, second: int, third: int, early: int, late: int) -> tuple[int, ...]:
    """Separable convolutions of each cell, from those at each resolution and in both reductions."""
    counts = spread(first, FIRST) | spread(second, SECOND) | spread(third, THIRD)
    counts |= dict(zip(REDUCING, (early, late), strict=True))
    return tuple(counts[index] for index in range(CELLS))


def mixtures() -> tuple[tuple[int, ...], ...]:
    """Every mixture whose sums are the printed figures; reducing cells all of one operation.

    A mixture is (separable convolutions at the first, second and third resolution, in the first
    reducing cell, in the second).
    """
    base = sizes(separable_counts(0, 0, 0, 0, 0))
    units = [tuple(amount * (i == at) for i in range(5)) for at, amount in enumerate(UNITS)]
    grid = np.meshgrid(*(range(most // unit + 1) for most, unit in zip(MOST, UNITS, strict=True)))
    many = [axis.ravel() for axis in grid]

    def rounded(name: str, unit: int) -> np.ndarray:
        added = [
            getattr(sizes(separable_counts(*one)), name) - getattr(base, name) for one in units
        ]
        total = getattr(base, name) + sum(
            count * more for count, more in zip(many, added, strict=True)
        )
        return np.asarray((total + unit // 2) // unit)

    fits = (
        (rounded("small", 100_000) == 10 * TABLE_1.number(OWN, PARAMETERS))
        & (rounded("large", 100_000) == 10 * TABLE_2.number(OWN, PARAMETERS))
        & (rounded("multiply_adds", 1_000_000) == TABLE_2.number(OWN, MULTIPLY_ADDS))
    )
    rows = np.stack([count * unit for count, unit in zip(many, UNITS, strict=True)], axis=1)[fits]
    return tuple(tuple(int(count) for count in row) for row in rows)


def s1_of_the_printed_size() -> Exhibit:
    """A network of S1 with 3.5 M parameters: six separable convolutions and two skips; pools."""
    normal, reduction = [SEPARABLE] * 6 + [SKIP] * 2, ["max_pool_3x3"] * 8
    genotype = Genotype((cell(S1_FIXED, "normal", normal), cell(S1_FIXED, "reduce", reduction)))
    with torch.device("meta"):
        count = count_parameters(DerivedNetwork(genotype, channels=CHANNELS, cells=CELLS))
    wanted = TABLE_1.cell("Amended-DARTS, S1", PARAMETERS)
    return Exhibit(
        {"normal cell": normal, "reduction cell": reduction, "parameters": count},
        {
            "8 edges a cell": len(S1_FIXED.edges) == 8,
            "the operations are S1's": {*normal, *reduction} <= set(S1_FIXED.operations),
        },
        {f"the count rounds to {wanted} M": f"{count / 1e6:.1f}" == wanted},
    )


def s2_of_the_printed_sizes() -> Exhibit:
    found = mixtures()
    separable = separable_counts(*found[len(found) // 2])
    counted = sizes(separable)
    totals = [sum(mixture) for mixture in found]
    return Exhibit(
        {
            "mixtures with all three figures": len(found),
            "separable convolutions of 160 edges": (min(totals), max(totals)),
            "one of them, by cell": list(separable),
            "parameters, C = 36": counted.small,
            "parameters, C = 42": counted.large,
            "multiply-adds, C = 42": counted.multiply_adds,
        },
        {
            "160 edges": len(S2.edges) * CELLS == 160,
            "the operations are S2's": {SKIP, SEPARABLE} == set(S2.operations),
        },
        {
            "3.6 M, 5.5 M and 590 M at once": counted.as_printed,
            "below the 600 M of the mobile setting": counted.multiply_adds < 600_000_000,
        },
    )


def claims(formulas: Formulas) -> tuple[Claim, ...]:
    return (
        Claim(
            id="§4.2b",
            where="§4.2; Table 2",
            statement="With 42 channels the network found in S2 has 590 M multiply-adds and 5.5 M "
            "parameters on ImageNet, and with 36 channels 3.6 M on CIFAR-10.",
            assumptions="multiply-adds of convolutions and linear layers at 224×224; the genotype "
            "is drawn in Fig. 3 and not given in letters",
            verdict=Verdict.HOLDS_IF,
            because="S2 has networks with all three figures at once, so that the figures agree "
            "with one another and with C = 42. That the network of Fig. 3 is one of them is not "
            "checked.",
            evidence=(
                ExactExample("a network of S2 with the printed figures", s2_of_the_printed_sizes),
            ),
        ),
    )
