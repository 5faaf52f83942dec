"""docs/EXPERIMENTS.md: its commands are taken, and its costs are those of the record."""

import re
import shlex
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks.dry_run_table import table
from darts import cli, requests
from darts.runs.presets import PRESETS

TEXT = (Path(__file__).parents[2] / "docs" / "EXPERIMENTS.md").read_text()
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


def test_every_preset_has_its_costs():
    assert table() in TEXT
    shown = set(re.findall(r"(?m)^\| `([\w-]+)` \|", table()))
    assert set(PRESETS) - shown == {
        "cifar100-s1",
        "cifar100-s1-tiny",
        "mnist-s1-tiny",
        "fashion-mnist-s1-tiny",
    }
    assert all(f"`{name}`" in TEXT for name in PRESETS)
