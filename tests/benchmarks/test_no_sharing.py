"""S2 with six cells: a run at tiny size, and every claim on records just beside its line."""

from dataclasses import replace

import pytest

from benchmarks.experiments.journal import fold, journal_lines
from benchmarks.experiments.kept import kinds
from benchmarks.experiments.no_sharing import HIGH, KINDS, NO_SHARING, RANDOM_NAMES, SETTING
from benchmarks.experiments.record import RunRecord
from benchmarks.experiments.retrained import RetrainedSearch
from benchmarks.experiments.run import carry_out
from benchmarks.experiments.setting import METHODS
from darts.data import Digits
from tests.benchmarks.made_records import made_record
from tests.benchmarks.test_all_edges import timeless
from tests.benchmarks.test_claims_of_experiments import ALL_DO, DIFFERENCES, MORE, NONE_DOES

IMAGES = Digits(train_size=20)
TINY = replace(
    SETTING,
    name="tiny-s2",
    data=IMAGES,
    search=replace(SETTING.search, epochs=1, batch_size=10, channels=2, checkpoint_share=1.0),
    retrain=replace(SETTING.retrain, epochs=1, batch_size=10, channels=2, checkpoint_share=1.0),
    after=(1,),
)


def test_a_stopped_run_goes_on_to_the_same_record_and_has_all_cells(tmp_path):
    run = RetrainedSearch(TINY, "first-order", 0, METHODS["first-order"])
    records = []
    for name, lives in (("whole", 0), ("cut", 2)):
        place = (tmp_path / name, tmp_path / f"{name}.jsonl")
        for _ in range(lives):  # a step of the search, and one of the training
            assert carry_out(run, IMAGES.load(), *place, deadline=0.0) == "stopped"
        assert carry_out(run, IMAGES.load(), *place) == "complete"
        (record,) = fold(journal_lines([place[1]]), {})
        records.append(record)
    whole, cut = records
    assert timeless(whole) == timeless(cut)
    assert whole.complete
    assert kinds(whole) == list(KINDS) == [f"cell_{k}" for k in range(6)]
    for name in ("cells", "cells_without_none", "kept"):
        assert [len(text) for text in whole.content[name][0].split(" ")] == [8] * 6
    assert "| first-order | 0 | 1 of 1 |" in NO_SHARING.report.table([whole])


def run(method: str, seed: int, skips: int, accuracy: float = 50.0) -> RunRecord:
    """A search that ends with so many skips among the upper 24 edges, and with all below them."""
    upper = "0" * skips + "1" * (24 - skips)
    cells = " ".join(["0" * 8] * 3 + [upper[k : k + 8] for k in (0, 8, 16)])
    operations = ["skip_connect", "sep_conv_3x3"]
    return made_record(
        SETTING.name,
        method,
        seed,
        config={"search": {"space": {"operations": operations}}},
        cells=[cells] * 200,
        cells_without_none=[cells] * 200,
        weights={f"{kind} {name}": [0.5] * 200 for kind in KINDS for name in operations},
        retrained={"200": {"test_accuracy_percent": accuracy}},
    )


def randoms(seed: int, accuracy: float) -> list[RunRecord]:
    result = {"test_accuracy_percent": accuracy, "params_millions": 0.01}
    return [made_record(SETTING.name, name, seed, result=result) for name in RANDOM_NAMES]


def verdict(beginning: str, records: list[RunRecord]) -> str:
    (found,) = (c for c in NO_SHARING.claims if c.text.startswith(beginning))
    return found.judge(records)[0]


@pytest.mark.parametrize(("which", "wanted"), ALL_DO)
def test_darts_fills_the_upper_cells_if_more_than_half_is_skip_in_all_runs(which, wanted):
    records = [run("first-order", seed, 13 if so else 12) for seed, so in enumerate(which)]
    assert verdict("First-order DARTS in S2 fills", records) == wanted


@pytest.mark.parametrize(("which", "wanted"), NONE_DOES)
def test_the_amended_search_does_not_if_no_run_does(which, wanted):
    records = [run("amended", seed, 13 if so else 12) for seed, so in enumerate(which)]
    assert verdict("The amended search in S2 does not", records) == wanted


@pytest.mark.parametrize(("gap", "seeds", "wanted"), DIFFERENCES)
def test_the_sign_of_a_paired_difference_decides(gap, seeds, wanted):
    def records(first: str, second: str) -> list[RunRecord]:
        found = []
        for seed, more in list(enumerate(MORE))[:seeds]:
            of = {"amended": 50.0, "first-order": 50.0, "random": 50.0}
            of |= {first: 80.0 + seed + gap + more, second: 80.0 + seed}
            found += [run(method, seed, 0, of[method]) for method in ("amended", "first-order")]
            found += randoms(seed, of["random"])
        return found

    for beginning, first, second in (
        ("In S2 the amended search ends in a better network than first", "amended", "first-order"),
        ("In S2 the amended search ends in a better network than random", "amended", "random"),
        ("In S2 first-order DARTS ends in a better", "first-order", "random"),
    ):
        assert verdict(beginning, records(first, second)) == wanted


def test_every_claim_is_tried_here():
    assert len(NO_SHARING.claims) == 5
    assert HIGH == ("cell_3", "cell_4", "cell_5")
    assert {planned.seed for planned in NO_SHARING.runs} == {0, 1, 2}
    assert len(NO_SHARING.runs) == 3 * (2 + len(RANDOM_NAMES))
