"""Other cures beside amended: every run goes at tiny size, and every claim follows its rule."""

from dataclasses import dataclass, replace

import pytest

from benchmarks.experiments.collapse import RANDOM_CELL_PERCENT
from benchmarks.experiments.cures import (
    CURES,
    CURES_EXPERIMENT,
    P_DARTS,
    PC_DARTS,
    SWITCHES,
    result,
)
from benchmarks.experiments.definition import NOT_RUN, NOT_SUPPORTED, SUPPORTED, UNDECIDED
from benchmarks.experiments.record import RunRecord, fold, journal_lines
from benchmarks.experiments.run import carry_out
from benchmarks.experiments.searched import Searched
from benchmarks.experiments.setting import METHODS, SMALL
from darts.data import Digits
from darts.methods.early_stopping import Epoch, Stop, Stopped
from tests.benchmarks.test_claims_of_experiments import (
    DIFFERENCES,
    GOOD,
    MORE,
    NONE_DOES,
    SKIPS,
    ending,
    run,
)
from tests.benchmarks.test_experiments import ACCURACY, TINY

IMAGES = Digits(train_size=20)
ONE_STEP = replace(TINY, data=IMAGES, search=replace(TINY.search, channels=8))
"""An epoch of one step; PC-DARTS takes a quarter of the channels."""


def epochs_of(method: str) -> int:
    return 3 if method == P_DARTS else 1


def tiny(method: str) -> Searched:
    (planned,) = (r for r in CURES_EXPERIMENT.runs if (r.method, r.seed) == (method, 0))
    assert isinstance(planned, Searched)
    lengths = {"epochs": epochs_of(method), "frozen_epochs": 0}
    sizes = {"cutout": 4} if "cutout" in planned.changes else {}
    return replace(planned, setting=ONE_STEP, changes={**planned.changes, **lengths, **sizes})


@pytest.mark.parametrize("method", CURES | SWITCHES)
def test_every_run_goes_at_tiny_size_and_becomes_a_record(method, tmp_path):
    planned, journal = tiny(method), tmp_path / "j.jsonl"
    assert carry_out(planned, IMAGES.load(), tmp_path / "run", journal) == "complete"
    (record,) = fold(journal_lines([journal]), ACCURACY)
    assert record.complete
    assert record.epochs == epochs_of(method)
    assert result(record) == 50.0


def test_a_stopped_run_of_stages_goes_on_to_the_same_record(tmp_path):
    records = []
    for name, lives in (("whole", 0), ("cut", 2)):  # the second life begins the second stage
        journal = tmp_path / f"{name}.jsonl"
        for _ in range(lives):
            place = (tmp_path / name, journal)
            assert carry_out(tiny(P_DARTS), IMAGES.load(), *place, deadline=0.0) == "stopped"
        assert carry_out(tiny(P_DARTS), IMAGES.load(), tmp_path / name, journal) == "complete"
        (record,) = fold(journal_lines([journal]), ACCURACY)
        left_out = ("wall_seconds", "environment")
        records.append({k: v for k, v in record.content.items() if k not in left_out})
    assert records[0] == records[1]


@dataclass(frozen=True)
class AfterTwo(Stop):
    """Two epochs are enough, and the first was the better one."""

    def __call__(self, epochs: list[Epoch]) -> Stopped | None:
        return Stopped(0, "two are enough") if len(epochs) == 2 else None


def test_a_search_that_a_rule_ends_is_complete_and_read_where_the_rule_says(tmp_path):
    stopping = Searched(ONE_STEP, "m", 0, METHODS["first-order"], {"stop": AfterTwo()})
    journal = tmp_path / "j.jsonl"
    for _ in range(2):  # the second time nothing is left to do
        assert carry_out(stopping, IMAGES.load(), tmp_path / "run", journal) == "complete"
    lines = journal_lines([journal])
    assert [line["kind"] for line in lines].count("ended") == 1
    (record,) = fold(lines, ACCURACY)
    assert (record.epochs, record.complete) == (2, True)
    assert record.content["stopped"] == {"kept_epoch": 0, "reason": "two are enough"}
    (half,) = fold([line for line in lines if line["kind"] != "ended"], ACCURACY)
    assert not half.complete


def verdict(beginning: str, records: list[RunRecord]) -> str:
    (found,) = (c for c in CURES_EXPERIMENT.claims if c.text.startswith(beginning))
    return found.judge(records)[0]


FAILS = [
    {"cells": ending(SKIPS, 91), "accuracy": 95.0},
    {"cells": [GOOD] * 100, "accuracy": [95.0] * 99 + [RANDOM_CELL_PERCENT - 0.01]},
]
FINE = {"cells": ending(SKIPS, 92), "accuracy": [10.0] * 99 + [RANDOM_CELL_PERCENT]}


@pytest.mark.parametrize(("method", "name"), [(P_DARTS, "P-DARTS"), (PC_DARTS, "PC-DARTS")])
@pytest.mark.parametrize("failing", FAILS)
@pytest.mark.parametrize(("which", "opposite"), NONE_DOES)
def test_a_method_can_fail_if_any_complete_run_does(method, name, failing, which, opposite):
    swapped = {SUPPORTED: NOT_SUPPORTED, NOT_SUPPORTED: SUPPORTED}
    wanted = swapped.get(opposite, opposite)
    records = [run(method, seed, **(failing if so else FINE)) for seed, so in enumerate(which)]
    assert verdict(f"{name} can fail", records) == wanted
    unfinished = [RunRecord({**record.content, "complete": False}) for record in records]
    assert verdict(f"{name} can fail", unfinished) == NOT_RUN


BESIDE = [(f"The amended search ends in a better cell than {c.words}", "amended", m)
          for m, c in CURES.items()]  # fmt: skip
BESIDE += [(f"The amended search finds a better cell with {s.words}", m, "amended")
           for m, s in SWITCHES.items()]  # fmt: skip


@pytest.mark.parametrize(("beginning", "first", "second"), BESIDE)
@pytest.mark.parametrize(("gap", "seeds", "wanted"), DIFFERENCES)
def test_the_sign_of_a_paired_difference_decides(beginning, first, second, gap, seeds, wanted):
    records = [
        each
        for seed, more in list(enumerate(MORE))[:seeds]
        for each in (
            run(first, seed, accuracy=[0.0] * 99 + [80.0 + seed + gap + more]),
            run(second, seed, accuracy=[99.0] * 99 + [80.0 + seed]),
        )
    ]
    assert verdict(beginning, records) == wanted


def test_a_run_that_its_rule_ended_counts_with_the_cell_that_the_rule_keeps():
    beginning = f"The amended search ends in a better cell than {CURES['darts-plus'].words}"
    records = []
    for seed, more in enumerate(MORE):
        records.append(run("amended", seed, accuracy=90.0 + more))
        early = run("darts-plus", seed, cells=[GOOD] * 5, accuracy=[80.0, 89.0, 95.0, 95.0, 95.0])
        records.append(early)
    assert verdict(beginning, records) == UNDECIDED  # five epochs and no rule: too short
    stopped = {"kept_epoch": 1, "reason": "r"}
    ended = [
        RunRecord({**r.content, "stopped": stopped}) if r.method == "darts-plus" else r
        for r in records
    ]
    assert verdict(beginning, ended) == SUPPORTED


def test_every_claim_is_tried_here_and_every_run_is_in_the_setting():
    assert len(CURES_EXPERIMENT.claims) == 2 + len(BESIDE)
    assert {planned.setting for planned in CURES_EXPERIMENT.runs} == {SMALL}
    assert {planned.seed for planned in CURES_EXPERIMENT.runs} == {0, 1, 2}
    by_name = {planned.method: planned.config for planned in CURES_EXPERIMENT.runs}
    assert (by_name[P_DARTS].epochs, by_name[PC_DARTS].epochs) == (4 * 75, 4 * 50)
