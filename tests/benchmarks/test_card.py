"""The script for a GPU runs at tiny size here, and its page is that of its record."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.card.__main__ import SECONDS, Book, measured
from benchmarks.card.page import PAGE, RECORD, bars, page, read
from benchmarks.card.steps import (
    CAPTURED,
    EAGER,
    FLOAT32,
    OURS,
    PRODUCT,
    REFERENCE,
    SEARCH,
    WEIGHT,
    named,
)
from benchmarks.card.supernets import EXACT, MAIN, MANY, plan
from benchmarks.card.timing import Cases, Clock

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("card") / "card.json"
    command = [sys.executable, "-m", "benchmarks.card", "--tiny", "--device", "cpu"]
    command += [
        "--budget",
        "600",
        "--parts",
        "b64,nasbench201,products,retraining,pipeline,packing",
        "--out",
        str(out),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "first-order search step" in done.stdout
    found: dict[str, Any] = json.loads(out.read_text())
    return found


@pytest.mark.slow
def test_at_tiny_size_nothing_fails_and_every_step_has_its_ratio(record: dict[str, Any]) -> None:
    for part, kind in (("b64", MANY), ("nasbench201", MAIN)):
        found = record[part]
        assert found["failed"] == {}
        assert found.get("error") is None
        every = {named(*case[:3], step) for case in plan(kind) for step in case[3]}
        assert set(found["seconds"]) | set(found["left out for time"]) == every
    assert named(OURS, CAPTURED, FLOAT32, EXACT) in record["b64"]["seconds"]
    over = named(REFERENCE, EAGER, FLOAT32, SEARCH)
    under = named(OURS, CAPTURED, FLOAT32, SEARCH)
    assert record["b64"]["ratios"][f"{over} / {under}"]["n"] == 2


@pytest.mark.slow
def test_the_page_of_a_record_holds_its_tables(record: dict[str, Any]) -> None:
    text = page(record)
    assert "## S1, batch 64" in text
    assert "## NAS-Bench-201, 15 cells" in text
    assert "## Products of large networks" in text
    assert "## Retraining, 20 cells" in text
    assert "images a second." in text
    assert "| amended search of `s1` | 100 × 25,000 |" in text
    assert "## Several searches at a time" in text
    assert "Not run on a GPU" not in text


def test_a_second_call_adds_to_the_record_and_measures_what_is_missing(tmp_path: Path) -> None:
    place = tmp_path / "card.json"
    first = Book(place, "cpu", "abc")
    assert first.missing() == list(SECONDS)
    first.keep("b64")({"seconds": {"weight step": {"median": 1.0}}})
    first.keep("b96")({"setting": {}, "error": "no memory"})
    first.keep("a")({"passed": False})
    first.keep("packing")({"steps a second": {"1": 2.0}})
    second = Book(place, "cpu", "def")
    assert [part for part in SECONDS if part not in second.missing()] == ["b64", "packing"]
    second.begin("b96")
    second.keep("b96")({"seconds": {"weight step": {"median": 2.0}}})
    found = json.loads(place.read_text())
    assert found["b64"]["seconds"] == {"weight step": {"median": 1.0}}
    assert "error" not in found["b96"]
    assert set(found["made"]) == {"b64", "b96", "a", "packing"}
    found["device"]["name"] = "another card"
    place.write_text(json.dumps(found))
    with pytest.raises(ValueError, match="figures of another card, and this is a CPU"):
        Book(place, "cpu")


def test_what_the_record_lacks_is_measured_in_one_call_of_eight_minutes() -> None:
    record = json.loads((ROOT / RECORD).read_text())
    lacking = [part for part in SECONDS if not measured(part, record.get(part, {}))]
    assert sum(SECONDS[part] for part in lacking) <= 480


def test_the_page_is_that_of_the_record() -> None:
    """`python -m benchmarks.card.page` writes it anew."""
    assert (ROOT / PAGE).read_text() == page(read(ROOT / RECORD))


def record_with(search: float, exact: float, memory: float) -> dict[str, Any]:
    def ratio(value: float) -> dict[str, float]:
        return {"median": value, "low": value, "high": value, "n": 3}

    own, weight = (
        named(PRODUCT, CAPTURED, FLOAT32, EXACT),
        named(PRODUCT, CAPTURED, FLOAT32, WEIGHT),
    )
    first = named(REFERENCE, EAGER, FLOAT32, SEARCH), named(PRODUCT, CAPTURED, FLOAT32, SEARCH)
    peaks = {named(PRODUCT, EAGER, FLOAT32, WEIGHT): memory}
    peaks |= {named(REFERENCE, EAGER, FLOAT32, WEIGHT): 1.0}
    seconds = {first[1]: {"median": 0.05}, own: {"median": 0.1}, weight: {"median": 0.02}}
    ratios = {f"{first[0]} / {first[1]}": ratio(search), f"{own} / {weight}": ratio(exact)}
    return {"b64": {"ratios": ratios, "seconds": seconds}, "b96": {"peak MiB": peaks}}


@pytest.mark.parametrize(
    ("record", "verdicts"),
    [
        (record_with(4.1, 4.4, 0.4), ["met"] * 5 + ["not measured"]),
        (record_with(3.9, 4.6, 0.6), ["**missed**"] * 3 + ["met"] * 2 + ["not measured"]),
        ({}, ["not measured"] * 6),
    ],
    ids=["met", "missed", "empty"],
)
def test_each_bar_is_met_missed_or_not_measured(
    record: dict[str, Any], verdicts: list[str]
) -> None:
    """390 steps of .05 s in 50 epochs are .27 h, of .12 s in 100 epochs 1.3 h."""
    rows = list(bars(record))[2:]
    assert [row.rpartition("|")[0].rpartition("|")[2].strip() for row in rows] == verdicts


def test_a_call_that_fails_is_left_out_and_the_others_go_on() -> None:
    def broken() -> None:
        raise RuntimeError("no memory")

    cases = Cases("cpu")
    cases.add("sound", lambda: lambda: None)
    cases.add("broken", lambda: broken)
    seconds = cases.rounds(Clock(60), most=3)
    assert list(seconds) == ["sound"]
    assert len(seconds["sound"]) == 3
    assert "no memory" in cases.failed["broken"]


def test_rounds_end_with_the_budget() -> None:
    cases = Cases("cpu", {"call": lambda: None})
    assert len(cases.rounds(Clock(0), most=50, least=2)["call"]) == 2
