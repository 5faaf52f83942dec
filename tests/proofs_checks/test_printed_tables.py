"""Tables 1 and 2 are those of the text, and every wrong cell is seen, whether it agrees or not."""

import dataclasses
import re

import pytest

from proofs_checks.printed_tables import REPAIRED, TABLE_1, TABLE_2
from proofs_checks.tables_1_and_2 import (
    CIFAR_IMAGE,
    IMAGENET_IMAGE,
    NOT_RECOUNTED,
    TABLE_1_CELLS,
    TABLE_2_CELLS,
    EveryCell,
    Recount,
    in_last_digits,
)
from tests.proofs_checks.paper_text import paper_text

TABLES = ((TABLE_1, TABLE_1_CELLS, CIFAR_IMAGE), (TABLE_2, TABLE_2_CELLS, IMAGENET_IMAGE))
CELLS = [
    pytest.param(table, cell, image, id=f"{table.name}, {cell.row}, {cell.column}")
    for table, cells, image in TABLES
    for cell in cells
]


def rows_of_the_text(table):
    """Lines of the text above the table's caption that have its number of tabs."""
    text = paper_text()
    end = text.index(f"{table.name}: Comparison")
    start = text.rindex("Architecture\t", 0, end)
    lines = [line.split("\t") for line in text[start:end].splitlines()]
    rows = [line for line in lines if len(line) == len(table.columns) + 1]
    return [line for line in rows if line[0] not in ("", "Architecture")]


def simplified(name):
    """Without citation, cutout, marks and the extraction's slips: "PrOxylessNAS", "Hireachical"."""
    name = re.sub(r"\((?:[^()]*\d{4}[ab]?)\)", "", name)
    name = name.replace("w/ Cutout", "").replace("*", "").replace("Hireachical", "Hierarchical")
    return re.sub(r"[ ,]+", " ", name).strip().lower()


@pytest.mark.parametrize("table", [TABLE_1, TABLE_2], ids=lambda table: table.name)
def test_every_cell_is_that_of_the_text(table):
    printed = {simplified(name): cells for name, *cells in rows_of_the_text(table)}
    assert list(printed) == [simplified(row) for row in table.rows]
    for row, ours in table.rows.items():
        for column, cell, theirs in zip(table.columns, ours, printed[simplified(row)], strict=True):
            wanted = REPAIRED.get((table.name, row, column), cell)
            assert theirs.replace("〜", "~").replace(" ", "") == wanted.replace(" ", ""), (
                row,
                column,
            )


def test_repairs_keep_the_digits():
    for (name, row, column), garbled in REPAIRED.items():
        table = {"Table 1": TABLE_1, "Table 2": TABLE_2}[name]
        assert re.sub(r"\D", "", garbled) == table.cell(row, column).replace(".", "")


def test_a_count_is_compared_in_the_last_digit_printed():
    assert in_last_digits(3_349_342, "3.3") == (33, 33)
    assert in_last_digits(529_911_552, "574") == (574, 530)
    assert in_last_digits(7_393_996, "~5") == (5, 7)


@pytest.mark.parametrize("step", [1, -1])
@pytest.mark.parametrize(("table", "cell", "image"), CELLS)
def test_one_digit_more_or_less_in_the_table_is_seen(table, cell, image, step, monkeypatch):
    """Agreeing and differing cells alike; the count itself is not made anew here."""
    monkeypatch.setattr("proofs_checks.tables_1_and_2.recount", lambda planted, _: planted.counted)
    assert Recount("", table, (cell,), image).verify().passed
    printed = table.cell(cell.row, cell.column)
    digits = len(printed.partition(".")[2])
    wrong = f"{float(printed.lstrip('~')) + step / 10**digits:.{digits}f}"
    cells = list(table.rows[cell.row])
    cells[table.columns.index(cell.column)] = wrong
    planted = dataclasses.replace(table, rows={**table.rows, cell.row: tuple(cells)})
    outcome = Recount("", planted, (cell,), image).verify()
    assert not outcome.passed
    assert "in the last digit" in outcome.reason


@pytest.mark.parametrize("position", [1, 4])
@pytest.mark.parametrize("more", [1, -1])
def test_a_wrong_count_is_seen_in_a_cell_that_agrees_and_in_one_that_differs(position, more):
    cell = TABLE_1_CELLS[position]
    planted = dataclasses.replace(cell, counted=cell.counted + more)
    outcome = Recount("", TABLE_1, (planted,), CIFAR_IMAGE).verify()
    assert not outcome.passed
    assert "counted" in outcome.reason


@pytest.mark.parametrize(("table", "cells", "image"), TABLES)
def test_a_cell_left_out_twice_there_or_not_of_the_table_is_seen(table, cells, image, monkeypatch):
    columns = tuple(dict.fromkeys(cell.column for cell in cells))
    assert EveryCell("", table, cells, columns).verify().passed
    assert not EveryCell("", table, cells[1:], columns).verify().passed
    assert not EveryCell("", table, (*cells, cells[0]), columns).verify().passed
    stranger = dataclasses.replace(cells[0], row="AmoebaNet-A")
    assert not EveryCell("", table, (*cells, stranger), columns).verify().passed
    reasons = dict(NOT_RECOUNTED[table.name])
    reasons.popitem()
    monkeypatch.setitem(NOT_RECOUNTED, table.name, reasons)
    assert not EveryCell("", table, cells, columns).verify().passed
