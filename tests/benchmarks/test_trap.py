"""The experiment of the gradient trap: a run becomes a record, and pairs are taken by seed."""

from dataclasses import replace

import pytest

from benchmarks.experiments.definition import SUPPORTED, UNDECIDED
from benchmarks.experiments.journal import fold, journal_lines
from benchmarks.experiments.record import RunRecord
from benchmarks.experiments.run import carry_out
from benchmarks.experiments.setting import METHODS
from benchmarks.experiments.trap import A3, GRADIENT_TRAP, TrapRun, differences
from tests.benchmarks.made_records import made_record
from tests.toy.test_gradient_trap import IMAGES, SMALL
from toy.gradient_trap import WAYS

TINY = TrapRun(replace(A3, trap=SMALL), "first-order", 0, METHODS["first-order"])


def test_a_run_becomes_a_record_with_three_errors(tmp_path):
    journal = tmp_path / "j.jsonl"
    assert carry_out(TINY, IMAGES, tmp_path / "run", journal, deadline=0.0) == "stopped"
    assert not fold(journal_lines([journal]), {})
    assert carry_out(TINY, IMAGES, tmp_path / "run", journal) == "complete"
    (record,) = fold(journal_lines([journal]), {})
    assert record.complete
    assert tuple(record.content["result"]) == WAYS
    assert record.content["wall_seconds"] > 0


def made(method: str, seed: int, error: float) -> RunRecord:
    return made_record(A3.name, method, seed, result=dict.fromkeys(WAYS, error))


def test_differences_are_of_one_seed_each():
    records = [made("first-order", 0, 5.0), made("amended", 0, 3.0), made("first-order", 1, 9.0)]
    assert differences(records, WAYS[0]) == [2.0]
    table = GRADIENT_TRAP.report.table(records)
    assert "| search sets | 3.00 (n = 1) | 7.00 (n = 2) | +2.00 (n = 1) | 10.5 and 12.8 |" in table


@pytest.mark.parametrize(("seeds", "verdict"), [(5, SUPPORTED), (4, UNDECIDED)])
def test_an_error_lowered_in_every_one_of_five_seeds_supports_the_claim(seeds, verdict):
    records = [
        made(method, seed, error + seed / 10)
        for seed in range(seeds)
        for method, error in (("first-order", 5.0), ("amended", 3.0 + seed / 100))
    ]
    verdicts = {claim.judge(records)[0] for claim in GRADIENT_TRAP.claims}
    assert verdicts == {verdict}


@pytest.mark.parametrize("run", GRADIENT_TRAP.runs[:2], ids=lambda run: run.name)
def test_the_images_are_the_settings(run):
    assert run.setting.data == run.setting.trap.data
