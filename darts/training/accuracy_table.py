"""True accuracies of every network of NAS-Bench-201: a search is scored without training."""

import csv
import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from darts.spaces import NASBENCH201, Genotype
from darts.spaces.nasbench201 import digits

COLUMNS = {
    "c10_test_200ep": "table_cifar10_percent",
    "c100_test_200ep": "table_cifar100_percent",
    "in16_test_200ep": "table_imagenet16_percent",
}
"""Column of the file → name in records: test accuracy after 200 epochs, mean over seeds."""


@dataclass(frozen=True)
class AccuracyTable:
    """Accuracies in per cent by the digits of a cell (Dong & Yang 2020).

    The file is CSV, gzipped or not: a column `ops` with a digit an edge, the operation's place
    in the space, and the three of `COLUMNS`.
    """

    rows: Mapping[str, Mapping[str, float]]

    @staticmethod
    def read(path: str | Path) -> "AccuracyTable":
        """The table in a file.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it is no such table, or not of all 15,625 cells.
        """
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(
                f"No accuracy table {path}. Give --accuracy-table the CSV file of NAS-Bench-201, "
                "or leave it out to search without scores."
            )
        opened = gzip.open if path.suffix == ".gz" else open
        try:
            with opened(path, "rt", encoding="utf-8", newline="") as file:
                rows = {
                    row["ops"]: {name: float(row[column]) for column, name in COLUMNS.items()}
                    for row in csv.DictReader(file)
                }
        except (OSError, EOFError, KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{path} is no accuracy table ({type(error).__name__}: {error}): it needs the "
                f"columns ops, {', '.join(COLUMNS)}, with numbers."
            ) from error
        if len(rows) != len(NASBENCH201):
            raise ValueError(
                f"{path} has {len(rows)} cells, and NAS-Bench-201 {len(NASBENCH201)}. Give the "
                "whole table."
            )
        return AccuracyTable(rows)

    def __call__(self, genotype: Genotype) -> dict[str, float]:
        """The accuracies of a cell of NAS-Bench-201."""
        return dict(self.rows[digits(genotype)])

    def best(self, name: str) -> float:
        """The highest accuracy in the table under one name of `COLUMNS`."""
        return max(row[name] for row in self.rows.values())
