"""Runs on several processes by command: started by Fabric or torchrun, refused, killed, resumed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from darts import cli
from tests.darts.training.test_killed import final_state, lines
from tests.darts.training.tiny import assert_same_bits, timeless
from tests.groups import free_port

ROOT = Path(cli.__file__).parents[1]
SIZES = [
    *("--preset", "digits-check", "--train-size", "60", "--space", "s1-fixed", "--device", "cpu"),
    *("--search.batch-size", "10", "--search.cells", "1", "--search.channels", "1"),
    *("--estimator", "first-order", "--search.checkpoint-share", "1"),
]
SEARCH = ["search", *SIZES, "--search.epochs", "1"]
LONG = ["search", *SIZES, "--search.epochs", "6"]
SECONDS = 300
"""More than any of these runs takes on a loaded machine."""


def started(*arguments: str, launcher: tuple[str, ...] = ()) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, *launcher, "-m", "darts.cli", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(process: subprocess.Popen) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=SECONDS)
    return process.returncode, out, err


def run(*arguments: str, launcher: tuple[str, ...] = ()) -> str:
    status, out, err = finished(started(*arguments, launcher=launcher))
    assert status == 0, out + err
    return out


def processes_of(command: subprocess.Popen) -> list[int]:
    """The other ranks that Fabric started."""
    ids = Path(f"/proc/{command.pid}/task/{command.pid}/children").read_text().split()
    return [i for i in map(int, ids) if b"darts.cli" in Path(f"/proc/{i}/cmdline").read_bytes()]


def wait_for_steps(path: Path, count: int, command: subprocess.Popen) -> None:
    stream, end = path / "search" / "steps.jsonl", time.monotonic() + SECONDS
    while not stream.is_file() or stream.read_bytes().count(b"\n") < count:
        assert time.monotonic() < end, f"no {count} steps in {stream}"
        assert command.poll() is None, finished(command)
        time.sleep(0.05)


def alpha(path: Path) -> dict:
    return final_state(path / "search")["alpha"]


def test_two_processes_by_fabric_find_what_one_finds_and_write_one_folder(tmp_path):
    assert cli.main([*SEARCH, "--run-dir", str(tmp_path / "one")]) == 0
    out = run(*SEARCH, "--devices", "2", "--run-dir", str(tmp_path / "two"))
    assert out.count("on cpu, 2 processes") == 1
    assert out.count("report: ") == 1
    for kind, found in alpha(tmp_path / "two").items():
        assert (found - alpha(tmp_path / "one")[kind]).abs().max() <= 1e-5
    one, two = (lines(tmp_path / name / "search/epochs.jsonl") for name in ("one", "two"))
    assert [r["genotype"] for r in one] == [r["genotype"] for r in two]
    assert [r["val_loss"] for r in one] == pytest.approx([r["val_loss"] for r in two], rel=1e-4)
    config = json.loads((tmp_path / "two" / "config.json").read_text())
    assert config["computing"]["processes"] == 2


@pytest.mark.slow
def test_torchrun_starts_a_full_search_too_with_the_same_bits(tmp_path):
    both = ["full-search", *SIZES, "--search.epochs", "1", "--retrain.epochs", "2"]
    both += ["--retrain.batch-size", "20", "--retrain.channels", "2", "--retrain.cells", "2"]
    both += ["--devices", "2", "--run-dir"]
    run(*both, str(tmp_path / "fabric"))
    torchrun = ("-m", "torch.distributed.run", "--nproc-per-node", "2")
    torchrun += ("--master-port", str(free_port()))
    run(*both, str(tmp_path / "torchrun"), launcher=torchrun)
    for stage in ("search", "retrain"):
        states = (final_state(tmp_path / name / stage) for name in ("fabric", "torchrun"))
        assert_same_bits(*states)
    results = [
        json.loads((tmp_path / name / "result.json").read_text()) for name in ("fabric", "torchrun")
    ]
    assert results[0]["retrain"]["test"] == results[1]["retrain"]["test"]
    assert "baselines" in results[0]
    status, _, err = finished(
        started(*both[:-3], "--run-dir", str(tmp_path / "alone"), launcher=torchrun)
    )
    assert status != 0
    assert "torchrun started 2 processes, and this run is of 1" in err
    assert not (tmp_path / "alone").exists()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "run"
    run(*LONG, "--devices", "2", "--run-dir", str(path))
    return path


@pytest.mark.slow
@pytest.mark.parametrize("dying", ["the other one", "the first one", "one that hangs"])
def test_a_dead_process_ends_the_others_with_an_error_and_the_run_goes_on_to_the_same_bits(
    whole, tmp_path, dying
):
    path = tmp_path / "run"
    limit = ("--group-timeout", "40") if dying == "one that hangs" else ()
    command = started(*LONG, "--devices", "2", "--run-dir", str(path), *limit)
    wait_for_steps(path, 4, command)
    (other,) = processes_of(command)
    if dying == "the first one":
        command.kill()
    else:
        os.kill(other, signal.SIGSTOP if dying == "one that hangs" else signal.SIGKILL)
    began = time.monotonic()
    command.wait(SECONDS)
    if dying == "one that hangs":
        os.kill(other, signal.SIGKILL)  # it holds the pipes
    status, _, err = finished(command)
    assert status != 0
    if dying == "the first one":
        while Path(f"/proc/{other}").exists():
            assert time.monotonic() < began + 100
            time.sleep(0.1)
    survivor = "Process 1 of 2" if dying == "the first one" else "Process 0 of 2"
    assert f"darts: {survivor} stopped" in err
    assert "--resume" in err
    assert "Traceback" not in err
    print(f"{dying}: the other ended after {time.monotonic() - began:.1f} s")
    assert time.monotonic() < began + 40 + 60
    run("search", "--resume", str(path))
    assert_same_bits(final_state(path / "search"), final_state(whole / "search"))
    assert timeless(lines(path / "search/steps.jsonl")) == timeless(
        lines(whole / "search/steps.jsonl")
    )


@pytest.mark.slow
@pytest.mark.parametrize("asked", ["the first one", "the other one", "torchrun"])
def test_sigterm_ends_all_processes_after_a_step_and_the_run_goes_on_to_the_same_bits(
    whole, tmp_path, asked
):
    path = tmp_path / "run"
    launcher = ("-m", "torch.distributed.run", "--nproc-per-node", "2")
    launcher += ("--master-port", str(free_port()))
    by = launcher if asked == "torchrun" else ()
    command = started(*LONG, "--devices", "2", "--run-dir", str(path), launcher=by)
    wait_for_steps(path, 4, command)
    os.kill(processes_of(command)[0] if asked == "the other one" else command.pid, signal.SIGTERM)
    status, _, err = finished(command)
    assert err.count("darts: ") == 1, err
    assert "darts: Interrupted; all steps are saved." in err
    assert f"  darts search --resume {path}\n" in err
    assert status == (1 if asked == "torchrun" else 143), err
    done = lines(path / "search/steps.jsonl")
    assert 4 <= len(done) < len(lines(whole / "search/steps.jsonl"))
    run("search", "--resume", str(path))
    assert_same_bits(final_state(path / "search"), final_state(whole / "search"))
    assert timeless(lines(path / "search/steps.jsonl")) == timeless(
        lines(whole / "search/steps.jsonl")
    )


@pytest.mark.slow
def test_a_resumed_run_keeps_its_number_of_processes(whole):
    for wrong in (["--devices", "3"], ["--nodes", "3"]):
        status, _, err = finished(started("search", "--resume", str(whole), *wrong))
        assert status == 2
        assert "the run began on 2 processes" in err


RETRAIN = ["retrain", "--genotype", "DARTS_V2", "--device", "cpu"]
REFUSED = {
    "10 images on 3 processes": [*SEARCH, "--devices", "3"],
    "multiple of 3": [*SEARCH, "--nodes", "3"],
    "give 1 or more": [*SEARCH, "--devices", "0"],
    "AdversarialPerturbation on 2 processes": [
        *(*SEARCH, "--devices", "2", "--search.perturbation", "adversarial"),
    ],
    "Use bf16": [*SEARCH, "--precision", "fp16"],
    "the supernet is not compiled": [*SEARCH, "--compile"],
    "only the supernet's cells": [*RETRAIN, "--checkpoint-activations"],
    "cannot take into its graph": [*RETRAIN, "--compile", "--devices", "2"],
    "seconds above 0": [*SEARCH, "--group-timeout", "0"],
    "--group-timeout 40 with one process": [*SEARCH, "--group-timeout", "40"],
    "neither --devices": ["sweep", "--devices", "2"],
    "each of its trainings": ["random-search", "--nodes", "2"],
    "has no --group-timeout 40": ["sweep", "--group-timeout", "40"],
    "compared with each other": ["random-search", "--precision", "bf16"],
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_cannot_be_is_refused_before_any_work(message, tmp_path, capsys):
    path = tmp_path / "run"
    assert cli.main([*REFUSED[message], "--run-dir", str(path)]) in (1, 2)
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not path.exists()


def test_without_fabric_several_processes_are_refused_with_the_extra_to_install(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr("darts.extras.find_spec", lambda name: None)
    monkeypatch.setitem(sys.modules, "lightning_fabric", None)
    path = tmp_path / "run"
    assert cli.main([*SEARCH, "--devices", "2", "--run-dir", str(path)]) == 1
    assert "pip install 'amended-darts[fabric]'" in capsys.readouterr().err
    assert cli.main([*SEARCH, "--run-dir", str(path)]) == 0
