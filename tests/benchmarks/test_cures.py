"""Other cures beside amended: every run goes at tiny size, and every claim follows its rule."""

from dataclasses import dataclass, replace
from itertools import product

import pytest
import torch

from benchmarks.experiments.cures import (
    CURES,
    CURES_EXPERIMENT,
    P_DARTS,
    PC_DARTS,
    SWITCHES,
)
from benchmarks.experiments.definition import NOT_RUN, NOT_SUPPORTED, SUPPORTED, UNDECIDED
from benchmarks.experiments.final_cell import final_accuracy
from benchmarks.experiments.journal import fold, journal_lines
from benchmarks.experiments.plots import CellCurves
from benchmarks.experiments.record import RunRecord
from benchmarks.experiments.run import carry_out
from benchmarks.experiments.searched import Searched
from benchmarks.experiments.setting import METHODS, SMALL
from darts.data import Digits, SearchData
from darts.methods import Removal, Sigmoid, ZeroOne
from darts.methods.early_stopping import Epoch, Stop, Stopped
from darts.spaces import NASBENCH201
from darts.training.searching import Searching
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
    small = {"epochs": epochs_of(method), "frozen_epochs": 0}
    smaller = {"cutout": 4, "selection": Removal(epochs=1), "evaluation_images": 10}
    small |= {name: value for name, value in smaller.items() if name in planned.changes}
    return replace(planned, setting=ONE_STEP, changes={**planned.changes, **small})


@pytest.mark.parametrize("method", CURES | SWITCHES)
def test_every_run_goes_at_tiny_size_and_becomes_a_record(method, tmp_path):
    planned, journal = tiny(method), tmp_path / "j.jsonl"
    assert carry_out(planned, IMAGES.load(), tmp_path / "run", journal) == "complete"
    (record,) = fold(journal_lines([journal]), ACCURACY)
    assert record.complete
    assert record.epochs == epochs_of(method)
    assert final_accuracy(record) == 50.0


def test_a_stopped_run_of_stages_goes_on_to_the_same_record(tmp_path):
    records = []
    for name, lives in (("whole", 0), ("cut", 2)):  # the second life begins the second stage
        journal = tmp_path / f"{name}.jsonl"
        for _ in range(lives):
            place = (tmp_path / name, journal)
            assert carry_out(tiny(P_DARTS), IMAGES.load(), *place, deadline=0.0) == "stopped"
        assert carry_out(tiny(P_DARTS), IMAGES.load(), tmp_path / name, journal) == "complete"
        records += map(timeless, fold(journal_lines([journal]), ACCURACY))
    assert records[0] == records[1]


def timeless(record: RunRecord) -> dict[str, object]:
    left_out = ("wall_seconds", "environment")
    return {name: value for name, value in record.content.items() if name not in left_out}


@pytest.mark.parametrize("method", CURES | SWITCHES)
def test_the_page_names_the_runs_that_do_not_share_the_initial_weights(method):
    """And α begins alike in all."""
    planned = tiny(method)
    other = "amended" if method in SWITCHES else "first-order"
    beside = Searched(ONE_STEP, other, 0, METHODS[other])
    halves = SearchData.of(IMAGES.load(), 0.5, 0)
    first, second = (Searching(each.config, halves) for each in (planned, beside))
    ours, theirs = (each.supernet.state_dict() for each in (first, second))
    alike = ours.keys() == theirs.keys() and all(
        ours[name].shape == theirs[name].shape and torch.equal(ours[name], theirs[name])
        for name in ours
    )
    assert alike == (method not in (PC_DARTS, "amended-width"))
    assert torch.equal(first.alpha["cell"], second.alpha["cell"])
    if method == P_DARTS:
        first.enter(1)  # the second stage
        assert not torch.equal(first.alpha["cell"], second.alpha["cell"])


@pytest.mark.parametrize(("operations", "words"), [(5, "34 % have two or more"), (4, "46.6 %")])
def test_the_page_says_how_many_random_cells_darts_plus_would_stop_at(operations, words):
    """Counted over all cells, with none and without."""
    cells = list(product(range(operations), repeat=len(NASBENCH201.edges)))
    percent = 100 * sum(cell.count(1) >= 2 for cell in cells) / len(cells)
    said = words.split(" ")[0]
    assert said == f"{percent:.{len(said.partition('.')[2])}f}"
    assert any(words in deviation for deviation in CURES_EXPERIMENT.deviations)


def test_fair_darts_is_refused_for_the_reason_that_the_page_gives():
    with pytest.raises(ValueError, match="'none' can be chosen: its weight takes nothing from the"):
        replace(SMALL.search, mixing=Sigmoid(), alpha_penalty=ZeroOne())
    assert any(d.startswith("FairDARTS is not among") for d in CURES_EXPERIMENT.deviations)


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


def unfinished(record: RunRecord) -> RunRecord:
    return RunRecord({**record.content, "complete": False})


def verdict(beginning: str, records: list[RunRecord]) -> str:
    (found,) = (c for c in CURES_EXPERIMENT.claims if c.text.startswith(beginning))
    return found.judge(records)[0]


COLLAPSED = {"cells": ending(SKIPS, 91), "accuracy": 95.0}
FINE = {"cells": ending(SKIPS, 92), "accuracy": 10.0}
"""A bad cell is no failure, and a good accuracy saves none."""


@pytest.mark.parametrize(
    ("method", "name"),
    [(P_DARTS, "P-DARTS's stages without its limit on skip-connects"), (PC_DARTS, "PC-DARTS")],
)
@pytest.mark.parametrize(("which", "opposite"), NONE_DOES)
def test_a_method_can_fail_if_any_complete_run_collapses(method, name, which, opposite):
    swapped = {SUPPORTED: NOT_SUPPORTED, NOT_SUPPORTED: SUPPORTED}
    wanted = swapped.get(opposite, opposite)
    records = [run(method, seed, **(COLLAPSED if so else FINE)) for seed, so in enumerate(which)]
    assert verdict(f"{name} can fail", records) == wanted
    assert verdict(f"{name} can fail", [unfinished(record) for record in records]) == NOT_RUN


TO_CURES = [(f"The amended search ends in a better cell than {c.words}", "amended", m)
            for m, c in CURES.items()]  # fmt: skip
OF_SWITCHES = [(f"The amended search finds a better cell with {s.words}", m, "amended")
               for m, s in SWITCHES.items()]  # fmt: skip
BESIDE = TO_CURES + OF_SWITCHES


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


@pytest.mark.parametrize(("beginning", "amended", "cure"), TO_CURES)
def test_a_cure_counts_once_it_is_complete_and_is_shown_before(beginning, amended, cure):
    """An amended run counts from its hundredth epoch on, and is not cut to the cure's length."""
    better = [80.0] * 119 + [91.0]
    for epochs, wanted in ((120, SUPPORTED), (99, UNDECIDED)):
        pairs = [
            (
                run(amended, seed, cells=[GOOD] * epochs, accuracy=[*better[-epochs:-1], 91 + x]),
                run(cure, seed, cells=[GOOD] * 150, accuracy=[99.0] * 149 + [90.0]),
            )
            for seed, x in enumerate(MORE)
        ]
        assert verdict(beginning, [r for pair in pairs for r in pair]) == wanted
        (claim,) = (c for c in CURES_EXPERIMENT.claims if c.text.startswith(beginning))
        found, numbers = claim.judge([r for one, other in pairs for r in (one, unfinished(other))])
        assert found == UNDECIDED
        assert numbers.startswith("No complete run of the cure beside a long enough one of amended")
        assert "With shorter runs, which do not count: +1.00" in numbers


@pytest.mark.parametrize(("beginning", "switch", "amended"), OF_SWITCHES)
def test_a_consistency_is_compared_at_the_last_epoch_that_both_have(beginning, switch, amended):
    """After 110 epochs it helps; the other run's end, after 120, is better."""
    records = []
    for seed, more in enumerate(MORE):
        records.append(run(switch, seed, cells=[GOOD] * 110, accuracy=90.0 + more))
        longer = [80.0] * 119 + [99.0]
        records.append(run(amended, seed, cells=[GOOD] * 120, accuracy=longer))
    assert verdict(beginning, records) == SUPPORTED
    assert verdict(beginning, [unfinished(record) for record in records]) == SUPPORTED


STOPPED = {"stopped": {"kept_epoch": 1, "reason": "r"}}
CHOSEN = {"selected": {"cell": SKIPS, "unlike_weights": 2, "table_cifar10_percent": 89.0}}


@pytest.mark.parametrize(
    ("method", "ending", "words"),
    [
        ("darts-plus", STOPPED, f"{GOOD}, 89.00 %, of epoch 2, which its rule keeps"),
        ("darts-pt", CHOSEN, f"{SKIPS}, 89.00 %, selected after the search"),
    ],
)
def test_the_cell_that_a_rule_keeps_or_a_selection_chose_counts_and_is_shown(method, ending, words):
    beginning = f"The amended search ends in a better cell than {CURES[method].words}"
    curve = [80.0, 89.0, 95.0, 95.0, 95.0]
    records = [run("amended", seed, accuracy=90.0 + more) for seed, more in enumerate(MORE)]
    cures = [run(method, seed, cells=[GOOD] * 5, accuracy=curve) for seed in range(3)]
    assert verdict(beginning, records + cures) == NOT_SUPPORTED  # by the last cells
    cures = [RunRecord({**cure.content, **ending}) for cure in cures]
    assert verdict(beginning, records + cures) == SUPPORTED
    shown = [RunRecord({**r.content, "epochs_planned": 100}) for r in (*records, *cures)]
    for record in shown:
        record.content["curves"]["table_cifar10_percent"] = [50.0] * record.epochs
        record.content["weights"]["skip_connect"] = [0.1] * record.epochs
    assert f"{method}, seed 1: {words}" in CellCurves().table(shown)
    assert "do not end with their last cell" not in CellCurves().table(shown[:3])


def test_every_claim_is_tried_here_and_every_run_is_in_the_setting():
    assert len(CURES_EXPERIMENT.claims) == 2 + len(BESIDE)
    assert {planned.setting for planned in CURES_EXPERIMENT.runs} == {SMALL}
    assert {planned.seed for planned in CURES_EXPERIMENT.runs} == {0, 1, 2}
    by_name = {planned.method: planned.config for planned in CURES_EXPERIMENT.runs}
    assert (by_name[P_DARTS].epochs, by_name[PC_DARTS].epochs) == (4 * 75, 4 * 50)
