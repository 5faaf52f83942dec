"""Random search at equal cost: its budget, its draws, its record, and the rule of its claims."""

import gzip
from math import comb, sqrt
from statistics import fmean

import pytest

from benchmarks.experiments import random_search
from benchmarks.experiments.definition import NOT_RUN, NOT_SUPPORTED, SUPPORTED, UNDECIDED
from benchmarks.experiments.ends import accuracy_at
from benchmarks.experiments.journal import fold, journal_lines
from benchmarks.experiments.page import page
from benchmarks.experiments.paired import interval
from benchmarks.experiments.random_search import (
    CELLS,
    RANDOM_SEARCH,
    RandomSearches,
    genotype_of,
    name_of,
    one_random_search,
    step_of_a_training,
)
from benchmarks.experiments.record import RunRecord, read_records
from benchmarks.experiments.run import carry_out
from benchmarks.experiments.setting import METHODS, SMALL
from darts.spaces.nasbench201 import digits
from tests.benchmarks.made_records import made_record
from tests.benchmarks.test_claims_of_experiments import GOOD, MORE, run
from tests.benchmarks.test_experiments import IMAGES, TINY
from tests.darts.data.real_files import real

COLUMNS = ("c10_test_200ep", "c100_test_200ep", "in16_test_200ep", "c10_valid_12ep")


def test_the_mean_of_many_random_searches_is_that_of_the_best_of_n_in_closed_form():
    """Of N cells the one of rank i is the best of n with probability C(N−1−i, n−1)/C(N, n)."""
    size, n, searches = len(CELLS), 7, 1000
    table = {cell: (float(k), float(k * k)) for k, cell in enumerate(CELLS)}
    shares = [comb(size - 1 - rank, n - 1) / comb(size, n) for rank in range(size)]
    values = [float((size - 1 - rank) ** 2) for rank in range(size)]
    mean = sum(p * v for p, v in zip(shares, values, strict=True))
    spread = sqrt(sum(p * (v - mean) ** 2 for p, v in zip(shares, values, strict=True)))
    found = [one_random_search(table, n, seed)[1] for seed in range(searches)]
    assert abs(fmean(found) - mean) < 4 * spread / sqrt(searches)


def test_the_best_by_validation_is_kept_and_judged_by_its_test_accuracy():
    table = dict.fromkeys(CELLS, (1.0, 90.0)) | {"333333": (2.0, 10.0)}
    assert one_random_search(table, len(CELLS), 0) == ("333333", 10.0)


def test_multiply_adds_of_a_cell_add_up_over_its_edges():
    """So the mean over all cells is that over the four whose edges are alike."""
    images = IMAGES.load()
    alike = {d: step_of_a_training(6 * d, TINY, images) for d in "1234"}
    assert 6 * step_of_a_training("123413", TINY, images) == sum(alike[d] for d in "123413")
    assert alike["3"] > alike["2"] > alike["1"]
    assert digits(genotype_of("123413")) == "123413"


def test_a_run_becomes_a_record_with_as_many_cells_as_the_search_pays_for(tmp_path, monkeypatch):
    (tmp_path / "nas_tables").mkdir()
    cells = [f"{first}{rest}" for first in "01234" for rest in _codes(5)]
    lines = [f"{cell},{90 + int(cell[0])},1,1,{cell[0]}" for cell in cells]
    with gzip.open(tmp_path / "nas_tables/nasbench201.csv.gz", "wt") as file:
        file.write("\n".join([",".join(["ops", *COLUMNS]), *lines]) + "\n")
    monkeypatch.setenv("DARTS_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(random_search, "DRAWS", 50)
    planned = RandomSearches(TINY, name_of("amended"), 0, METHODS["amended"])
    journal = tmp_path / "j.jsonl"
    assert carry_out(planned, IMAGES.load(), tmp_path / "run", journal) == "complete"
    (record,) = fold(journal_lines([journal]), {})
    result = record.content["result"]
    assert record.content["config"] == planned.content
    assert result["cells"] == result["search_multiply_adds"] // result["training_multiply_adds"]
    assert result["cells"] > 1
    assert result["mean_percent"] == pytest.approx(fmean(result["accuracies_percent"]), abs=1e-4)
    assert set(result["accuracies_percent"]) <= {91.0, 92.0, 93.0, 94.0}  # none is never drawn
    assert len(result["accuracies_percent"]) == 50


def _codes(length: int) -> list[str]:
    return [""] if not length else [c + d for c in _codes(length - 1) for d in "01234"]


def drawn(twin: str, mean: float) -> RunRecord:
    result = {"mean_percent": mean, "cells": 9, "deviation_percent": 0.5}
    return made_record(
        SMALL.name, name_of(twin), 0, result={**result, "accuracies_percent": [mean]}
    )


@pytest.mark.parametrize("twin", ["amended", "first-order"])
@pytest.mark.parametrize(
    ("accuracy", "seeds", "verdict"),
    [
        (93.01, 3, SUPPORTED),
        (92.98, 3, NOT_SUPPORTED),
        (92.999, 3, UNDECIDED),
        (93.01, 2, UNDECIDED),
        (93.01, 0, NOT_RUN),
    ],
)
def test_a_search_beats_random_search_above_the_mean_at_its_own_cost(
    twin, accuracy, seeds, verdict
):
    other = next(t for t in ("amended", "first-order") if t != twin)
    records = [drawn(twin, 93.0), drawn(other, 50.0)]
    records += [run(twin, seed, accuracy=accuracy + MORE[seed]) for seed in range(seeds)]
    place = ["amended", "first-order"].index(twin)
    assert RANDOM_SEARCH.claims[place].judge(records)[0] == verdict
    assert RANDOM_SEARCH.claims[place].judge(records[1:])[0] == NOT_RUN
    if seeds == 3:
        share = "0.0 %" if accuracy > 93 else "100.0 %" if accuracy < 92.99 else "0: 100.0 %"
        assert share in RANDOM_SEARCH.report.table(records)


def test_a_page_has_no_empty_table_for_searches_that_have_shorter_records_elsewhere():
    def timed(record):
        made = {"wall_seconds": 1.0, "environment": {"packages": {"torch": "2"}}}
        return RunRecord({**record.content, **made})

    records = [timed(drawn("amended", 93.0)), timed(run("amended", 0))]
    elsewhere = timed(run("amended", 0, cells=[GOOD] * 50))
    sentence = "The same runs on other machines"
    assert sentence not in page(RANDOM_SEARCH, records, [*records, elsewhere])
    more = timed(drawn("amended", 92.0))
    assert sentence in page(RANDOM_SEARCH, records, [*records, elsewhere, more])


def test_the_words_on_random_search_are_those_of_the_records_and_of_the_table():
    """Searches that ended early are also set beside random search at the cost that they had."""
    records = RANDOM_SEARCH.mine(read_records())
    table = random_search.read_columns(real("nas_tables/nasbench201.csv.gz"))
    words = f"{RANDOM_SEARCH.reading} {' '.join(RANDOM_SEARCH.deviations)}"
    for twin in ("amended", "first-order"):
        (draws,) = (r.content["result"] for r in records if r.method == name_of(twin))
        runs = [r for r in records if r.method == twin]
        ends = [accuracy_at(r, r.epochs) for r in runs]
        assert max(ends) < draws["mean_percent"]
        share = draws["search_multiply_adds"] / 200 / draws["training_multiply_adds"]
        counts = [int(share * r.epochs) for r in runs]
        assert f"{min(counts)} to {max(counts)} " in words
        kept = [fmean(one_random_search(table, n, seed)[1] for seed in range(1000)) for n in counts]
        low, high = f"{min(kept):.1f}", f"{max(kept):.1f}"
        assert (low if low == high else f"{low} to {high}") in " ".join(words.split())
        assert (
            str(interval([a - b for a, b in zip(ends, kept, strict=True)])).split(" (")[0] in words
        )
        if twin == "amended":
            lower = [f"{draws['mean_percent'] - end:.1f}" for end in ends]
            assert f"{lower[0]}, {lower[1]} and {lower[2]} points below its" in words
            better = [fmean(a > end for a in draws["accuracies_percent"]) for end in ends]
            assert f"{100 * min(better):.1f} to {100 * max(better):.0f} %" in words
