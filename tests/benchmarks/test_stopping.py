"""Runs of experiments that are stopped: after so many epochs, and when nobody waits for them."""

import multiprocessing
import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.experiments.journal import journal_lines
from benchmarks.experiments.queue import Place, work_through
from benchmarks.experiments.run import carry_out
from tests.benchmarks.test_experiments import IMAGES, timeless, tiny


def test_a_search_stops_after_the_epochs_asked_for_and_goes_on(tmp_path):
    journal = tmp_path / "j.jsonl"
    place = IMAGES.load(), tmp_path / "run", journal
    for epochs, outcome in ((2, "stopped"), (2, "stopped"), (3, "complete")):
        assert carry_out(tiny(), *place, epochs=epochs) == outcome
        assert timeless(journal).keys() == set(range(epochs))


def _begin(folder: Path) -> None:
    endless = replace(tiny(), changes={"epochs": 100_000})
    place = Place(folder, folder / "j.jsonl", "", None, "cpu", deadline=None)
    work_through([endless], place, workers=1)


def cmdline(process: str) -> bytes:
    return Path("/proc", process, "cmdline").read_bytes()


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="reads /proc")
def test_a_worker_whose_parent_was_killed_ends(tmp_path):
    parent = multiprocessing.get_context("spawn").Process(target=_begin, args=(tmp_path,))
    parent.start()
    journal = tmp_path / "j.jsonl"
    while not journal.is_file() or len(journal_lines([journal])) < 2:
        assert parent.is_alive(), "the parent ended before an epoch of its worker"
        time.sleep(0.05)
    children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
    workers = [Path("/proc", child) for child in children if b"spawn_main" in cmdline(child)]
    assert len(workers) == 1
    os.kill(parent.pid, signal.SIGKILL)
    parent.join()
    end = time.time() + 60
    while workers[0].exists():
        assert time.time() < end, "the worker is there a minute after its parent was killed"
        time.sleep(0.05)
