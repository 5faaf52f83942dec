"""A run made again is compared with its record, number by number, on the same kind of machine."""

from dataclasses import replace

from benchmarks.experiments import __main__ as command
from benchmarks.experiments.catalogue import EXPERIMENTS
from benchmarks.experiments.journal import fold, journal_lines
from benchmarks.experiments.queue import Place
from benchmarks.experiments.record import RunRecord
from benchmarks.experiments.reproduce import compare_with_records, recorded_here
from benchmarks.experiments.run import carry_out
from tests.benchmarks.test_experiments import ACCURACY, IMAGES, tiny


def test_a_run_made_again_agrees_in_every_number_and_a_changed_record_does_not(
    tmp_path, monkeypatch, capsys
):
    journal = tmp_path / "first.jsonl"
    carry_out(tiny(), IMAGES.load(), tmp_path / "first", journal)
    lines = journal_lines([journal])
    (record,) = fold(lines, ACCURACY)
    tiny_collapse = replace(EXPERIMENTS["collapse"], runs=(tiny(), tiny(seed=1)))
    assert recorded_here(tiny_collapse, [record], record.machine) == [tiny()]

    def here(runs, place: Place, workers: int) -> None:  # without processes
        for run in runs:
            carry_out(run, IMAGES.load(), place.work / run.name, place.journal, deadline=None)

    monkeypatch.setattr(command, "work_through", here)
    monkeypatch.setattr(command, "machine_of_runs", lambda device: record.machine)
    monkeypatch.setitem(command.EXPERIMENTS, "collapse", tiny_collapse)
    monkeypatch.setattr(command, "read_all", lambda: [record])
    again = ["collapse", "--reproduce", "--work", str(tmp_path), "--records", str(tmp_path)]
    assert command.main(again) == 0
    printed = capsys.readouterr().out
    assert "1 of 2 runs to do" in printed
    assert "agrees with its record in every number at epochs 1 to 3, 3 of them" in printed

    curves = record.content["curves"]
    losses = [*curves["train_loss"][:2], 1.00001 * curves["train_loss"][2]]
    changed = RunRecord({**record.content, "curves": {**curves, "train_loss": losses}})
    (found,) = compare_with_records(lines, [changed])
    assert found.agrees is False
    assert "DIFFERS from its record first at epoch 3, in 1 numbers, such as train_loss" in (
        found.text
    )
    warned = RunRecord({**record.content, "curves": {**curves, "warnings": [5.0, 0.0, 0.0]}})
    (found,) = compare_with_records(lines, [warned])
    assert found.agrees is True
    monkeypatch.setattr(command, "read_all", lambda: [changed])
    monkeypatch.setattr(command, "work_through", lambda runs, place, workers: None)
    assert command.main(again) == 1

    (found,) = compare_with_records(lines[:1], [record])
    assert (found.agrees, "no epoch done yet" in found.text) == (None, True)
    other = RunRecord({**record.content, "machine": "another"})
    (found,) = compare_with_records(lines, [other])
    assert found.agrees is None
    assert "no record of this kind of machine" in found.text
    assert "records of the run: another." in found.text


def test_results_are_compared_as_a_whole():
    head = {"setting": "s", "method": "m", "seed": 0, "machine": "here"}
    programs = {"packages": {"torch": "2"}, "commit": "0123456789abcdef"}
    lines = [
        {"kind": "run", **head, "environment": programs},
        {"kind": "result", **head, "result": {"x": [1.0, 2.0]}, "wall_seconds": 9},
    ]
    content = {**head, "environment": {"packages": {"torch": "3"}}, "cells": []}
    for value, agrees in ((2.0, True), (2.1, False)):
        record = RunRecord({**content, "result": {"x": [1.0, value]}})
        (found,) = compare_with_records(lines, [record])
        assert found.agrees is agrees
        assert "of torch 3, this run of torch 2 at commit 012345678." in found.text
