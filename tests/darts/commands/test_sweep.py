"""Sweeps on a real Ray of this machine: trials that fail, are killed, go on; and the command."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from darts import cli, extras
from darts.commands import sweep
from darts.commands.jobs import Job
from darts.commands.sweep import Execution, run_trial
from darts.parallel.cluster import Cluster
from darts.records.lock import held
from darts.reports.events import TensorBoardEvents
from tests.darts.commands.test_cli import TINY_FULL
from tests.darts.training.tiny import full_config, retrain_config, search_config

ROOT = Path(cli.__file__).parents[1]
COMMAND = ["sweep", "--eta", "0,0.1", "--seeds", "1", "--cpus", "1", *TINY_FULL]
del COMMAND[COMMAND.index("--estimator") : COMMAND.index("--estimator") + 2]


def done(text: str) -> str:
    return text


def raising() -> str:
    raise ValueError("a loss that is not finite")


def killed_once(mark: Path) -> str:
    if mark.exists():
        return "went on"
    mark.touch()
    os.kill(os.getpid(), signal.SIGKILL)
    return "not reached"


def killed_always() -> str:
    os.kill(os.getpid(), signal.SIGKILL)
    return "not reached"


@pytest.mark.slow
def test_a_killed_task_begins_again_and_one_that_raises_fails_alone(tmp_path):
    pytest.importorskip("ray", reason="needs the extra [sweep]")
    script = (
        "from functools import partial\nfrom pathlib import Path\n"
        "from darts.parallel.cluster import Cluster, run_tasks\n"
        "from tests.darts.commands.test_sweep import done, killed_always, killed_once, raising\n"
        "tasks = {'good': partial(done, 'fine'), 'bad': raising, 'dead': killed_always,\n"
        f"         'killed': partial(killed_once, Path({str(tmp_path / 'mark')!r}))}}\n"
        "for outcome in run_tasks(tasks, Cluster(cpus=1, restarts=1)):\n"
        "    print('OUTCOME', outcome.name, outcome.failed, outcome.line)\n"
    )
    finished = run([sys.executable, "-c", script])
    assert finished.returncode == 0, finished.stderr
    lines = finished.stdout.splitlines()
    assert sorted(line for line in lines if line.startswith("OUTCOME")) == [
        "OUTCOME bad True ValueError: a loss that is not finite",
        "OUTCOME dead True its process died: WorkerCrashedError",
        "OUTCOME good False fine",
        "OUTCOME killed False went on",
    ]


@pytest.mark.slow
def test_a_trial_too_large_for_every_machine_is_refused_at_once(tmp_path):
    pytest.importorskip("ray", reason="needs the extra [sweep]")
    arguments = [*COMMAND, "--gpus-per-trial", "64", "--run-dir", str(tmp_path / "s")]
    finished = run([sys.executable, "-m", "darts.cli", *arguments])
    assert finished.returncode == 1
    assert "No machine has 1 CPUs and 64 GPUs for a trial: of 1 machines" in finished.stderr


@pytest.mark.slow
def test_a_sweep_killed_with_kill_9_goes_on_with_the_same_command(tmp_path):
    pytest.importorskip("ray", reason="needs the extra [sweep]")
    folder = tmp_path / "sweep"
    command = [sys.executable, "-m", "darts.cli", *COMMAND, "--run-dir", str(folder)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as sweep:
        wait_for(folder / "eta-0" / "seed-0" / "result.json")
        sweep.kill()
    first = (folder / "eta-0" / "seed-0" / "result.json").read_bytes()
    assert not (folder / "summary.json").exists()

    finished = run(command)
    assert finished.returncode == 0, finished.stderr
    assert "2 trials, 1 of them done already" in finished.stdout
    assert (folder / "eta-0" / "seed-0" / "result.json").read_bytes() == first
    summary = json.loads((folder / "summary.json").read_text())
    assert [setting["seeds"] for setting in summary["settings"]] == [[0], [0]]

    # what a trial is, is what full-search makes
    alone = tmp_path / "alone"
    tiny = COMMAND[COMMAND.index("--preset") :]
    options = [*tiny, "--estimator", "amended:eta=0.1", "--run-dir", str(alone)]
    assert cli.main(["full-search", *options]) == 0
    trial = folder / "eta-0.1" / "seed-0"
    for name in ("config.json", "genotype.json", "retrain/network.safetensors"):
        assert (trial / name).read_bytes() == (alone / name).read_bytes()


def run(command: list[str]) -> subprocess.CompletedProcess:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=300, env=environment
    )


def wait_for(path: Path, seconds: float = 200) -> None:
    began = time.monotonic()
    while not path.exists():
        assert time.monotonic() - began < seconds, f"{path} did not appear in {seconds} s"
        time.sleep(0.05)


def test_the_plan_and_its_execution_are_what_the_command_asks_for(monkeypatch, tmp_path):
    seen = []
    monkeypatch.setattr(sweep, "run_sweep", lambda *arguments: seen.append(arguments) or True)
    options = ["--cpus-per-trial", "2", "--gpus-per-trial", "0.5", "--address", "auto"]
    command = ["sweep", "--eta", "0,0.001", "--seeds", "2", "--seed", "7", *options]
    assert cli.main([*command, "--estimator", "exact"]) == 0
    [(plan, folder, text, cluster, execution)] = seen
    assert list(plan.settings) == ["eta-0", "eta-0.001", "exact"]
    assert plan.seeds == (7, 8)
    assert folder == Path("runs") / f"sweep-digits-{plan.digest}"
    assert text.startswith("darts sweep --eta 0,0.001")
    assert cluster == Cluster("auto", None, 2, 0.5)
    assert execution == Execution("cuda", 1, (TensorBoardEvents,))


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--eta", "x"], 2, "'x' is no number"),
        (["--resume", "runs/x"], 2, "its own command goes on with it"),
        (["--device", "cuda"], 2, "--device cuda with --gpus-per-trial 0"),
        (["--cpus", "2", "--address", "auto"], 2, "a cluster has its own"),
        (["--cpus-per-trial", "0"], 2, "more than 0 CPUs"),
        (["--seeds", "0"], 2, "each seed once"),
        (["--search.batch-size", "5000"], 1, "batch of 5000 images asked"),
    ],
)
def test_a_sweep_that_cannot_be_is_refused_before_work(
    arguments, status, message, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["sweep", *arguments]) == status
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_without_ray_a_sweep_says_what_to_install(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    assert cli.main(["sweep", *TINY_FULL, "--run-dir", str(tmp_path / "sweep")]) == 1
    assert "A sweep needs ray, which is not installed: pip install 'amended-darts[sweep]'" in (
        capsys.readouterr().err
    )


def test_a_trial_writes_an_ordinary_run_folder_and_its_output_to_the_logs(tmp_path, capsys):
    config = full_config(search=search_config(epochs=1), retrain=retrain_config(epochs=1))
    path = tmp_path / "eta-0" / "seed-0"
    line = run_trial(Job(config, path, "darts sweep"), Execution("cpu", 1))
    assert f"report: {path / 'report.html'}" in line
    assert (path / "result.json").is_file()
    assert capsys.readouterr().out == ""
    log = (tmp_path / "logs" / "eta-0-seed-0.txt").read_text()
    assert "search: 1 epoch of 3 steps" in log


def test_two_processes_do_not_write_to_one_trial(tmp_path, monkeypatch):
    monkeypatch.setattr(sweep, "SECONDS_TO_WAIT", 0.3)
    job = Job(full_config(), tmp_path / "eta-0" / "seed-0", "darts sweep")
    with held(job.path), pytest.raises(ValueError, match="Another process is writing to"):
        run_trial(job, Execution("cpu", 1))
    assert not (job.path / "config.json").exists()
