"""Two runs never write to one folder: not in the same second, not by name, not by resuming."""

import subprocess
import sys
from pathlib import Path

import pytest

from darts import cli
from darts.commands import requests
from darts.records.lock import held, own_folder
from darts.records.run_folder import RunFolder
from tests.darts.commands.test_cli import TINY

ROOT = Path(cli.__file__).parents[1]


@pytest.fixture(autouse=True)
def usual_name(monkeypatch, tmp_path):
    """All runs of a test begin in the same second."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(requests, "usual_path", lambda name, seed: Path("runs") / "now")


def estimators(*folders):
    return [
        RunFolder.open(Path(f)).read("config.json")["search"]["estimator"]["type"] for f in folders
    ]


def test_two_runs_begun_in_one_second_have_a_folder_each(capsys):
    assert cli.main(["search", *TINY]) == 0
    assert cli.main(["search", *TINY, "--estimator", "identity:eta=0.1"]) == 0
    assert estimators("runs/now", "runs/now-2") == ["FirstOrder", "Identity"]
    assert "runs/now-2" in capsys.readouterr().out
    assert cli.main(["search", *TINY, "--seeds", "2"]) == 0
    assert sorted(p.name for p in Path("runs/now-3").glob("seed-*")) == ["seed-0", "seed-1"]


def test_a_folder_that_another_process_writes_to_is_refused(capsys):
    assert cli.main(["search", *TINY, "--run-dir", "mine"]) == 0
    before = {path: path.read_bytes() for path in Path("mine").rglob("*") if path.is_file()}
    capsys.readouterr()
    with held(Path("mine")):
        assert cli.main(["search", "--resume", "mine"]) == 1
    assert "Another process is writing to mine. Wait until it ends" in capsys.readouterr().err
    assert {p: p.read_bytes() for p in Path("mine").rglob("*") if p.is_file()} == before
    with held(Path("new")):
        assert cli.main(["search", *TINY, "--run-dir", "new"]) == 1
    assert not (Path("new") / "config.json").exists()
    assert cli.main(["search", *TINY, "--run-dir", "new"]) == 0  # the lock alone is no run


def test_a_random_search_is_held_too(capsys):
    command = ["random-search", "--preset", "digits-check", "--train-size", "60"]
    command += ["--samples", "2", "--evaluation.batch-size", "16"]
    with held(Path("random")):
        assert cli.main([*command, "--run-dir", "random"]) == 1
    assert "Another process is writing to random" in capsys.readouterr().err


def test_names_of_ones_own_are_never_shared(tmp_path):
    """Eight processes ask for the same name at once."""
    code = (
        "import sys; from pathlib import Path; from darts.records.lock import own_folder; "
        "sys.stdin.read(1); print(own_folder(Path(sys.argv[1])))"
    )
    asking = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path / "run")],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(8)
    ]
    for process in asking:
        process.stdin.write("x")
        process.stdin.flush()
    found = {process.communicate()[0].strip() for process in asking}
    assert len(found) == 8
    assert own_folder(tmp_path / "run").name == "run-9"


def test_a_lock_ends_with_its_process(tmp_path):
    code = (
        "import os, sys; from pathlib import Path; from darts.records.lock import held\n"
        "with held(Path(sys.argv[1])): os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "run")], cwd=ROOT)
    with held(tmp_path / "run"), pytest.raises(ValueError), held(tmp_path / "run"):
        pass
