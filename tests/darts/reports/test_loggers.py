"""Trackers see every number of a run, through the interface of Lightning Fabric's loggers."""

import csv
import json

import pytest

from darts import cli
from darts.commands.options import Options
from darts.reports.loggers import FabricLogger, csv_logger
from tests.darts.commands.test_cli import TINY, TINY_FULL
from tests.darts.training.tiny import new_run

fabric = pytest.importorskip("lightning_fabric.loggers", reason="needs the extra [fabric]")

SEARCH = {"epoch": 0, "val_loss": 1.25, "genotype": {}, "operations": ["none", "skip_connect"]}
SEARCH["mixing"] = {"normal": [[0.25, 0.75]]}
RETRAIN = {"epoch": 0, "train_loss": 0.5, "test_accuracy_percent": 98.0}


class Tracker(fabric.logger.Logger):
    """What a tracker's own subclass of Fabric's logger is asked to do, in order."""

    name, version = "tracker", 0

    def __init__(self):
        self.calls = []

    def log_metrics(self, metrics, step=None):
        self.calls.append((step, dict(metrics)))

    def log_hyperparams(self, params):
        self.calls.append(("config", params["preset"]))

    def finalize(self, status):
        self.calls.append(("status", status))


def follow(listener, run):
    """A search of two epochs and a retraining of one."""
    listener.begin("search", 2, 3, (0, 0))
    for epoch in range(2):
        listener.record("search/steps", {"epoch": epoch, "step": 0, "train_loss": 9.0})
        listener.tick("search", epoch, 0)
        listener.record("search/epochs", {**SEARCH, "epoch": epoch})
    listener.begin("retrain", 1, 3, (0, 0))
    listener.record("retrain/epochs", RETRAIN)
    listener.note("done")
    run.write("result.json", {})
    listener.close()


def test_a_logger_of_fabric_gets_config_and_numbers_on_steps_that_grow(tmp_path):
    run, tracker = new_run(tmp_path / "run"), Tracker()
    made_for = []
    follow(FabricLogger(lambda folder: made_for.append(folder) or tracker, run.path), run)
    assert made_for == [run.path]
    search = {
        "search/val_loss": 1.25,
        "search/none_weight_percent": 25.0,
        "search/skip_connect_weight_percent": 75.0,
    }
    assert tracker.calls == [
        ("config", "tiny"),
        (0, search),
        (1, search),
        (2, {"retrain/train_loss": 0.5, "retrain/test_accuracy_percent": 98.0}),
        ("status", "success"),
    ]


def test_a_run_without_a_result_is_reported_as_failed(tmp_path):
    run, tracker = new_run(tmp_path / "run"), Tracker()
    listener = FabricLogger(lambda folder: tracker, run.path)
    listener.begin("search", 2, 3, (0, 0))
    listener.close()
    listener.close()
    assert tracker.calls[-1] == ("status", "failed")
    assert len(tracker.calls) == 2


def test_the_csv_logger_writes_a_table_and_a_new_one_on_each_start(tmp_path):
    run = new_run(tmp_path / "run")
    for version in range(2):
        follow(FabricLogger(csv_logger, run.path), run)
        with (run.path / "csv" / f"version_{version}" / "metrics.csv").open() as file:
            rows = list(csv.DictReader(file))
        assert [int(row["step"]) for row in rows] == [0, 1, 2]
        assert [float(row["search/val_loss"] or "nan") for row in rows][:2] == [1.25, 1.25]
        assert float(rows[2]["retrain/test_accuracy_percent"]) == 98.0


def test_loggers_are_named_on_the_command_line(tmp_path, monkeypatch, capsys):
    (tmp_path / "my_trackers.py").write_text(
        "from tests.darts.reports.test_loggers import Tracker\nmade = []\n"
        "def mine(folder):\n    made.append((folder, Tracker()))\n    return made[-1][1]\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / "run"
    command = ["full-search", *TINY_FULL, "--run-dir", str(path)]
    assert cli.main([*command, "--loggers", "csv", "my_trackers:mine"]) == 0
    import my_trackers

    [(folder, tracker)] = my_trackers.made
    assert folder == path
    result = json.loads((path / "result.json").read_text())
    step, last = tracker.calls[-2]
    assert step == 1
    accuracy = result["retrain"]["test"]["accuracy_percent"]
    assert last["retrain/test_accuracy_percent"] == accuracy
    assert (path / "csv" / "version_0" / "metrics.csv").is_file()


def forgetful(folder):
    """A function without its return."""


def text(folder):
    return str(folder)


def test_what_is_no_logger_is_one_line_before_the_first_step(tmp_path, capsys):
    for function, found in (("forgetful", "nothing"), ("text", "str, without log_metrics")):
        path = tmp_path / function
        command = ["search", *TINY, "--run-dir", str(path), "--loggers", f"{__name__}:{function}"]
        assert cli.main(command) == 1
        said = capsys.readouterr().err
        assert f"{function} returned {found}; it must return a lightning" in said
        assert f"--resume {path}" in said
        assert said.count("\n") == 1
        assert not (path / "search/steps.jsonl").exists()
        assert cli.main(["search", "--resume", str(path)]) == 0


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such_module:f", "No module named 'no_such_module'"),
        ("json:nothing", "give tensorboard, csv, or module:function"),
        ("wandb", "give tensorboard, csv, or module:function"),
    ],
)
def test_a_logger_that_cannot_be_made_is_refused_before_work(name, message, tmp_path, capsys):
    path = tmp_path / "run"
    assert cli.main(["full-search", "--run-dir", str(path), "--loggers", name]) == 2
    assert message in capsys.readouterr().err
    assert not path.exists()


def test_tensorboard_that_is_asked_for_and_not_installed_is_named_with_its_extra(
    tmp_path, monkeypatch, capsys
):
    """Not asked for, it is left out."""
    monkeypatch.setattr("darts.extras.find_spec", lambda name: None)
    path = tmp_path / "run"
    assert cli.main(["full-search", "--run-dir", str(path), "--loggers", "tensorboard"]) == 2
    assert "pip install 'amended-darts[tensorboard]'" in capsys.readouterr().err
    assert not path.exists()
    assert Options().loggers == ()
