"""Searches with 14 edges whose cells are retrained: runs, records, readings, and every claim."""

from dataclasses import replace

import pytest

from benchmarks.experiments.all_edges import (
    ALL_SKIP,
    CIFAR_EXPERIMENT,
    DIGITS,
    DIGITS_EXPERIMENT,
    OTHERS,
    RANDOM,
    RULES,
)
from benchmarks.experiments.definition import NOT_RUN, UNDECIDED
from benchmarks.experiments.journal import fold, journal_lines
from benchmarks.experiments.kept import kinds, skip_share, skips_from
from benchmarks.experiments.record import RunRecord, read_records, write_record
from benchmarks.experiments.reproduce import compare_with_records
from benchmarks.experiments.retrained import RetrainedSearch, TrainedCell, random_cell
from benchmarks.experiments.run import carry_out
from benchmarks.experiments.setting import METHODS
from darts.data import Digits
from darts.spaces import S1
from tests.benchmarks.made_records import made_record
from tests.benchmarks.test_claims_of_experiments import ALL_DO, DIFFERENCES, MORE, NONE_DOES

IMAGES = Digits(train_size=20)
TINY = replace(
    DIGITS,
    name="tiny-14",
    data=IMAGES,
    search=replace(
        DIGITS.search, epochs=2, batch_size=10, channels=2, cells=1, checkpoint_share=1.0
    ),
    retrain=replace(
        DIGITS.retrain, epochs=1, batch_size=10, channels=2, cells=1, checkpoint_share=1.0
    ),
    after=(1, 2),
)


def timeless(record: RunRecord) -> dict[str, object]:
    left_out = ("wall_seconds", "environment")  # the environment has the time of the start
    return {name: value for name, value in record.content.items() if name not in left_out}


def test_a_stopped_run_goes_on_to_the_same_record_cells_included(tmp_path):
    run = RetrainedSearch(TINY, "first-order", 0, METHODS["first-order"])
    images, records, lives = IMAGES.load(), [], {}
    for name in ("whole", "cut"):
        found, lives[name] = "stopped", 0
        journal = tmp_path / f"{name}.jsonl"
        while found == "stopped" and lives[name] < 20:
            deadline = 0.0 if name == "cut" else None  # over from the beginning: a step a life
            found = carry_out(run, images, tmp_path / name, journal, deadline=deadline)
            lives[name] += 1
        assert found == "complete"
        (record,) = fold(journal_lines([journal]), {})
        records.append(record)
    whole, cut = records
    assert (lives["whole"], lives["cut"] > 3) == (1, True)
    assert timeless(whole) == timeless(cut)
    in_order = [line["after_epochs"] for line in journal_lines([journal]) if "after_epochs" in line]
    assert in_order == [1, 2]  # no cell is trained twice, whatever the number of lives

    assert (whole.epochs, whole.complete) == (2, True)
    assert kinds(whole) == ["normal", "reduce"]
    for name, edges in (("cells", 14), ("cells_without_none", 14), ("kept", 8)):
        assert [len(text) for text in whole.content[name][-1].split(" ")] == [edges, edges]
    none = str(S1.operations.index("none"))
    assert none not in whole.content["cells_without_none"][-1]
    total = sum(whole.weight(operation, "normal")[-1] for operation in S1.operations)
    assert total == pytest.approx(1, abs=8 * 5e-7)  # eight numbers of six digits
    assert list(whole.content["retrained"]) == ["1", "2"]
    assert "table_cifar10_percent" not in whole.content["curves"]

    lines = journal_lines([tmp_path / "whole.jsonl"])
    less = [line for line in lines if line.get("after_epochs") != 2]
    (unfinished,) = fold(less, {})
    assert (unfinished.epochs, unfinished.complete) == (2, False)
    assert write_record(unfinished, tmp_path / "docs") is not None
    assert write_record(whole, tmp_path / "docs") is not None
    assert write_record(unfinished, tmp_path / "docs") is None
    assert read_records(tmp_path / "docs") == [whole]

    (again,) = compare_with_records(lines, [whole])
    assert again.agrees
    assert "at epochs 1 to 2, 2 of them, and at the retraining of the cell of epoch 1" in again.text
    result = {**whole.content["retrained"]["2"], "test_accuracy_percent": -1.0}
    wrong = {**whole.content, "retrained": {**whole.content["retrained"], "2": result}}
    (found,) = compare_with_records(lines, [RunRecord(wrong)])
    assert found.agrees is False
    assert "first at the retraining of the cell of epoch 2" in found.text


def test_a_cell_beside_the_searches_is_trained_as_theirs_and_becomes_a_record(tmp_path):
    run, images = TrainedCell(TINY, "all-skip", 0, ALL_SKIP), IMAGES.load()
    journal = tmp_path / "j.jsonl"
    assert carry_out(run, images, tmp_path / "run", journal, deadline=0.0) == "stopped"
    assert not fold(journal_lines([journal]), {})
    assert carry_out(run, images, tmp_path / "run", journal) == "complete"
    assert carry_out(run, images, tmp_path / "run", journal) == "complete"  # nothing is left
    (record,) = fold(journal_lines([journal]), {})
    assert record.complete
    assert record.content["result"]["genotype"] == ALL_SKIP.to_dict()
    searched = RetrainedSearch(TINY, "first-order", 0, METHODS["first-order"])
    assert record.content["config"]["retrain"] == searched.content["retrain"]
    assert {operation for cell in ALL_SKIP.cells for operation, _ in cell.edges} == {"skip_connect"}


def test_random_cells_differ_by_number_and_seed_and_all_are_planned():
    cells = [random_cell(DIGITS, k, seed) for seed in (0, 1) for k in range(RANDOM)]
    assert len({cell.genotype for cell in cells}) == len(cells)
    assert all(cell.genotype.fits(S1) for cell in cells)
    for experiment in (DIGITS_EXPERIMENT, CIFAR_EXPERIMENT):
        assert {run.seed for run in experiment.runs} == {0, 1, 2}
        trained = [run for run in experiment.runs if isinstance(run, TrainedCell)]
        assert len(trained) == 3 * (RANDOM + len(OTHERS))
        for run in experiment.runs:
            if isinstance(run, RetrainedSearch):
                assert run.config.epochs == max(run.setting.after) == 200
                assert run.config.space == S1


SKIP, POOL, NONE = (str(S1.operations.index(n)) for n in ("skip_connect", "avg_pool_3x3", "none"))
GOOD_KEPT, BAD_KEPT = POOL * 2 + SKIP * 6, POOL + SKIP * 7  # one below the line, and on it
NAMES = [f"{kind} {operation}" for kind in ("normal", "reduce") for operation in S1.operations]


def run(
    method: str,
    seed: int,
    *,
    kept: str | list[str] = GOOD_KEPT,
    cells: str | list[str] = POOL * 14,
    without: str | list[str] = POOL * 14,
    none: float = 0.1,
    skips: float = 0.1,
    retrained: dict[int, float] | None = None,
    epochs: int = 200,
    setting: str = DIGITS.name,
) -> RunRecord:
    """A record of a search; one text stands for every epoch, of the normal cell."""

    def texts(normal: str | list[str], reduce: str) -> list[str]:
        each = normal if isinstance(normal, list) else [normal] * epochs
        return [f"{text} {reduce}" for text in each]

    weights = {name: [0.05] * epochs for name in NAMES}
    weights["normal none"] = [0.1] * (epochs - 1) + [none]
    weights["normal skip_connect"] = [0.1] * (epochs - 1) + [skips]
    accuracies = retrained or {}
    return made_record(
        setting,
        method,
        seed,
        epochs_planned=200,
        config={"search": {"space": {"operations": list(S1.operations)}}},
        cells=texts(cells, SKIP * 14),
        cells_without_none=texts(without, SKIP * 14),
        kept=texts(kept, SKIP * 8),
        weights=weights,
        retrained={str(after): {"test_accuracy_percent": x} for after, x in accuracies.items()},
    )


def cell(name: str, seed: int, accuracy: float) -> RunRecord:
    result = {"test_accuracy_percent": accuracy, "params_millions": 0.01}
    return made_record(DIGITS.name, name, seed, config={"retrain": {}}, result=result)


def randoms(seed: int, mean: float) -> list[RunRecord]:
    spread = (-3.0, -1.0, 1.0, 3.0)
    return [cell(f"random-{k + 1}", seed, mean + d) for k, d in enumerate(spread)]


def verdict(beginning: str, records: list[RunRecord]) -> str:
    (found,) = (c for c in DIGITS_EXPERIMENT.claims if c.text.startswith(beginning))
    return found.judge(records)[0]


def ending(text: str, other: str, length: int) -> list[str]:
    return [other] * (200 - length) + [text] * length


@pytest.mark.parametrize(("which", "wanted"), ALL_DO)
@pytest.mark.parametrize(
    ("beginning", "method", "name", "yes", "no"),
    [
        ("First-order DARTS in 200", "first-order", "kept", BAD_KEPT, GOOD_KEPT),
        ("Second-order DARTS does", "second-order", "kept", BAD_KEPT, GOOD_KEPT),
        ("After 50 epochs of first", "first-order", "cells", NONE * 14, NONE * 13 + SKIP),
        ("The weight of none", "first-order", "none", 0.901, 0.9),
        ("Skip-connect ends", "first-order", "skips", 0.28, 0.26),  # of 0.9, beside 0.27
        ("Skip-connect ends", "first-order", "skips", 0.62, 0.64),  # beside 0.63
        (
            "After 100 epochs of the amended",
            "amended",
            "without",
            ending(POOL * 12 + SKIP * 2, POOL * 14, 100),
            ending(POOL * 11 + SKIP * 3, POOL * 14, 100),
        ),
    ],
)
def test_a_claim_on_all_runs_needs_all_of_them(beginning, method, name, yes, no, which, wanted):
    records = [run(method, seed, **{name: yes if so else no}) for seed, so in enumerate(which)]
    assert verdict(beginning, records) == wanted
    other = "amended" if method != "amended" else "first-order"
    assert verdict(beginning, [run(other, seed, **{name: yes}) for seed in range(3)]) == NOT_RUN


@pytest.mark.parametrize(("which", "wanted"), NONE_DOES)
def test_the_amended_search_is_stable_if_none_of_its_normal_cells_collapses(which, wanted):
    kept = (ending(BAD_KEPT if so else GOOD_KEPT, GOOD_KEPT, 10) for so in which)
    records = [run("amended", seed, kept=each) for seed, each in enumerate(kept)]
    assert verdict("Search with the amended", records) == wanted


def test_what_counts_as_collapsed_is_what_the_rules_say():
    assert skips_from(run("first-order", 0, kept=ending(BAD_KEPT, GOOD_KEPT, 10)), "normal") == 191
    assert skips_from(run("first-order", 0, kept=ending(BAD_KEPT, GOOD_KEPT, 9)), "normal") is None
    assert skips_from(run("first-order", 0, kept=GOOD_KEPT), "reduce") == 1
    edges = SKIP * 7 + POOL * 7
    assert skip_share(run("first-order", 0, without=edges), "normal")[-1] == 0.5
    assert skip_share(run("first-order", 0, without=edges), "normal", "reduce")[-1] == 0.75
    for words in ("seven or more of its eight", "ten epochs in a row", "once it has 100 epochs"):
        assert words in RULES


def test_short_runs_decide_nothing_and_break_nothing():
    short = [run("first-order", seed, kept=BAD_KEPT, epochs=40) for seed in range(3)]
    for claim in DIGITS_EXPERIMENT.claims:
        assert claim.judge(short)[0] in (UNDECIDED, NOT_RUN)
    nearly = [run("amended", seed, epochs=199) for seed in range(3)]
    assert verdict("After 100 epochs of the amended", nearly) == NOT_RUN


def found_and(beginning: str, gap: float, seeds: int = 3) -> list[RunRecord]:
    """Records in which the first thing that the claim names is `gap` above the second."""
    records = []
    for seed, more in list(enumerate(MORE))[:seeds]:
        high, low = 80.0 + seed + gap + more, 80.0 + seed
        first, amended, random, skips = 50.0, 50.0, 50.0, 50.0
        at_50 = 50.0
        if beginning.startswith("First-order DARTS finds"):
            at_50, first = high, low
        elif beginning.startswith("The amended search ends"):
            amended, first, at_50 = high, low, 99.0
        elif beginning.startswith("The amended cell after 200 epochs is better than first"):
            amended, at_50, first = high, low, 99.0
        elif beginning.startswith("The amended cell after 200 epochs is better than random"):
            amended, random = high, low
        elif beginning.startswith("The cell of first-order"):
            random, first = high, low
        else:
            random, skips = high, low
        records.append(run("first-order", seed, retrained={50: at_50, 200: first}))
        records.append(run("amended", seed, retrained={50: 10.0, 200: amended}))
        records += [*randoms(seed, random), cell("all-skip", seed, skips)]
    return records


@pytest.mark.parametrize(
    "beginning",
    [
        "First-order DARTS finds a better cell in 50",
        "The amended search ends in a better cell",
        "The amended cell after 200 epochs is better than first",
        "The amended cell after 200 epochs is better than random",
        "The cell of first-order DARTS",
        "A network of skip-connects",
    ],
)
@pytest.mark.parametrize(("gap", "seeds", "wanted"), DIFFERENCES)
def test_the_sign_of_a_paired_difference_of_retrained_cells_decides(beginning, gap, seeds, wanted):
    assert verdict(beginning, found_and(beginning, gap, seeds)) == wanted


def test_random_cells_count_once_all_of_a_seed_are_trained():
    records = found_and("A network of", 0.01)
    left = [record for record in records if record.method != "random-4"]
    assert verdict("A network of", left) == NOT_RUN


def test_every_claim_is_tried_here():
    assert len(DIGITS_EXPERIMENT.claims) == len(CIFAR_EXPERIMENT.claims) == 13


def test_tables_and_figure_show_what_is_there(tmp_path):
    records = [r for r in found_and("A network of", 1.0) if r.method != "random-1"]
    report = DIGITS_EXPERIMENT.report
    text = report.table(records)
    assert f"| first-order | 0 | 200 of 200 | {GOOD_KEPT} | 0 % | 0.10 | – | – | 50.00 |" in text
    assert "| all-skip | 81.00 ± 1.00 (mean ± s.d., n = 3) | 0.0100 ± 0.0000" in text
    assert "random-1" not in text
    report.draw(records, tmp_path / "f.svg", "abc")
    figure = (tmp_path / "f.svg").read_text()
    assert "records abc" in figure
    for name in ("first-order", "amended", "random, each", "all-skip"):  # what each line is
        assert figure.count(f">{name}<") == 1
