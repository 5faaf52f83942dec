"""The cell that a selection chose after a search, from the run to its record."""

from dataclasses import replace

from benchmarks.experiments import beside
from benchmarks.experiments.beside import write_comparison_of
from benchmarks.experiments.cures import CURES_EXPERIMENT
from benchmarks.experiments.final_cell import final_accuracy
from benchmarks.experiments.journal import fold, journal_lines
from benchmarks.experiments.record import RunRecord
from benchmarks.experiments.reproduce import compare_with_records
from benchmarks.experiments.run import carry_out
from benchmarks.experiments.searched import Searched
from benchmarks.experiments.setting import METHODS
from darts.records.run_folder import RunFolder
from darts.spaces import NASBENCH201, Genotype
from darts.spaces.nasbench201 import digits, from_string
from darts.spaces.space import NONE
from tests.benchmarks.test_cures import IMAGES, ONE_STEP, timeless, tiny
from tests.benchmarks.test_experiments import ACCURACY


def test_a_run_with_a_selection_is_complete_once_it_has_chosen_and_goes_on_with_it(tmp_path):
    planned, records = tiny("darts-pt"), []
    alone = replace(CURES_EXPERIMENT, runs=(planned,))
    for name, lives in (("whole", 0), ("cut", 3)):
        journal, work = tmp_path / f"{name}.jsonl", tmp_path / name
        place = (IMAGES.load(), work / "tiny" / planned.name, journal)
        for life in range(lives):
            assert carry_out(planned, *place, deadline=0.0) == "stopped"
            if life > 0:  # the search is over, and the selection has begun
                (half,) = fold(journal_lines([journal]), ACCURACY)
                assert (half.epochs, half.complete, "selected" in half.content) == (1, False, False)
                assert RunFolder(place[1]).records("selection/decisions")
                assert write_comparison_of(alone, work) is None
        for _ in range(2):  # the second time nothing is left to do
            assert carry_out(planned, *place) == "complete"
        lines = journal_lines([journal])
        assert [line["kind"] for line in lines].count("selected") == 1
        records += fold(lines, ACCURACY)
    assert all(record.complete for record in records)
    assert timeless(records[0]) == timeless(records[1])
    (chosen,) = (line for line in lines if line["kind"] == "selected")
    (search,) = (line for line in lines if line["kind"] == "epoch")
    both = search["wall_seconds"] + chosen["wall_seconds"]
    assert records[1].content["wall_seconds"] == round(both, 1)
    assert write_comparison_of(alone, work) is not None


def test_what_a_selection_chose_is_no_none_is_looked_up_and_compared(tmp_path):
    planned, journal = tiny("darts-pt"), tmp_path / "j.jsonl"
    assert carry_out(planned, IMAGES.load(), tmp_path / "run", journal) == "complete"
    folder, lines = RunFolder(tmp_path / "run"), journal_lines([journal])
    decisions = folder.records("selection/decisions")
    cell = digits(Genotype.from_dict(folder.read("genotype.json")))
    for decision in decisions:
        assert set(decision["without"]) == {*NASBENCH201.operations} - {NONE}
        operation = NASBENCH201.operations.index(decision["operation"])
        assert cell[decision["row"]] == str(operation)
    (record,) = fold(lines, {**ACCURACY, cell: 77.0})
    unlike = sum(d["operation"] != d["largest_weight"] for d in decisions)
    chosen = {"cell": cell, "unlike_weights": unlike, "table_cifar10_percent": 77.0}
    assert record.content["selected"] == chosen
    assert final_accuracy(record) == 77.0
    (found,) = compare_with_records(lines, [record])
    assert found.agrees
    assert "in every number at epoch 1, and at the selection after it." in found.text
    changed = {**record.content, "selected": {**chosen, "cell": "111111"}}
    (found,) = compare_with_records(lines, [RunRecord(changed)])
    assert found.agrees is False
    assert "DIFFERS from its record first at the selection after it" in found.text


def test_before_its_selection_darts_pt_is_first_order(tmp_path):
    records = []
    for method, changes in (("first-order", {}), ("darts-pt", tiny("darts-pt").changes)):
        planned = Searched(ONE_STEP, method, 0, METHODS["first-order"], {**changes, "epochs": 3})
        journal = tmp_path / f"{method}.jsonl"
        assert carry_out(planned, IMAGES.load(), tmp_path / method, journal) == "complete"
        records += fold(journal_lines([journal]), ACCURACY)
    for name in ("curves", "weights", "last_weights", "cells", "cells_without_none"):
        assert records[0].content[name] == records[1].content[name]


def test_runs_beside_one_another_have_the_cell_that_was_chosen(tmp_path, monkeypatch):
    planned, groups = tiny("darts-pt"), []
    monkeypatch.setattr(beside, "write_comparison", lambda path, name, found: groups.extend(found))
    folder = RunFolder(tmp_path / "tiny" / planned.name)
    last, chosen = (from_string(f"|{o}~0|+|{o}~0|{o}~1|+|{o}~0|{o}~1|{o}~2|").to_dict()
                    for o in ("nor_conv_1x1", "skip_connect"))  # fmt: skip
    folder.append("search/epochs", {"genotype": last, "val_accuracy_percent": 50.0})
    folder.append("selection/decisions", {"round": 0})
    folder.write("genotype.json", chosen)
    write_comparison_of(replace(CURES_EXPERIMENT, runs=(planned,)), tmp_path)
    assert [entry.numbers["skips_kept"] for group in groups for entry in group.entries] == [6]
