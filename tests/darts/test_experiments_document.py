"""docs/EXPERIMENTS.md: its commands are taken, and its costs are those of the record."""

import json
import re
import shlex
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.dry_run_table import table
from benchmarks.dry_runs import RECORD
from bilevel import Autograd
from darts import cli, requests
from darts.names import TYPES
from darts.runs.config import from_json
from darts.runs.presets import PRESETS

TEXT = (Path(__file__).parents[2] / "docs" / "EXPERIMENTS.md").read_text()
UNRECORDED = {"cifar100-s1", "cifar100-s1-tiny", "mnist-s1-tiny", "fashion-mnist-s1-tiny"}
COMMANDS = [line for line in re.findall(r"`(darts [^`]+)`", TEXT) if "…" not in line]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_is_taken_with_its_preset(command, monkeypatch, tmp_path, capsys):
    seen = []

    @contextmanager
    def launched(placement, computing):
        yield None

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli, "launched", launched)
    monkeypatch.setattr(cli, "run_jobs", lambda jobs, devices: seen.extend(jobs))
    monkeypatch.setattr(requests, "run_sweep", lambda plan, *rest: seen.append(plan) or True)
    monkeypatch.setattr(cli, "run_random_search", lambda run, *rest: seen.append(run))
    monkeypatch.setattr(cli, "count", lambda options: seen.append(options) or "counted")
    words = shlex.split(command.replace("RUN", "DARTS_V2"))[1:]
    assert cli.main(words) == 0, capsys.readouterr().err
    assert seen
    named = re.search(r"--preset (\S+)", command)
    if named and words[0] in ("search", "full-search", "retrain"):
        assert {job.config.preset for job in seen} == {named[1]}


def test_rows_whose_estimator_is_no_longer_the_presets_are_named():
    record = json.loads(RECORD.read_text())
    assert record.keys() == PRESETS.keys() - UNRECORDED
    other = set()
    for name, run in record.items():
        if (now := PRESETS[name].search) is None:
            continue
        then = from_json(run["config"]["search"]["estimator"], TYPES)
        if then != now.estimator:
            assert then == replace(now.estimator, derivatives=Autograd())
            other.add(name)
    sentence = re.search(r"\*\*With other products than now\*\*: ([^.]*)\.", TEXT)
    named = set(re.findall(r"`([\w-]+)`", sentence[1])) if sentence else set()
    assert named == other


def test_every_preset_has_its_costs():
    assert table() in TEXT
    shown = set(re.findall(r"(?m)^\| `([\w-]+)` \|", table()))
    assert set(PRESETS) - shown == UNRECORDED
    assert all(f"`{name}`" in TEXT for name in PRESETS)
