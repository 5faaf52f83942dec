"""A sweep's summary: mean, deviation and count of every setting, nothing left out in silence."""

import json
import re

import pytest

from darts.commands.requests import report_on
from darts.records.data_record import describe_images
from darts.records.plan import Plan, amending_coefficients
from darts.reports.sweep import summarise_sweep, sweep_table, write_sweep
from darts.spaces.published import DARTS_V1, DARTS_V2
from tests.darts.training.tiny import full_config, images, new_run

BASE = {"majority_percent": 10.0, "logistic_percent": 90.0, "converged": True, "penalty": 1.0}


def result(accuracy, genotype):
    return {
        "search": {"val": {"accuracy_percent": 50.0}, "wall_seconds": 1.0}
        | {"genotype": genotype.to_dict()},
        "retrain": {
            "test": {
                "accuracy_percent": accuracy,
                "top5_percent": 99.0,
                "images": 449,
                "loss": 1.0,
            },
            "channels": 2,
            "params_millions": 0.25,
            "multiply_adds_millions": 1.0,
            "wall_seconds": 1.0,
        },
        "baselines": {**BASE, "iterations": 200},
    }


@pytest.fixture
def folder(tmp_path):
    """Two settings with three seeds; the second has one trial that is not finished."""
    plan = Plan(amending_coefficients(full_config(), "0,0.1"), (0, 1, 2))
    plan.write(tmp_path)
    for trial in plan.trials:
        run = new_run(tmp_path / trial.name, config=trial.config)
        run.write("data.json", describe_images(images()))
        genotype = DARTS_V2 if trial.setting == "eta-0" else DARTS_V1
        run.write("genotype.json", genotype.to_dict())
        if trial.name != "eta-0.1/seed-1":
            accuracy = 90.0 + 2 * trial.seed if trial.setting == "eta-0" else 96.0
            run.write("result.json", result(accuracy, genotype))
    return tmp_path


def test_mean_deviation_and_count_are_those_of_the_finished_trials(folder):
    first, second = summarise_sweep(folder)["settings"]
    accuracy = first["test_accuracy_percent"]
    # 90, 92, 94: deviation of a sample, n − 1, is 2; of a population it would be 1.63
    assert accuracy == {"n": 3, "mean": 92.0, "sd": 2.0, "values": [90.0, 92.0, 94.0]}
    assert (first["seeds"], first["unfinished_seeds"]) == ([0, 1, 2], [])
    assert (second["seeds"], second["unfinished_seeds"]) == ([0, 2], [1])
    assert second["test_accuracy_percent"]["n"] == 2
    # DARTS_V2 has 2 skips in its normal and 4 in its reduction cell, DARTS_V1 3 and 3
    assert first["skips_kept"]["values"] == [5, 5, 5]
    assert second["skips_kept"]["values"] == [6, 6]


def test_the_table_shows_every_setting(folder):
    lines = sweep_table(folder).splitlines()
    assert re.split(r"  +", lines[0]) == [
        *("setting", "n", "test %", "test top-5 %", "supernet, val %", "parameters, M"),
        "skips kept",
    ]
    assert re.split(r"  +", lines[1]) == [
        *("eta-0", "3", "92.00 ± 2.00", "99.00 ± 0.00", "50.00 ± 0.00", "0.250 ± 0.000"),
        "5.00 ± 0.00",
    ]
    assert lines[2].startswith("eta-0.1  2  96.00 ± 0.00")
    assert len(set(map(len, lines))) == 1


def test_the_page_names_what_is_missing_and_has_a_picture(folder):
    line = report_on(folder)
    assert str(folder / "report.html") in line
    text = (folder / "report.html").read_text()
    assert "5 runs of 2 settings. Not finished: eta-0.1/seed-1." in text
    assert "<svg" in text
    assert 'href="eta-0.1/seed-0/report.html"' in text
    assert (folder / "eta-0.1" / "report.html").is_file()
    assert json.loads((folder / "summary.json").read_text()) == summarise_sweep(folder)


def test_a_sweep_without_any_result_has_no_summary(folder):
    for path in folder.glob("*/*/result.json"):
        path.unlink()
    with pytest.raises(ValueError, match="No trial of the sweep"):
        write_sweep(folder)
