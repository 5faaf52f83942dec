"""Tables 1 and 2 of the paper as they are printed, cell by cell; "-" where a cell is empty.

They were read from a text that was extracted from the PDF. `REPAIRED` lists the cells that the
extraction garbled, and a test holds the tables against that text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True)
class PrintedTable:
    """A table of the paper.

    Attributes:
        name: "Table 1".
        columns: what each cell of a row is, after the architecture's name.
        rows: the cells of each architecture, as text.
        own: the architectures found by the paper's own approach.
    """

    name: str
    columns: tuple[str, ...]
    rows: Mapping[str, tuple[str, ...]]
    own: tuple[str, ...]

    def cell(self, row: str, column: str) -> str:
        return self.rows[row][self.columns.index(column)]

    def number(self, row: str, column: str) -> Fraction:
        """A cell's value; the spread behind ± and the ~ of a rough figure are left out.

        Raises:
            ValueError: the cell is empty.
        """
        text = self.cell(row, column).partition("±")[0].lstrip("~")
        if text == "-":
            raise ValueError(f"{self.name} has no {column} of {row}")
        return Fraction(text)

    def filled(self, column: str) -> tuple[str, ...]:
        """The architectures with a number in that column."""
        return tuple(row for row in self.rows if self.cell(row, column) != "-")


def _table(name: str, columns: tuple[str, ...], text: str, own: tuple[str, ...]) -> PrintedTable:
    rows: dict[str, tuple[str, ...]] = {}
    for line in text.strip().splitlines():
        row, *cells = (cell.strip() for cell in line.split("|"))
        if len(cells) != len(columns) or row in rows:
            raise ValueError(f"{name}: {line!r} does not give {columns} of one new architecture")
        rows[row] = tuple(cells)
    return PrintedTable(name, columns, rows, own)


ERROR, TOP_1, TOP_5 = "test error", "top-1 error", "top-5 error"
PARAMETERS, MULTIPLY_ADDS, COST, METHOD = "parameters", "multiply-adds", "search cost", "method"

TABLE_1 = _table(
    "Table 1",
    (ERROR, PARAMETERS, COST, METHOD),
    """
DenseNet-BC | 3.46 | 25.6 | - | manual
ENAS | 2.89 | 4.6 | 0.5 | RL
NASNet-A | 2.65 | 3.3 | 1800 | RL
NAONet-WS | 3.53 | 3.1 | 0.4 | NAO
Hierarchical Evolution | 3.75±0.12 | 15.7 | 300 | evolution
AmoebaNet-B | 2.55±0.05 | 2.8 | 3150 | evolution
PNAS | 3.41±0.09 | 3.2 | 225 | SMBO
DARTS (first-order) | 3.00±0.14 | 3.3 | 0.4 | gradient-based
DARTS (second-order) | 2.76±0.09 | 3.3 | 1.0 | gradient-based
SNAS (moderate) | 2.85±0.02 | 2.8 | 1.5 | gradient-based
ProxylessNAS | 2.08 | - | 4.0 | gradient-based
P-DARTS | 2.50 | 3.4 | 0.3 | gradient-based
BayesNAS | 2.81±0.04 | 3.4 | 0.2 | gradient-based
PC-DARTS | 2.57±0.07 | 3.6 | 0.1 | gradient-based
Amended-DARTS, S1 | 2.81±0.21 | 3.5 | 1.0 | gradient-based
Amended-DARTS, S2 | 2.60±0.15 | 3.6 | 1.1 | gradient-based
""",
    own=("Amended-DARTS, S1", "Amended-DARTS, S2"),
)
"""CIFAR-10. Errors in per cent, parameters in millions, cost in GPU-days."""

TABLE_2 = _table(
    "Table 2",
    (TOP_1, TOP_5, PARAMETERS, MULTIPLY_ADDS, COST, METHOD),
    """
Inception-v1 | 30.2 | 10.1 | 6.6 | 1448 | - | manual
MobileNet | 29.4 | 10.5 | 4.2 | 569 | - | manual
ShuffleNet 2× (v1) | 26.4 | 10.2 | ~5 | 524 | - | manual
ShuffleNet 2× (v2) | 25.1 | - | ~5 | 591 | - | manual
NASNet-A | 26.0 | 8.1 | 5.3 | 564 | 1800 | RL
MnasNet-92 | 25.2 | 8.0 | 4.4 | 388 | - | RL
PNAS | 25.8 | 8.1 | 5.1 | 588 | 225 | SMBO
AmoebaNet-C | 24.3 | 7.6 | 6.4 | 570 | 3150 | evolution
DARTS (second-order) | 26.7 | 8.7 | 4.7 | 574 | 4.0 | gradient-based
SNAS (mild) | 27.3 | 9.2 | 4.3 | 522 | 1.5 | gradient-based
BayesNAS | 26.5 | 8.9 | 3.9 | - | 0.2 | gradient-based
P-DARTS (CIFAR10) | 24.4 | 7.4 | 4.9 | 557 | 0.3 | gradient-based
ProxylessNAS (GPU) | 24.9 | 7.5 | 7.1 | 465 | 8.3 | gradient-based
PC-DARTS | 24.2 | 7.3 | 5.3 | 597 | 3.8 | gradient-based
DARTS+ | 23.9 | 7.4 | 5.1 | 582 | 6.8 | gradient-based
Amended-DARTS, S2 | 24.3 | 7.4 | 5.5 | 590 | 1.1 | gradient-based
""",
    own=("Amended-DARTS, S2",),
)
"""ILSVRC2012. ProxylessNAS, PC-DARTS and DARTS+ were searched on ImageNet itself."""

REPAIRED: Mapping[tuple[str, str, str], str] = {
    ("Table 1", "DenseNet-BC", ERROR): "346",
    ("Table 1", "ENAS", ERROR): "289",
    ("Table 2", "NASNet-A", TOP_5): "^^81^^",
    ("Table 2", "DARTS (second-order)", TOP_5): "^^87~^",
}
"""Cells that the extraction garbled, as it has them; two letters in names are repaired too."""
