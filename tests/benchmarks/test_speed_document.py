"""docs/SPEED.md: figures of its tables are those of records, to the digits printed."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests import documents

PAGE = "docs/SPEED.md"
NUMBER = re.compile(r"\d+(?:\.\d+)?")


def record(name: str) -> Any:
    path = documents.ROOT / "docs" / "records" / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8"))


STEPS = record("supernet")
OWN, REFERENCE = "in units of weight step", "in units of reference: weight step"


def inverse(units: dict[str, float]) -> list[float]:
    """How much faster: from the reference's share of time, lowest and highest exchanged."""
    return [1 / units[key] for key in ("median", "high", "low")]


def spread(units: dict[str, float]) -> list[float]:
    return [units[key] for key in ("median", "low", "high")]


def step(setting: str, name: str) -> Any:
    return STEPS[setting]["steps"][name]


def seconds(name: str) -> float:
    found: float = step("S1, batch 64", name)["seconds"]["median"]
    return found


ROWS = {
    "weight step, batch 64": inverse(step("S1, batch 64", "weight step")[REFERENCE]),
    "the same in PyTorch": inverse(step("S1, batch 64", "PyTorch alone: weight step")[REFERENCE]),
    "first-order α step": [
        seconds("reference: first-order α step") / seconds("first-order α step")
    ],
    "exact amended step, batch 16": spread(STEPS["trade"]["cells recomputed"]["0 cells"]["time"]),
    "amended step by differences": spread(step("S1, batch 16", "amended, differences")[OWN]),
    "exact amended step, batch 64": [
        seconds("reference: DARTS second order") / seconds("amended, exact")
    ],
    "memory of the weight step": [
        STEPS["S1, batch 64"]["peak MiB"]["weight step"]
        / STEPS["S1, batch 64"]["peak MiB"]["reference: weight step"]
    ],
    "memory of the exact amended step": [
        STEPS["trade"]["cells recomputed"][cells]["memory"] for cells in ("0 cells", "3 cells")
    ],
    "images, records": [
        100
        * record("input_pipeline")["batch 96"][
            "images and records of a search step, share of a weight step"
        ]["median"]
    ],
    "evaluation after each epoch": [
        100 * record("supernet_overheads")["amended, exact"]["shares"]["evaluation"]
    ],
}
SHOWN = documents.rows_below(PAGE, "| figure | goal |")


@pytest.mark.parametrize("row", SHOWN, ids=lambda row: row[0])
def test_a_step_is_that_of_the_record(row: list[str]) -> None:
    (values,) = (values for start, values in ROWS.items() if row[0].startswith(start))
    figures = NUMBER.findall(row[2])
    for figure, value in zip(figures, values, strict=True):
        assert documents.prints(figure, value), (row[0], figure, value)


def test_every_step_of_the_table_is_looked_at() -> None:
    assert len(SHOWN) == len(ROWS)


def test_a_goal_is_met_or_missed_as_its_figure_says() -> None:
    for what, goal, found, verdict in SHOWN:
        bound = NUMBER.search(goal)
        if bound is None:
            assert not verdict, what
            continue
        figure, limit = float(NUMBER.findall(found)[0]), float(bound[0])
        met = figure >= limit if goal.startswith("≥") else figure <= limit
        assert verdict == {True: "met", False: "**missed**"}[met] or "only with" in verdict, what


def test_memory_against_time_is_that_of_the_record() -> None:
    trade = STEPS["trade"]["cells recomputed"].values()
    for (_, time, memory), found in zip(
        documents.rows_below(PAGE, "| | time | memory |"), trade, strict=True
    ):
        figures = [*NUMBER.findall(time), memory]
        for figure, value in zip(figures, [*spread(found["time"]), found["memory"]], strict=True):
            assert documents.prints(figure, value), (figure, value)
