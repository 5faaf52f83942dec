"""Sweeps here and on a Ray of this machine: trials that fail, are killed, go on."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from bilevel.estimators import Amended, FirstOrder
from darts import cli, extras
from darts.commands import packing, sweep, trials
from darts.commands.errors import CutOff, UsageError
from darts.commands.packing import costliest, number_of_workers, require_cores
from darts.commands.requests import Job
from darts.commands.trials import Execution, run_trial
from darts.data import SearchData
from darts.parallel.cluster import Cluster
from darts.parallel.tasks import Outcome
from darts.parallel.workers import Terminated
from darts.records.data_record import record_images
from darts.records.lock import held
from darts.records.plan import Plan
from darts.reports.events import TensorBoardEvents
from darts.reports.trials import Position
from darts.training.room import GIB, Place, Room
from tests.darts.commands.test_cli import TINY_FULL
from tests.darts.parallel.test_workers import alive
from tests.darts.training.tiny import full_config, new_run, retrain_config, search_config

ROOT = Path(cli.__file__).parents[1]
TINY = [*TINY_FULL]
del TINY[TINY.index("--estimator") : TINY.index("--estimator") + 2]
COMMAND = ["sweep", "--eta", "0,0.1,1", "--seeds", "1", *TINY]
ON_RAY = ["--address", "local"]


@pytest.mark.slow
def test_on_ray_a_killed_task_begins_again_and_one_that_raises_fails_alone(tmp_path):
    pytest.importorskip("ray", reason="needs the extra [sweep]")
    script = (
        "from functools import partial\nfrom pathlib import Path\n"
        "from darts.parallel.cluster import Cluster, run_tasks\n"
        "from tests.darts.parallel.chores import done, killed_always, killed_once, raising\n"
        "tasks = {'good': partial(done, 'fine'), 'bad': raising, 'dead': killed_always,\n"
        f"         'killed': partial(killed_once, Path({str(tmp_path / 'mark')!r}))}}\n"
        "for outcome in run_tasks(tasks, Cluster('local', restarts=1)):\n"
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
    arguments = [*COMMAND, *ON_RAY, "--gpus-per-trial", "64", "--run-dir", str(tmp_path / "s")]
    finished = run([sys.executable, "-m", "darts.cli", *arguments])
    assert finished.returncode == 1
    assert "No machine has 1 CPUs and 64 GPUs for a trial: of 1 machines" in finished.stderr


@pytest.mark.slow
def test_a_sweep_on_ray_has_the_trials_of_one_here(tmp_path):
    pytest.importorskip("ray", reason="needs the extra [sweep]")
    command = ["sweep", "--eta", "0.1", *TINY]
    folders = tmp_path / "ray", tmp_path / "here"
    for folder, where in zip(folders, (ON_RAY, ()), strict=True):
        finished = run(
            [sys.executable, "-m", "darts.cli", *command, *where, "--run-dir", str(folder)]
        )
        assert finished.returncode == 0, finished.stderr
    assert_equal_trials(*folders, ["eta-0.1"])


@pytest.mark.slow
def test_two_workers_make_the_bits_of_one_whatever_is_killed_or_interrupted(tmp_path):
    """One sweep by two workers; one whose worker is killed, then Ctrl-C, then by one worker."""
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    darts = [sys.executable, "-m", "darts.cli"]
    finished = run([*darts, *COMMAND, "--workers", "2", "--run-dir", str(whole)])
    assert finished.returncode == 0, finished.stderr
    assert "2 workers: a trial takes" in finished.stdout
    assert "3 of 3 done" in finished.stdout

    longer = [*COMMAND, "--run-dir", str(cut)]
    command = [*darts, *longer, "--workers", "2"]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as parent:
        wait_for(cut / "eta-0/seed-0/search/steps.jsonl")
        victims = workers_of(parent.pid)
        os.kill(victims[0], signal.SIGKILL)
        wait_until(lambda: set(workers_of(parent.pid)) - set(victims))
        workers = {*victims, *workers_of(parent.pid)}
        parent.send_signal(signal.SIGINT)
        said, complained = parent.communicate(timeout=SECONDS)
    assert parent.returncode == 130
    assert "its process was killed by SIGKILL; it is begun again" in said
    assert "Ctrl-C again stops them at once" in said
    assert f"To go on:\n  darts {' '.join(longer)} --workers 2" in complained
    assert "Traceback" not in complained
    assert not any(map(alive, workers))
    assert not (cut / "summary.json").exists()

    finished = run([*darts, *longer, "--workers", "1"])
    assert finished.returncode == 0, finished.stderr
    summary = json.loads((cut / "summary.json").read_text())
    assert [setting["seeds"] for setting in summary["settings"]] == [[0], [0], [0]]
    assert_equal_trials(whole, cut, ["eta-0", "eta-0.1", "eta-1"])

    # what a trial is, is what full-search makes
    alone = tmp_path / "alone"
    options = [*TINY, "--estimator", "amended:eta=0.1", "--run-dir", str(alone)]
    assert cli.main(["full-search", *options]) == 0
    for name in FILES:
        assert (whole / "eta-0.1/seed-0" / name).read_bytes() == (alone / name).read_bytes()


@pytest.mark.slow
def test_the_dry_run_of_a_sweep_counts_steps_side_by_side_and_recommends_a_number(
    tmp_path, monkeypatch, capfd
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(packing, "SECONDS", 1.0)
    monkeypatch.setattr(Place, "cores", 2)
    assert cli.main([*COMMAND, "--dry-run", "--dry-run-memory", "64", "--workers", "7"]) == 0
    said = capfd.readouterr().out
    rows = [line.split("│") for line in said.splitlines() if line.startswith("│")]
    assert [row[1].strip() for row in rows] == ["1", "2"]
    assert rows[0][3].strip() == "1.00×"
    each, epochs = float(rows[0][2]), float(rows[0][4].replace(",", ""))
    assert epochs == pytest.approx(
        each * 3600 / 3, rel=0.02
    )  # 30 images in batches of 10; 3 digits
    assert "64.00 GiB are free" in said
    assert f"darts {' '.join(COMMAND)} --workers" in said
    assert "--workers 7" not in said
    assert list(tmp_path.iterdir()) == []


FILES = ("config.json", "genotype.json", "retrain/network.safetensors")
SECONDS = 400
"""Longest wait on a busy machine."""


def assert_equal_trials(one: Path, other: Path, settings: list[str]) -> None:
    for setting in settings:
        for name in FILES:
            place = f"{setting}/seed-0/{name}"
            assert (one / place).read_bytes() == (other / place).read_bytes(), place


def workers_of(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    command = {int(child): Path(f"/proc/{child}/cmdline") for child in children}
    return [child for child, line in command.items() if b"spawn_main" in line.read_bytes()]


def run(command: list[str]) -> subprocess.CompletedProcess:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=2 * SECONDS, env=environment
    )


def wait_for(path: Path) -> None:
    wait_until(path.exists)


def wait_until(true: Callable[[], object]) -> None:
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < SECONDS
        time.sleep(0.05)


def test_the_plan_and_its_execution_are_what_the_command_asks_for(monkeypatch, tmp_path):
    seen = []
    monkeypatch.setattr(sweep, "run_sweep", lambda *arguments: seen.append(arguments) or True)
    monkeypatch.setattr(sweep, "number_of_workers", lambda asked, left, place: (asked, None))
    monkeypatch.setattr(sweep, "_require_feasible", lambda *given: None)
    monkeypatch.setattr(Place, "cores", 8)
    options = ["--cpus-per-trial", "2", "--gpus-per-trial", "0.5", "--address", "auto"]
    command = ["sweep", "--eta", "0,0.001", "--seeds", "2", "--seed", "7"]
    assert cli.main([*command, *options, "--estimator", "exact"]) == 0
    assert cli.main([*command, "--workers", "3", "--device", "cpu"]) == 0
    (plan, folder, text, cluster, execution), here = seen
    assert list(plan.settings) == ["eta-0", "eta-0.001", "exact"]
    assert plan.seeds == (7, 8)
    assert folder == Path("runs") / f"sweep-digits-{plan.digest}"
    assert text.startswith("darts sweep --eta 0,0.001")
    assert cluster == Cluster("auto", 2, 0.5)
    assert execution == Execution("cuda", 1, (TensorBoardEvents,))
    assert here[3:] == (3, Execution("cpu", 1, (TensorBoardEvents,)))


def test_as_many_workers_as_fit_and_no_more_than_are_asked_for(monkeypatch, capsys):
    monkeypatch.setattr(Place, "cores", 8)
    each = Room(each_bytes=2 * GIB, free_bytes=8 * GIB)
    assert each.fits == 3  # in nine tenths of 8
    monkeypatch.setattr(packing, "room_for", lambda configs, place: each)
    plan = Plan({"eta-0": full_config()}, tuple(range(6)))
    cpu = Place("cpu", 1)
    assert number_of_workers(None, plan.trials, cpu) == (3, None)
    said = "3 workers: a trial takes 2.00 GiB at its peak by a dry run, 8.00 GiB are free, so 3 fit"
    assert said in capsys.readouterr().out
    assert number_of_workers(2, plan.trials, cpu) == (2, None)
    assert number_of_workers(5, plan.trials[:1], cpu) == (1, None)
    with pytest.raises(UsageError, match="so 3 fit"):
        number_of_workers(4, plan.trials, cpu)
    with pytest.raises(UsageError, match="8 cores are enough for 2 workers of --threads 4"):
        require_cores(3, 6, Place("cpu", 4))
    require_cores(3, 2, Place("cpu", 4))  # of two trials no more than two go at a time

    # a GPU: one, or as many as are asked for, with an equal part of nine tenths of what is free
    total = SimpleNamespace(total_memory=16 * GIB)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: total)
    gpu = Place("cuda", 1)
    assert number_of_workers(None, plan.trials, gpu) == (1, None)
    workers, share = number_of_workers(3, plan.trials, gpu)
    assert (workers, share) == (3, pytest.approx(0.9 * 8 / 3 / 16))


def test_settings_that_differ_in_eta_are_dry_run_once():
    def with_estimator(estimator):
        return full_config(search=search_config(estimator))

    settings = {"a": FirstOrder(), "b": Amended(0.1), "c": Amended(1.0)}
    plan = Plan({name: with_estimator(e) for name, e in settings.items()}, (0, 1))
    found = [config.search.estimator for config in costliest(plan.trials)]
    assert found == [Amended(1.0), FirstOrder()]


def test_a_sweep_whose_trial_fails_names_it_and_ctrl_c_the_command(tmp_path, monkeypatch, capsys):
    plan = Plan({"eta-0": full_config(), "eta-1": full_config()}, (0,))

    def failing(tasks, workers, follower):
        assert workers == 2
        for name in tasks:
            follower.began(name)
            follower.heard(name, Position("search", 3, 1.5, 60.0))
            follower.ended(name, "")
            yield Outcome(name, "ValueError: no", failed=True)

    monkeypatch.setattr(trials, "run_beside", failing)
    assert not trials.run_sweep(plan, tmp_path / "s", "darts sweep", 2, Execution("cpu", 1))
    said = capsys.readouterr().out
    assert "eta-0/seed-0: FAILED: ValueError: no (0 of 2 done" in said
    assert "2 of 2 trials failed: eta-0/seed-0, eta-1/seed-0. Their output is in" in said

    for ending, number in ((KeyboardInterrupt, signal.SIGINT), (Terminated, signal.SIGTERM)):

        def interrupted(tasks, workers, follower, ending=ending):
            raise ending
            yield

        monkeypatch.setattr(trials, "run_beside", interrupted)
        with pytest.raises(CutOff) as stopped:
            trials.run_sweep(plan, tmp_path / "s", "darts sweep --x", 2, Execution("cpu", 1))
        assert (stopped.value.command, stopped.value.signal) == ("darts sweep --x", number)


def test_a_sweep_does_not_go_on_with_other_images(tmp_path):
    """Its finished trials would be averaged with those of another data set."""
    plan = Plan({"eta-0": full_config()}, (0, 1))
    first = plan.trials[0]
    done = new_run(tmp_path / first.name, config=first.config)
    done.write("result.json", {})
    images = first.config.data.load()
    record_images(done, images, SearchData.of(images, 0.5, 0))
    sweep._require_feasible(plan.trials, tmp_path)
    done.write("data.json", done.read("data.json") | {"train_digest": "0"})
    with pytest.raises(ValueError, match=r"The images are not those that .*seed-0 began with: tra"):
        sweep._require_feasible(plan.trials, tmp_path)


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--eta", "x"], 2, "'x' is no number"),
        (["--resume", "runs/x"], 2, "its own command goes on with it"),
        (["--device", "cuda", *ON_RAY], 2, "--device cuda with --gpus-per-trial 0"),
        (["--device", "cuda:9"], 2, "--device cuda:9 cannot be used"),
        (["--workers", "2", *ON_RAY], 2, "it is for this machine alone"),
        (["--dry-run", *ON_RAY], 2, "it is for this machine alone"),
        (["--dry-run", "--dry-run-images", "4"], 2, "takes the batches of its trials"),
        (["--workers", "0"], 2, "ask for 1 or more"),
        (["--workers", "200", "--seeds", "200"], 2, "cores are enough for"),
        (["--cpus-per-trial", "2"], 2, "they are for a Ray cluster"),
        (["--cpus-per-trial", "0", *ON_RAY], 2, "more than 0 CPUs"),
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
    assert cli.main(["sweep", *TINY_FULL, *ON_RAY, "--run-dir", str(tmp_path / "sweep")]) == 1
    assert (
        "A sweep on a cluster needs ray, which is not installed: pip install 'amended-darts[sweep]'"
        in (capsys.readouterr().err)
    )


def test_a_trial_writes_an_ordinary_run_folder_and_its_output_to_the_logs(tmp_path, capsys):
    config = full_config(search=search_config(epochs=1), retrain=retrain_config(epochs=1))
    path = tmp_path / "eta-0" / "seed-0"
    told = []
    line = run_trial(Job(config, path, "darts sweep"), Execution("cpu", 1), told.append)
    assert f"report: {path / 'report.html'}" in line
    assert (path / "result.json").is_file()
    assert capsys.readouterr().out == ""
    log = (tmp_path / "logs" / "eta-0-seed-0.txt").read_text()
    assert "search: 1 epoch of 3 steps" in log
    assert [(p.stage, p.done) for p in told if p.done == 1] == [("search", 1), ("retrain", 1)]


def test_two_processes_do_not_write_to_one_trial(tmp_path, monkeypatch):
    monkeypatch.setattr(trials, "SECONDS_TO_WAIT", 0.3)
    job = Job(full_config(), tmp_path / "eta-0" / "seed-0", "darts sweep")
    with held(job.path), pytest.raises(ValueError, match="Another process is writing to"):
        run_trial(job, Execution("cpu", 1), print)
    assert not (job.path / "config.json").exists()


def test_a_sweep_that_is_running_is_not_begun_a_second_time(tmp_path, monkeypatch):
    """Its trials are held one by one, so that the second command failed each after a minute."""
    plan = Plan({"eta-0": full_config()}, (0,))
    monkeypatch.setattr(trials, "run_beside", lambda *given: pytest.fail("a trial was begun"))
    sweep_folder = tmp_path / "s"
    with (
        held(sweep_folder),
        pytest.raises(ValueError, match=r"Another process is writing to .*s\. "),
    ):
        trials.run_sweep(plan, sweep_folder, "darts sweep", 1, Execution("cpu", 1))
    monkeypatch.setattr(trials, "run_beside", lambda *given: iter(()))
    assert trials.run_sweep(plan, sweep_folder, "darts sweep", 1, Execution("cpu", 1))
    assert (sweep_folder / "sweep.json").is_file()  # the lock alone is no other sweep

    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("")
    with pytest.raises(ValueError, match="is not empty, and no sweep"):
        trials.run_sweep(plan, tmp_path / "mine", "darts sweep", 1, Execution("cpu", 1))
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["letter.txt"]
