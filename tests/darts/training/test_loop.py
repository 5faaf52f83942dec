"""The loop of a stage: Ctrl-C ends a step and saves it, and a second one stops at once."""

import os
import signal
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from darts.config.compute import Computing
from darts.parallel.launch import Devices
from darts.parallel.ranks import Ranks
from darts.records.run_folder import RunFolder
from darts.records.shared_run import SharedRun
from darts.training.loop import Interrupted
from darts.training.retrain import retrain
from darts.training.search import search
from tests.darts.training.killing import GENOTYPE
from tests.darts.training.test_retrain import data as training_data
from tests.darts.training.test_search import final_state, halves, saved
from tests.darts.training.tiny import (
    Follower,
    assert_same_bits,
    new_run,
    retrain_config,
    search_config,
    timeless,
)
from tests.groups import RANKS, on_two_processes


class Pressing(Follower):
    """Presses Ctrl-C at given steps of a stage, as often as they are named, or sends a signal."""

    def __init__(self, *at, number=signal.SIGINT):
        super().__init__()
        self.at, self.number = list(at), number

    def tick(self, stage, epoch, step):
        for _ in range(self.at.count((epoch, step))):
            os.kill(os.getpid(), self.number)


@pytest.fixture(autouse=True)
def usual_handler():
    """Python's own, however the tests were started."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(
    ("pressed", "position"),
    [((0, 0), (0, 2)), ((1, 0), (1, 2)), ((0, 1), (0, 3)), ((0, 2), (1, 0))],
)
def test_ctrl_c_loses_no_step_and_the_rest_has_the_same_bits(tmp_path, pressed, position):
    config = search_config(epochs=2, checkpoint_share=1e-9)  # few checkpoints but the last one's
    whole = new_run(tmp_path / "whole")
    search(config, halves(config), whole)
    cut = new_run(tmp_path / "cut", Pressing(pressed))
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(Interrupted) as interrupt:
        search(config, halves(config), cut)
    assert interrupt.value.run == cut.path
    assert signal.getsignal(signal.SIGINT) is before
    assert saved(cut, config).position == position
    cut = RunFolder.open(cut.path)
    search(config, halves(config), cut)
    assert_same_bits(final_state(whole, config), final_state(cut, config))
    for stream in ("search/steps", "search/epochs"):
        assert timeless(whole.records(stream)) == timeless(cut.records(stream))


@pytest.mark.parametrize("ctrl_c", [signal.default_int_handler, signal.SIG_IGN])
def test_sigterm_loses_no_step_also_where_ctrl_c_is_ignored(tmp_path, ctrl_c):
    signal.signal(signal.SIGINT, ctrl_c)
    config = search_config(epochs=2, checkpoint_share=1e-9)
    run = new_run(tmp_path / "run", Pressing((0, 1), number=signal.SIGTERM))
    with pytest.raises(Interrupted) as interrupt:
        search(config, halves(config), run)
    assert interrupt.value.signal == signal.SIGTERM
    assert saved(run, config).position == (0, 3)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL  # as a second one finds it
    assert signal.getsignal(signal.SIGINT) is ctrl_c


def interrupted(rank: int, folder: str, asked: int) -> dict[str, torch.Tensor]:
    """A search on two processes, one of which is sent SIGTERM; what it stopped with."""
    ranks = Ranks(rank, RANKS)
    devices = Devices("cpu", ranks, Computing(processes=RANKS))
    config = search_config(epochs=2, checkpoint_share=1e-9)
    run = SharedRun(Path(folder), (Pressing((0, 1), number=signal.SIGTERM),), ranks)
    if rank != asked:
        run = replace(run, listeners=())
    with pytest.raises(Interrupted) as interrupt:
        search(config, halves(config), run, devices=devices)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    return {"signal": torch.tensor(interrupt.value.signal)}


@pytest.mark.parametrize("asked", range(RANKS))
def test_several_processes_stop_after_the_same_step_whichever_is_asked(tmp_path, asked):
    run = new_run(tmp_path / "run")
    for found in on_two_processes(interrupted, tmp_path, str(run.path), asked):
        assert int(found["signal"]) == signal.SIGTERM
    last = max(path.stem for path in (run.path / "search/checkpoints").iterdir())
    assert last == "epoch-000000-step-000003"
    assert [record["step"] for record in run.records("search/steps")] == [0, 1, 2]


def test_a_second_ctrl_c_stops_at_once(tmp_path):
    config = search_config(epochs=2)
    run = new_run(tmp_path / "run", Pressing((0, 0), (0, 0)))
    with pytest.raises(KeyboardInterrupt) as interrupt:
        search(config, halves(config), run)
    assert not isinstance(interrupt.value, Interrupted)
    assert len(run.records("search/steps")) == 1


def test_a_process_that_ignores_ctrl_c_goes_on(tmp_path):
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a shell does for what runs behind it
    config = search_config(epochs=1)
    run = new_run(tmp_path / "run", Pressing((0, 0)))
    search(config, halves(config), run)
    assert saved(run, config).position == (1, 0)
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_a_retraining_goes_on_after_ctrl_c(tmp_path):
    config = retrain_config(epochs=2)
    whole = retrain(config, GENOTYPE, training_data(), new_run(tmp_path / "whole"))
    cut = new_run(tmp_path / "cut", Pressing((0, 0)))
    with pytest.raises(Interrupted):
        retrain(config, GENOTYPE, training_data(), cut)
    cut = RunFolder.open(cut.path)
    assert retrain(config, GENOTYPE, training_data(), cut).test == whole.test


def test_in_another_thread_a_search_leaves_signals_alone(tmp_path):
    config, failures = search_config(epochs=1), []

    def work():
        try:
            search(config, halves(config), new_run(tmp_path / "run"))
        except Exception as error:
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert not failures
